import assert from "node:assert/strict";
import { once } from "node:events";
import http from "node:http";
import { describe, it } from "node:test";
import { note, reply, text, tracing, withFilters } from "./ingress-filters-rig.ts";
import { collect, type OpenFilter, openRig, Plugins, raw, serve } from "./ingress-rig.ts";

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
