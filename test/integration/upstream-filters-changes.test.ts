/** Filters of an upstream as the configuration and what is deployed change. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Upstreams } from "../../runtime/egress/upstreams.ts";
import type { StreamHost } from "../../runtime/plugin/contract.ts";
import { createLog } from "../../runtime/telemetry/log.ts";
import { eventually } from "../conformance/backend.ts";
import { text } from "./ingress-filters-rig.ts";
import { EchoClient, serveGrpc, status } from "./ingress-http2-rig.ts";
import { openRig, Plugins, serveEcho } from "./ingress-rig.ts";
import { marking, never, passed, question, routed, upstreamsOf, withUpstreamFilters } from "./upstream-filters-rig.ts";

describe("the filters of an upstream, by the configuration", () => {
  it("are in force before any request passes", async () => {
    await using server = await serveEcho();
    await using rig = await openRig({ ingress: {} });
    const upstreams = upstreamsOf({ endpoints: [server.address], filters: ["one"] });
    await using alone = new Upstreams({ upstreams, log: createLog({ level: "silent" }) });
    const refused = /the filters of upstream 'backend' are not in force/;
    await assert.rejects(alone.httpCall("backend", question, never), refused);
    const filters = await alone.filterWith(rig.plugins.add("one", marking("one")));
    assert.deepEqual(passed(text((await alone.httpCall("backend", question, never)).body)), ["one"]);
    await filters[Symbol.asyncDispose]();
    await assert.rejects(alone.httpCall("backend", question, never), refused);
    assert.equal(rig.plugins.uses, 0);
  });

  it("change with the configuration, while requests end on those that they began on", async () => {
    const held: StreamHost[] = [];
    await using scene = await withUpstreamFilters(
      {
        old: (host) => ({
          requestHeaders: () => {
            held.push(host);
            host.headers("request-headers")?.add("x-passed", "old");
            return "pause";
          },
        }),
      },
      { others: { new: marking("new") } },
    );
    const { rig, plugins, settings } = scene;
    const waiting = rig.send({});
    await eventually("held.length is 1", () => held.length === 1);
    await rig.upstreams.update(upstreamsOf({ ...settings, filters: ["new"] }));
    assert.deepEqual(passed((await rig.send({})).body), ["new"]);
    assert.equal(plugins.uses, 2);
    held[0]?.resume("request");
    assert.deepEqual(passed((await waiting).body), ["old"]);
    await eventually("plugins.uses is 1", () => plugins.uses === 1);
    await rig.upstreams.update(upstreamsOf({ ...settings, filters: [] }));
    assert.deepEqual(passed((await rig.send({})).body), []);
    await eventually("plugins.uses is 0", () => plugins.uses === 0);
  });

  it("let a request that they hold go where it began, when its upstream is configured no more", async () => {
    await using backend = await serveGrpc();
    const held: StreamHost[] = [];
    const plugins = new Plugins().add("holding", (host) => ({
      requestHeaders: () => {
        held.push(host);
        return "pause";
      },
    }));
    await using rig = await openRig({
      ingress: routed,
      upstreams: { backend: { endpoints: [backend.address], protocol: "grpc", filters: ["holding"] } },
      plugins,
    });
    using client = new EchoClient(`127.0.0.1:${rig.port}`);
    const answer = client.unary("hello");
    await eventually("the request is held", () => held.length === 1);
    await rig.ingress.update(rig.section({ routes: [] }));
    await rig.upstreams.update({});
    held[0]?.resume("request");
    const { code, message } = await answer;
    assert.deepEqual([code, message], [status.OK, "hello"]);
    await eventually("plugins.uses is 0", () => plugins.uses === 0);
  });

  it("stay as they are when a plugin refuses its configuration, or is no filter", async () => {
    await using scene = await withUpstreamFilters({ one: marking("one") });
    const { rig, plugins, settings } = scene;
    const change = (filters: unknown[]) => rig.upstreams.update(upstreamsOf({ ...settings, filters }));
    await assert.rejects(change(["one", { plugin: "one", configuration: "refuse" }]), /it was refused/);
    plugins.services.add("orders");
    await assert.rejects(
      change(["one", "orders"]),
      /plugin 'orders' is of kind service; upstreams\.backend\.filters takes plugins of kind filter/,
    );
    assert.equal(plugins.uses, 1);
    assert.deepEqual(passed((await rig.send({})).body), ["one"]);
    plugins.services.add("one");
    assert.equal((await rig.send({})).body, "plugin 'one' cannot serve now\n");
    assert.deepEqual(rig.upstreams.readiness(), ["one"]);
  });

  it("are named by readiness as long as a plugin is missing", async () => {
    await using scene = await withUpstreamFilters({ one: marking("one") });
    assert.deepEqual(scene.rig.upstreams.readiness(), []);
    scene.plugins.remove("one");
    assert.deepEqual(scene.rig.upstreams.readiness(), ["one"]);
    assert.equal((await scene.rig.send({})).status, 503);
    assert.equal((await scene.rig.record()).details, "plugin_missing");
  });

  it("let the requests that they hold end when the sidecar does", async () => {
    await using server = await serveEcho();
    const plugins = new Plugins().add("holding", () => ({ requestHeaders: () => "pause" }));
    const rig = await openRig({
      ingress: {},
      upstreams: { backend: { endpoints: [server.address], filters: ["holding"] } },
      plugins,
    });
    const call = assert.rejects(rig.upstreams.httpCall("backend", question, never), /the proxy is shutting down/);
    await eventually("plugins.opened is 1", () => plugins.opened === 1);
    await rig[Symbol.asyncDispose]();
    await call;
    assert.deepEqual([plugins.uses, plugins.ended], [0, 1]);
  });
});
