import assert from "node:assert/strict";
import { once } from "node:events";
import http from "node:http";
import net from "node:net";
import { describe, it } from "node:test";
import type { SettledAction, StreamHost } from "../../runtime/plugin/contract.ts";
import { bodyOf, bytes, reply, text, tracing, withFilters } from "./ingress-filters-rig.ts";
import { collect, type Echoed, fieldsOf } from "./ingress-rig.ts";

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
