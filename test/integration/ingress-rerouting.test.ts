import assert from "node:assert/strict";
import http2 from "node:http2";
import { text } from "node:stream/consumers";
import { describe, it } from "node:test";
import { makeArtifact } from "../../runtime/plugin/artifact.ts";
import type { StreamHost } from "../../runtime/plugin/contract.ts";
import { proxyWasmEngine } from "../../runtime/proxy-wasm/engine.ts";
import { openRegistry } from "../support/plugin-registry.ts";
import { drop, guestText } from "../support/proxy-wasm-guest.ts";
import { assemble } from "../support/wat.ts";
import { deadAddress, type OpenFilter, openRig, Plugins, type Rig, serve } from "./ingress-rig.ts";

const blue = { match: { prefix: "/blue" }, to: { upstream: "blue" } };
const green = { match: { prefix: "/green" }, filters: ["greenish"], to: { upstream: "green" } };

/** Two upstreams that answer with their name, and routes of the test to them. */
async function withUpstreams(
  ingress: object,
  filters: Readonly<Record<string, OpenFilter>>,
  test: (rig: Rig) => Promise<void>,
): Promise<void> {
  const plugins = new Plugins();
  for (const [name, open] of Object.entries(filters)) plugins.add(name, open);
  await using blueServer = await serve((_request, response) => response.end("blue"));
  await using greenServer = await serve((_request, response) => response.end("green"));
  await using rig = await openRig({
    ingress,
    upstreams: { blue: { endpoints: [blueServer.address] }, green: { endpoints: [greenServer.address] } },
    plugins,
  });
  await test(rig);
}

/** Counts its requests, and gives the head a path when it is told one. */
function rewriting(seen: string[], name: string, path?: string, act?: (host: StreamHost) => void): OpenFilter {
  return (host) => ({
    requestHeaders: () => {
      seen.push(name);
      if (path !== undefined) host.headers("request-headers")?.set(":path", path);
      act?.(host);
      return "continue";
    },
  });
}

describe("a request whose head a filter of every route changed", () => {
  it("takes the route that matches then, with its filters and its name", async () => {
    const seen: string[] = [];
    await withUpstreams(
      { filters: ["front"], routes: [{ ...blue, filters: ["bluish"] }, green] },
      {
        front: rewriting(seen, "front", "/green/1"),
        bluish: rewriting(seen, "bluish"),
        greenish: rewriting(seen, "greenish"),
      },
      async (rig) => {
        assert.equal((await rig.send({ path: "/blue" })).body, "green");
        const { route, path, upstream } = await rig.record();
        assert.deepEqual([route, path, upstream], ["/green*", "/blue", "green"]);
        assert.deepEqual(seen, ["front", "greenish"]);
      },
    );
  });

  it("has a route though it had none, and has none though it had one", async () => {
    const target: OpenFilter = (host) => ({
      requestHeaders: () => {
        const headers = host.headers("request-headers");
        headers?.set(":path", headers.get("x-path") ?? "");
        return "continue";
      },
    });
    await withUpstreams({ filters: ["front"], routes: [blue] }, { front: target }, async (rig) => {
      const lost = await rig.send({ path: "/blue", headers: { "x-path": "/nowhere" } });
      assert.equal(lost.status, 404);
      const { route, details } = await rig.record();
      assert.deepEqual([route, details], [undefined, "route_not_found"]);
      const found = await rig.send({ path: "/nowhere", headers: { "x-path": "/blue" } });
      assert.equal(found.body, "blue");
    });
  });

  it("goes on as it was when it still matches its route", async () => {
    const seen: string[] = [];
    const route = { match: { prefix: "/" }, filters: ["greenish"], to: { upstream: "green" } };
    await withUpstreams(
      { filters: ["front"], routes: [route] },
      { front: rewriting(seen, "front", "/other"), greenish: rewriting(seen, "greenish") },
      async (rig) => {
        assert.equal((await rig.send({ path: "/" })).body, "green");
        assert.deepEqual(seen, ["front", "greenish"]);
      },
    );
  });

  it("may go to a plugin in place of an upstream, and to an upstream in place of a plugin", async () => {
    const plugin = { match: { prefix: "/plugin" }, to: { plugin: "desk" } };
    const desk: OpenFilter = (host) => ({
      requestHeaders: () => {
        host.respond({ status: 200, details: "", headers: [], body: Buffer.from("desk") });
        return "pause";
      },
    });
    const swap: OpenFilter = (host) => ({
      requestHeaders: () => {
        const headers = host.headers("request-headers");
        headers?.set(":path", headers.get(":path") === "/blue" ? "/plugin" : "/blue");
        return "continue";
      },
    });
    await withUpstreams({ filters: ["swap"], routes: [blue, plugin] }, { swap, desk }, async (rig) => {
      assert.equal((await rig.send({ path: "/blue" })).body, "desk");
      assert.equal((await rig.send({ path: "/plugin" })).body, "blue");
    });
  });

  it("is answered 404 by way of those filters when nothing matches", async () => {
    const stamp: OpenFilter = (host) => ({
      responseHeaders: () => {
        host.headers("response-headers")?.set("x-front", "seen");
        return "continue";
      },
    });
    await withUpstreams({ filters: ["stamp"], routes: [blue] }, { stamp }, async (rig) => {
      const { status, headers } = await rig.send({ path: "/" });
      assert.deepEqual([status, headers["x-front"]], [404, "seen"]);
    });
  });

  it("takes another route over HTTP/2, too", async () => {
    const seen: string[] = [];
    await withUpstreams(
      { filters: ["front"], routes: [blue, green] },
      { front: rewriting(seen, "front", "/green"), greenish: rewriting(seen, "greenish") },
      async (rig) => {
        const session = http2.connect(`http://127.0.0.1:${rig.port}`);
        for (const path of ["/blue", "/nowhere"]) {
          assert.equal(await text(session.request({ ":path": path })), "green");
        }
        session.destroy();
        assert.deepEqual(seen, ["front", "greenish", "front", "greenish"]);
      },
    );
  });

  it("has the time of the route that it takes", async () => {
    const seen: string[] = [];
    const ingress = {
      filters: ["front"],
      routes: [
        { ...blue, timeout: "10s" },
        { match: { prefix: "/stuck" }, timeout: "30ms", to: { upstream: "stuck" } },
      ],
    };
    const plugins = new Plugins().add("front", rewriting(seen, "front", "/stuck"));
    await using stuck = await serve(() => undefined);
    await using rig = await openRig({
      ingress,
      upstreams: { blue: { endpoints: [stuck.address] }, stuck: { endpoints: [stuck.address] } },
      plugins,
    });
    assert.equal((await rig.send({ path: "/blue" })).status, 504);
  });
});

describe("a request whose route a filter clears", () => {
  it("takes another when a plugin of Proxy-Wasm asks for it, by both names that there are", async () => {
    const byFunction = `(call $proxy_call_foreign_function (i32.const 1024) (i32.const 17) ${"(i32.const 0) ".repeat(4)})`;
    const clearing = (marker: string, clear: string): string =>
      guestText((place) => ({
        marker,
        imports: `(import "env" "proxy_clear_route_cache" (func $clear (result i32)))`,
        on: {
          proxy_on_request_headers: `${drop(place("clear_route_cache").replace(/ \(.*/, ""))}
            ${drop(`(call $proxy_replace_header_map_value (i32.const 0) ${place(":path")} ${place("/green")})`)}
            ${drop(clear)} (i32.const 0)`,
        },
      }));
    for (const [marker, clear] of [
      ["proxy_abi_version_0_2_1", byFunction],
      ["proxy_abi_version_0_1_0", "(call $clear)"],
    ] as const) {
      await using plugins = openRegistry({ engines: [proxyWasmEngine()] });
      const manifest = { text: "name: clearing\nkind: filter\n", path: "clearing.yaml" };
      const module = await assemble("clearing", clearing(marker, clear));
      await plugins.registry.deploy(makeArtifact(module, "clearing.wasm", manifest));
      await using greenServer = await serve((request, response) => response.end(request.url));
      await using rig = await openRig({
        ingress: {
          routes: [
            { ...blue, filters: ["clearing"] },
            { ...green, filters: [] },
          ],
        },
        upstreams: {
          blue: { endpoints: [await deadAddress()] },
          green: { endpoints: [greenServer.address] },
        },
        source: plugins.registry,
      });
      assert.equal((await rig.send({ path: "/blue" })).body, "/green");
    }
  });

  it("takes the destination that matches then, and no filter sees it twice", async () => {
    const seen: string[] = [];
    const clear = (host: StreamHost) => host.clearRoute();
    await withUpstreams(
      { filters: ["front"], routes: [{ ...blue, filters: ["bluish", "last"] }, green] },
      {
        front: rewriting(seen, "front"),
        bluish: rewriting(seen, "bluish", "/green", clear),
        last: rewriting(seen, "last"),
        greenish: rewriting(seen, "greenish"),
      },
      async (rig) => {
        assert.equal((await rig.send({ method: "POST", path: "/blue" }, "body")).body, "green");
        assert.deepEqual(seen, ["front", "bluish", "last"]);
        assert.equal((await rig.record()).route, "/green*");
      },
    );
  });

  it("keeps its destination when a filter of its route only changes its head", async () => {
    const seen: string[] = [];
    await withUpstreams(
      { routes: [{ ...blue, filters: ["bluish"] }, green] },
      { bluish: rewriting(seen, "bluish", "/green"), greenish: rewriting(seen, "greenish") },
      async (rig) => assert.equal((await rig.send({ path: "/blue" })).body, "blue"),
    );
  });

  it("goes where it went when it was cleared too late", async () => {
    const late: OpenFilter = (host) => ({
      responseHeaders: () => {
        host.headers("request-headers")?.set(":path", "/green");
        host.clearRoute();
        return "continue";
      },
    });
    await withUpstreams(
      { routes: [{ ...blue, filters: ["late"] }, green] },
      { late, greenish: () => ({}) },
      async (rig) => assert.equal((await rig.send({ path: "/blue" })).body, "blue"),
    );
  });
});
