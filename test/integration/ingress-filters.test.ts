import assert from "node:assert/strict";
import { once } from "node:events";
import http from "node:http";
import { describe, it } from "node:test";
import { bodyOf, bytes, tracing, withFilters } from "./ingress-filters-rig.ts";
import { collect, type Echoed, fieldsOf, type OpenFilter } from "./ingress-rig.ts";

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
