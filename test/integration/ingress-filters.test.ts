import assert from "node:assert/strict";
import { once } from "node:events";
import http from "node:http";
import net from "node:net";
import { describe, it } from "node:test";
import type { Direction, LocalReply, SettledAction, StreamHost } from "../../runtime/plugin/contract.ts";
import {
  type Callbacks,
  collect,
  type Echoed,
  fieldsOf,
  type OpenFilter,
  openRig,
  Plugins,
  type Rig,
  raw,
  serve,
  serveEcho,
} from "./ingress-rig.ts";

const text = (body: Uint8Array) => Buffer.from(body).toString("latin1");
const bytes = (body: string) => Buffer.from(body, "latin1");
const reply = (status: number, body = "", headers: [string, string][] = []): LocalReply => ({
  status,
  details: "test_reply",
  headers,
  body: bytes(body),
});

function bodyOf(host: StreamHost, direction: Direction): string {
  const body = host.body(direction);
  return body === undefined ? "none" : text(body.read(0, body.length));
}

/** Filters in the order of the request in front of a server that echoes. */
async function withFilters(
  filters: Record<string, OpenFilter>,
  test: (rig: Rig, plugins: Plugins) => Promise<void>,
  ingress: object = {},
): Promise<void> {
  const plugins = new Plugins();
  for (const [name, open] of Object.entries(filters)) plugins.add(name, open);
  await using backend = await serveEcho();
  await using rig = await openRig({
    ingress: {
      routes: [{ match: { prefix: "/" }, filters: Object.keys(filters), to: { upstream: "backend" } }],
      ...ingress,
    },
    upstreams: { backend: { endpoints: [backend.address] } },
    plugins,
  });
  await test(rig, plugins);
  await rig.record();
  assert.equal(plugins.ended, plugins.opened, "every stream that was opened has ended once");
}

function tracing(name: string, trace: string[]): OpenFilter {
  return () => ({
    requestHeaders: (end) => note(trace, `${name} request headers${end ? " end" : ""}`),
    requestBody: (end) => note(trace, `${name} request body${end ? " end" : ""}`),
    responseHeaders: (end) => note(trace, `${name} response headers${end ? " end" : ""}`),
    responseBody: (end) => note(trace, `${name} response body${end ? " end" : ""}`),
    end: () => {
      trace.push(`${name} end`);
    },
  });
}

function note(trace: string[], what: string): "continue" {
  trace.push(what);
  return "continue";
}

describe("filters", () => {
  it("see the request in order, the response in reverse, and their end once", async () => {
    const trace: string[] = [];
    await withFilters({ a: tracing("a", trace), b: tracing("b", trace) }, async (rig) => {
      await rig.send({ method: "POST", path: "/" }, "x");
      assert.deepEqual(trace, [
        "a request headers",
        "b request headers",
        "a request body end",
        "b request body end",
        "b response headers",
        "a response headers",
        "b response body end",
        "a response body end",
        "a end",
        "b end",
      ]);
    });
  });

  it("of every route come before those of the one", async () => {
    const trace: string[] = [];
    await withFilters(
      { first: tracing("first", trace), second: tracing("second", trace) },
      async (rig) => {
        await rig.send({ path: "/" });
        assert.deepEqual(trace.slice(0, 2), ["first request headers end", "second request headers end"]);
      },
      {
        filters: ["first"],
        routes: [{ match: { prefix: "/" }, filters: [{ plugin: "second" }], to: { upstream: "backend" } }],
      },
    );
  });

  it("get the configuration of their route", async () => {
    const seen: unknown[] = [];
    await withFilters(
      {
        a: (_host, options) => {
          seen.push(options.configuration);
          return {};
        },
      },
      async (rig) => {
        await rig.send({ path: "/" });
        assert.deepEqual(seen, [{ rate: 5 }]);
      },
      {
        routes: [
          {
            match: { prefix: "/" },
            filters: [{ plugin: "a", configuration: { rate: 5 } }],
            to: { upstream: "backend" },
          },
        ],
      },
    );
  });

  it("change heads both ways", async () => {
    await withFilters(
      {
        a: (host) => ({
          requestHeaders: () => {
            const headers = host.headers("request-headers");
            headers?.set(":path", "/changed");
            headers?.set("x-added", "1");
            headers?.remove("x-gone");
            return "continue";
          },
          responseHeaders: () => {
            host.headers("response-headers")?.set(":status", "202");
            host.headers("response-headers")?.add("x-answer", "yes");
            return "continue";
          },
        }),
      },
      async (rig) => {
        const answer = await rig.send({ path: "/", headers: { "x-gone": "1" } });
        const got: Echoed = JSON.parse(answer.body);
        const fields = fieldsOf(got);
        assert.deepEqual([got.url, fields.get("x-added"), fields.get("x-gone")], ["/changed", "1", undefined]);
        assert.deepEqual([answer.status, answer.headers["x-answer"]], [202, "yes"]);
        assert.equal(rig.records[0]?.path, "/");
        assert.equal(rig.records[0]?.status, 202);
      },
    );
  });

  it("cannot break a message apart with what they put into a head", async () => {
    const breakRequest: OpenFilter = (host) => ({
      requestHeaders: (): "continue" => {
        host.headers("request-headers")?.set("x-a", "1\r\nx-b: 2");
        return "continue";
      },
    });
    await withFilters({ breakRequest }, async (rig) => {
      const answer = await rig.send({ path: "/" });
      assert.equal(answer.status, 500);
      assert.match(answer.body, /the value of 'x-a' holds a character that is not allowed/);
    });
    const breakResponse: OpenFilter = (host) => ({
      responseHeaders: (): "continue" => {
        host.headers("response-headers")?.set("x-a", "1\r\n\r\n<script>");
        return "continue";
      },
    });
    await withFilters({ breakResponse }, async (rig) => {
      const answer = await rig.send({ path: "/" });
      assert.deepEqual([answer.status, answer.headers["x-a"]], [500, undefined]);
    });
  });

  it("cannot change the framing of a message", async () => {
    await withFilters(
      {
        a: (host) => ({
          requestHeaders: () => {
            host.headers("request-headers")?.set("transfer-encoding", "chunked");
            host.headers("request-headers")?.add("content-length", "3");
            return "continue";
          },
          responseHeaders: () => {
            host.headers("response-headers")?.set("transfer-encoding", "gzip");
            host.headers("response-headers")?.set("content-length", "nonsense");
            return "continue";
          },
        }),
      },
      async (rig) => {
        const answer = await rig.send({ method: "POST", path: "/" }, "hello");
        assert.equal(JSON.parse(answer.body).body, "hello");
        assert.equal(answer.headers["transfer-encoding"], "chunked");
      },
    );
  });

  it("replace a body of a declared length without holding the head back themselves", async () => {
    await withFilters(
      {
        a: (host) => ({
          requestBody: (end) => {
            if (!end) return "pause";
            const body = host.body("request");
            body?.splice(0, body.length, bytes("a much longer body than before"));
            return "continue";
          },
          responseBody: (end) => {
            if (!end) return "pause";
            host.body("response")?.splice(0, 0, bytes("answer: "));
            return "continue";
          },
        }),
      },
      async (rig) => {
        const answer = await rig.send({ method: "POST", path: "/" }, "short");
        assert.match(answer.body, /^answer: \{.*"body":"a much longer body than before"\}$/);
        assert.equal(answer.headers["content-length"], undefined);
      },
    );
  });

  it("change chunks as they stream", async () => {
    await withFilters(
      {
        upper: (host) => ({
          requestBody: () => {
            const body = host.body("request");
            body?.splice(0, body.length, bytes(bodyOf(host, "request").toUpperCase()));
            return "continue";
          },
        }),
      },
      async (rig) => {
        const request = http.request({ port: rig.port, method: "POST", path: "/", agent: false });
        request.write("one ");
        request.end("two");
        const [response] = (await once(request, "response")) as [http.IncomingMessage];
        assert.equal(JSON.parse((await collect(response)).body).body, "ONE TWO");
      },
    );
  });

  it("see trailers and change them", async () => {
    await withFilters(
      {
        a: (host) => ({
          requestTrailers: () => {
            host.headers("request-trailers")?.set("x-end", `${host.headers("request-trailers")?.get("x-end")} twice`);
            return "continue";
          },
        }),
      },
      async (rig) => {
        const request = http.request({ port: rig.port, method: "POST", path: "/", agent: false });
        request.write("x");
        request.addTrailers({ "x-end": "once" });
        request.end();
        const [response] = (await once(request, "response")) as [http.IncomingMessage];
        assert.deepEqual(JSON.parse((await collect(response)).body).trailers, { "x-end": "once twice" });
      },
    );
  });
});

describe("a filter that pauses", () => {
  it("on the head is shown nothing more until it resumes, then all of it", async () => {
    const trace: string[] = [];
    const paused = Promise.withResolvers<StreamHost>();
    await withFilters(
      {
        a: (host) => ({
          requestHeaders: () => {
            paused.resolve(host);
            return "pause";
          },
          requestBody: (end) => {
            trace.push(`${bodyOf(host, "request")} ${end}`);
            return "continue";
          },
        }),
      },
      async (rig) => {
        const answered = rig.send({ method: "POST", path: "/" }, "hello");
        const host = await paused.promise;
        assert.equal(host.body("request"), undefined);
        host.headers("request-headers")?.set("x-late", "1");
        host.resume("request");
        const got: Echoed = JSON.parse((await answered).body);
        assert.deepEqual([got.body, fieldsOf(got).get("x-late")], ["hello", "1"]);
        assert.equal(trace.at(-1)?.endsWith("true"), true);
      },
    );
  });

  it("on the head alone is shown the body, with which the head goes on", async () => {
    for (const [gather, late] of [
      [false, false],
      [true, false],
      [true, true],
    ]) {
      const seen: string[] = [];
      const ended = Promise.withResolvers<StreamHost>();
      await withFilters(
        {
          a: (host) => ({
            requestHeaders: () => "hold",
            requestBody: (end) => {
              seen.push(bodyOf(host, "request"));
              host.headers("request-headers")?.set("x-length", String(host.body("request")?.length));
              if (end && late) ended.resolve(host);
              return !late && (end || !gather) ? "continue" : "pause";
            },
          }),
          b: tracing("b", seen),
        },
        async (rig) => {
          const answered = rig.send({ method: "POST", path: "/" }, "hello");
          if (late) (await ended.promise).resume("request");
          const got: Echoed = JSON.parse((await answered).body);
          assert.deepEqual([got.body, fieldsOf(got).get("x-length")], ["hello", "5"]);
          assert.equal(seen[0], "hello");
          assert.ok(seen.indexOf("b request headers") > 0, "the head went on after the body was shown");
        },
      );
    }
  });

  it("on the head alone may answer by what the body is, and let an empty message go on", async () => {
    await withFilters(
      {
        a: (host) => ({
          requestHeaders: (end) => {
            if (end) host.resume("request");
            return "hold";
          },
          requestBody: (end) => {
            if (end) host.respond(reply(422, bodyOf(host, "request")));
            return "pause";
          },
          responseHeaders: () => "hold",
        }),
      },
      async (rig, plugins) => {
        assert.equal((await rig.send({ method: "GET", path: "/" })).status, 200);
        const refused = await rig.send({ method: "POST", path: "/" }, "bad");
        assert.deepEqual([refused.status, refused.body], [422, "bad"]);
        assert.equal(plugins.opened, 2);
      },
    );
  });

  it("on the body is shown what has gathered each time, and resumes with all of it", async () => {
    const seen: string[] = [];
    const gathered = Promise.withResolvers<StreamHost>();
    await withFilters(
      {
        a: (host) => ({
          requestBody: (end) => {
            seen.push(`${bodyOf(host, "request")}${end ? "." : ""}`);
            if (end) gathered.resolve(host);
            return "pause";
          },
        }),
      },
      async (rig) => {
        const socket = net.connect(rig.port, "127.0.0.1");
        const answer = once(socket, "data");
        socket.write("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\none");
        while (seen.length === 0) await new Promise((resolve) => setImmediate(resolve));
        socket.write("two");
        const host = await gathered.promise;
        assert.equal(bodyOf(host, "request"), "onetwo");
        host.resume("request");
        const [data] = (await answer) as [Buffer];
        assert.match(text(data), /"body":"onetwo"/);
        socket.destroy();
        assert.deepEqual(seen, ["one", "onetwo."]);
      },
    );
  });

  it("on the body may keep what it was shown out of sight, change what comes, and bring all back into sight", async () => {
    const shown: string[] = [];
    const actions: SettledAction[] = ["watermark", "watermark", "pause", "continue"];
    let next = Promise.withResolvers<void>();
    await withFilters(
      {
        a: (host) => ({
          requestBody: () => {
            shown.push(bodyOf(host, "request"));
            if (shown.length === 2) host.body("request")?.splice(0, 1, bytes("B"));
            next.resolve();
            return actions[shown.length - 1] ?? "continue";
          },
        }),
      },
      async (rig) => {
        const request = http.request({ port: rig.port, host: "127.0.0.1", method: "POST", path: "/", agent: false });
        for (const chunk of ["aaa", "bbb", "ccc"]) {
          request.write(chunk);
          await next.promise;
          next = Promise.withResolvers();
        }
        request.end("ddd");
        const [response] = (await once(request, "response")) as [http.IncomingMessage];
        const got: Echoed = JSON.parse((await collect(response)).body);
        assert.deepEqual(shown.slice(0, 3), ["aaa", "bbb", "ccc"]);
        assert.match(shown[3] ?? "", /^aaaBbbccc/);
        assert.equal(got.body, "aaaBbbcccddd");
      },
    );
  });

  it("and resumes in the same callback goes on", async () => {
    await withFilters(
      {
        a: (host) => ({
          requestHeaders: () => {
            host.resume("request");
            return "pause";
          },
          responseBody: () => {
            host.resume("response");
            return "pause";
          },
        }),
      },
      async (rig) => {
        assert.equal((await rig.send({ method: "POST", path: "/" }, "x")).status, 200);
      },
    );
  });

  it("on trailers holds the whole rest back", async () => {
    const paused = Promise.withResolvers<StreamHost>();
    await withFilters(
      {
        a: (host) => ({
          requestBody: () => "pause",
          requestTrailers: () => {
            paused.resolve(host);
            return "pause";
          },
        }),
      },
      async (rig) => {
        const request = http.request({ port: rig.port, method: "POST", path: "/", agent: false });
        request.write("held");
        request.addTrailers({ "x-end": "1" });
        request.end();
        (await paused.promise).resume("request");
        const [response] = (await once(request, "response")) as [http.IncomingMessage];
        const got: Echoed = JSON.parse((await collect(response)).body);
        assert.deepEqual([got.body, got.trailers], ["held", { "x-end": "1" }]);
      },
    );
  });

  it("on more of a request than may be held back makes it a 413", async () => {
    await withFilters(
      { a: () => ({ requestBody: () => "pause" }) },
      async (rig) => {
        const answer = await rig.send({ method: "POST", path: "/" }, "x".repeat(2000));
        assert.equal(answer.status, 413);
        assert.match(answer.body, /exceeds the 1000 bytes that a plugin may hold back \(ingress\.maxBufferBytes\)/);
      },
      { maxBufferBytes: 1000 },
    );
  });

  it("on more of a response than may be held back makes it a 500", async () => {
    await withFilters(
      { a: () => ({ responseBody: () => "pause" }) },
      async (rig) => {
        const answer = await rig.send({ path: `/?${"x".repeat(200)}` });
        assert.equal(answer.status, 500);
      },
      { maxBufferBytes: 100 },
    );
  });

  it("may hold back just what it may", async () => {
    await withFilters(
      { a: () => ({ requestBody: (end) => (end ? "continue" : "pause") }) },
      async (rig) => {
        assert.equal((await rig.send({ method: "POST", path: "/" }, "x".repeat(1000))).status, 200);
      },
      { maxBufferBytes: 1000 },
    );
  });
});

describe("a filter that waits in a callback", () => {
  it("is shown nothing in either direction until it settles", async () => {
    const trace: string[] = [];
    const waiting = Promise.withResolvers<StreamHost>();
    await withFilters(
      {
        a: (host) => ({
          requestHeaders: () => {
            waiting.resolve(host);
            return "suspended";
          },
          requestBody: (end) => note(trace, `body ${end}`),
        }),
      },
      async (rig) => {
        const answered = rig.send({ method: "POST", path: "/" }, "x");
        const host = await waiting.promise;
        for (let at = 0; at < 20; at += 1) await new Promise((resolve) => setImmediate(resolve));
        assert.deepEqual(trace, []);
        host.settle("continue");
        assert.equal((await answered).status, 200);
        assert.deepEqual(trace, ["body true"]);
      },
    );
  });

  it("may answer, and may pause and resume, when it settles", async () => {
    const hosts: StreamHost[] = [];
    const suspend: OpenFilter = (host) => ({
      requestHeaders: () => {
        setImmediate(() => hosts.push(host));
        return "suspended";
      },
    });
    const next = async () => {
      while (hosts.length === 0) await new Promise((resolve) => setImmediate(resolve));
      return hosts.pop();
    };
    await withFilters({ suspend }, async (rig) => {
      const first = rig.send({ path: "/" });
      const host = await next();
      host?.respond(reply(403, "no"));
      host?.settle("pause");
      assert.deepEqual([(await first).status, (await first).body], [403, "no"]);
      const second = rig.send({ path: "/" });
      const other = await next();
      other?.settle("pause");
      other?.resume("request");
      assert.equal((await second).status, 200);
    });
  });

  it("may take in what follows a head, or keep a body out of sight, when it settles", async () => {
    const settle = (head: SettledAction, body: SettledAction, then: SettledAction): OpenFilter => {
      const soon = (host: StreamHost, action: SettledAction): "suspended" => {
        setImmediate(() => host.settle(action));
        return "suspended";
      };
      return (host) => ({
        requestHeaders: () => soon(host, head),
        requestBody: (end) => soon(host, end ? then : body),
      });
    };
    const filters = {
      gathers: settle("buffer", "continue", "continue"),
      keeps: settle("continue", "watermark", "continue"),
    };
    const large = "x".repeat(200_000);
    for (const [name, status] of [["gathers", 413] as const, ["keeps", 200] as const]) {
      await withFilters(
        { [name]: filters[name] },
        async (rig) => {
          const answer = await rig.send({ method: "POST", path: "/" }, name === "gathers" ? large : "aaa");
          assert.equal(answer.status, status);
          if (status === 200) assert.equal(JSON.parse(answer.body).body, "aaa");
        },
        { maxBufferBytes: 1000 },
      );
    }
  });

  it("is told the end when the client goes away", async () => {
    const ended = Promise.withResolvers<void>();
    const waiting = Promise.withResolvers<StreamHost>();
    await withFilters(
      {
        a: (host) => ({
          requestHeaders: () => {
            waiting.resolve(host);
            return "suspended";
          },
          end: () => ended.resolve(),
        }),
      },
      async (rig) => {
        const request = http.get({ port: rig.port, path: "/", agent: false });
        request.on("error", () => undefined);
        const host = await waiting.promise;
        request.destroy();
        await ended.promise;
        host.settle("continue");
        host.respond(reply(200));
        assert.equal(host.headers("request-headers")?.get(":path"), "/");
      },
    );
  });
});

describe("a filter that answers", () => {
  it("keeps the request from whatever lies behind, and its answer goes out through it and those in front", async () => {
    const trace: string[] = [];
    const answers: OpenFilter = (host) => ({
      requestHeaders: () => {
        host.respond(reply(429, "slow down\n", [["retry-after", "1"]]));
        return "pause";
      },
      responseHeaders: () => note(trace, "own response headers"),
    });
    const front: OpenFilter = (host) => ({
      responseHeaders: () => {
        trace.push(`front sees ${host.headers("response-headers")?.get(":status")}`);
        host.headers("response-headers")?.set("x-front", "1");
        return "continue";
      },
    });
    await withFilters({ front, answers, behind: tracing("behind", trace) }, async (rig, plugins) => {
      const answer = await rig.send({ method: "POST", path: "/" }, "x");
      assert.deepEqual([answer.status, answer.body], [429, "slow down\n"]);
      assert.deepEqual([answer.headers["retry-after"], answer.headers["x-front"]], ["1", "1"]);
      assert.deepEqual([answer.headers["content-type"], answer.headers["content-length"]], ["text/plain", "10"]);
      assert.deepEqual(trace, ["own response headers", "front sees 429"]);
      assert.equal(plugins.opened, 2);
      assert.deepEqual([rig.records[0]?.plugin, rig.records[0]?.details], ["answers", "test_reply"]);
    });
  });

  it("in place of a response sends its answer straight to the client", async () => {
    const trace: string[] = [];
    const behind: OpenFilter = (host) => ({
      responseHeaders: () => {
        host.respond(reply(451, "withheld"));
        return "pause";
      },
    });
    await withFilters({ front: tracing("front", trace), behind }, async (rig) => {
      const answer = await rig.send({ path: "/" });
      assert.deepEqual([answer.status, answer.body], [451, "withheld"]);
      assert.deepEqual(trace, ["front request headers end", "front end"]);
    });
  });

  it("answers HEAD without a body, and gRPC where gRPC looks", async () => {
    const a: OpenFilter = (host) => ({
      requestHeaders: () => {
        host.respond(reply(403, "not you"));
        return "pause";
      },
    });
    await withFilters({ a }, async (rig) => {
      const head = await rig.send({ method: "HEAD", path: "/" });
      assert.deepEqual([head.status, head.body, head.headers["content-length"]], [403, "", "7"]);
      const grpc = await rig.send({ method: "POST", path: "/", headers: { "content-type": "application/grpc" } }, "x");
      assert.deepEqual([grpc.status, grpc.headers["grpc-status"], grpc.headers["grpc-message"]], [200, "7", "not you"]);
    });
  });

  it("cannot answer any more once the response is out; what it wanted to stop is reset", async () => {
    const plugins = new Plugins().add("late", (host) => {
      let chunks = 0;
      return {
        responseBody: () => {
          chunks += 1;
          if (chunks === 1) return "continue";
          host.respond(reply(500));
          return "pause";
        },
      };
    });
    const parts = Promise.withResolvers<http.ServerResponse>();
    await using backend = await serve((_request, response) => {
      response.write("first");
      parts.resolve(response);
    });
    await using rig = await openRig({
      ingress: { routes: [{ match: { prefix: "/" }, filters: ["late"], to: { upstream: "backend" } }] },
      upstreams: { backend: { endpoints: [backend.address] } },
      plugins,
    });
    const request = http.get({ port: rig.port, path: "/", agent: false });
    const [response] = (await once(request, "response")) as [http.IncomingMessage];
    const [first] = (await once(response, "data")) as [Buffer];
    assert.equal(text(first), "first");
    (await parts.promise).write("second");
    await assert.rejects(collect(response), { code: "ECONNRESET" });
    assert.equal((await rig.record()).details, "plugin_reset");
    assert.deepEqual([plugins.opened, plugins.ended], [1, 1]);
  });

  it("resets the stream when it asks for that", async () => {
    const a: OpenFilter = (host) => ({
      requestHeaders: () => {
        host.reset();
        return "pause";
      },
    });
    await withFilters({ a }, async (rig) => {
      assert.equal(await raw(rig.port, "GET / HTTP/1.1\r\nHost: a\r\n\r\n"), "");
      assert.equal(rig.records[0]?.details, "plugin_reset");
    });
  });
});

describe("what a filter learns of its stream", () => {
  it("are the attributes that Envoy names, in its types", async () => {
    const seen = new Map<string, unknown>();
    const paths = [
      "request.path request.url_path request.query request.host request.scheme request.method request.useragent",
      "request.protocol request.id request.time request.duration request.size request.total_size route_name",
      "source.address source.port destination.port connection.id connection.mtls upstream.address cluster_name",
      "response.code response.code_details response.flags response.size request.headers.x-a response.headers.x-b nothing",
    ].flatMap((line) => line.split(" "));
    const a: OpenFilter = (host) => ({
      end: () => {
        for (const path of paths) seen.set(path, host.property(path.split(".")));
      },
      responseHeaders: () => {
        host.headers("response-headers")?.set("x-b", "2");
        return "continue";
      },
    });
    await withFilters({ a }, async (rig) => {
      const headers = { "x-a": "1", "user-agent": "test", "x-request-id": "id-1", host: "shop" };
      const answer = await rig.send({ method: "POST", path: "/p?q=1", headers }, "12345");
      const [record] = rig.records;
      assert.ok(record);
      assert.deepEqual(
        ["request.path", "request.url_path", "request.query", "request.host", "request.scheme"].map((path) =>
          seen.get(path),
        ),
        ["/p?q=1", "/p", "q=1", "shop", "http"],
      );
      assert.deepEqual(
        ["request.method", "request.useragent", "request.protocol", "request.id", "route_name"].map((path) =>
          seen.get(path),
        ),
        ["POST", "test", "HTTP/1.1", "id-1", "/*"],
      );
      assert.equal(seen.get("request.size"), 5n);
      assert.equal(seen.get("request.time"), BigInt(record.startedAtMs) * 1_000_000n);
      assert.equal(typeof seen.get("request.duration"), "bigint");
      assert.equal(seen.get("source.address"), record.peer);
      assert.equal(seen.get("destination.port"), BigInt(rig.port));
      assert.equal(typeof seen.get("connection.id"), "bigint");
      assert.equal(seen.get("connection.mtls"), false);
      assert.equal(seen.get("upstream.address"), record.endpoint);
      assert.equal(seen.get("cluster_name"), "backend");
      assert.deepEqual(
        ["response.code", "response.code_details", "response.flags", "response.size"].map((path) => seen.get(path)),
        [200n, "via_upstream", 0n, BigInt(answer.body.length)],
      );
      assert.deepEqual([seen.get("request.headers.x-a"), seen.get("response.headers.x-b")], ["1", "2"]);
      assert.equal(seen.get("nothing"), undefined);
    });
  });

  it("are values that filters in front kept, copied from them", async () => {
    const seen: unknown[] = [];
    const kept = Buffer.from("value");
    const keeps: OpenFilter = (host) => ({
      requestHeaders: () => {
        host.setProperty(["mine"], kept);
        kept.fill(0);
        return "continue";
      },
    });
    const reads: OpenFilter = (host) => ({
      requestHeaders: () => {
        for (const path of [["mine"], ["filter_state", "wasm.mine"]]) {
          const value = host.property(path);
          seen.push(value instanceof Uint8Array ? text(value) : value);
        }
        return "continue";
      },
    });
    await withFilters({ keeps, reads }, async (rig) => {
      await rig.send({ path: "/" });
      assert.deepEqual(seen, ["value", "value"]);
    });
  });

  it("are maps of the phase only", async () => {
    const seen: Record<string, boolean> = {};
    const a: OpenFilter = (host) => {
      const look = (phase: string): "continue" => {
        for (const map of ["request-headers", "response-headers"] as const) {
          seen[`${phase} ${map}`] = host.headers(map) !== undefined;
        }
        seen[`${phase} body`] = host.body("request") !== undefined;
        return "continue";
      };
      const callbacks: Callbacks = {
        requestHeaders: () => look("request"),
        requestBody: () => look("body"),
        responseHeaders: () => look("response"),
      };
      return { ...callbacks, end: () => look("end") };
    };
    await withFilters({ a }, async (rig) => {
      await rig.send({ method: "POST", path: "/" }, "x");
      assert.deepEqual(seen, {
        "request request-headers": true,
        "request response-headers": false,
        "request body": false,
        "body request-headers": true,
        "body response-headers": false,
        "body body": true,
        "response request-headers": true,
        "response response-headers": true,
        "response body": false,
        "end request-headers": true,
        "end response-headers": true,
        "end body": false,
      });
    });
  });
});
