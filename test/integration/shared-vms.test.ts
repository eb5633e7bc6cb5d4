/** Plugins that share VMs, as they are deployed and used: several configurations of one, and several of one VM id. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { stringify } from "yaml";
import { pluginGrants } from "../../runtime/config/scalars.ts";
import { makeArtifact, type PluginArtifact } from "../../runtime/plugin/artifact.ts";
import type { PluginUse } from "../../runtime/plugin/contract.ts";
import { proxyWasmEngine } from "../../runtime/proxy-wasm/engine.ts";
import { encodePairs } from "../../runtime/proxy-wasm/pairs.ts";
import { eventually } from "../conformance/backend.ts";
import { openRegistry } from "../support/plugin-registry.ts";
import { cell, drop, guestText, out, type PlaceText, tell } from "../support/proxy-wasm-guest.ts";
import { TestServices, TestStream } from "../support/proxy-wasm-host.ts";
import { assemble } from "../support/wat.ts";
import { openRig, serve } from "./ingress-rig.ts";

const configuration = drop(`(call $proxy_get_buffer_bytes (i32.const 7) (i32.const 0) (i32.const 100) ${out})`);
const outValue = "(i32.load (i32.const 0)) (i32.load (i32.const 4))";
const none = "(i32.const 0) (i32.const 0)";
const callTo = (text: PlaceText, path: string): string => {
  const fields: [string, string][] = [
    [":method", "GET"],
    [":path", path],
    [":authority", "auth"],
  ];
  const headers = Buffer.from(encodePairs(fields)).toString("latin1");
  return drop(`(call $proxy_http_call ${text("auth")} ${text(headers)} ${none} ${none} (i32.const 0) ${cell})`);
};

/**
 * Counts requests in a global, and tells each how many there were and its own configuration. When a request has `x-crash`, or
 * one with a body `x-crash-late`, a configuration of 6 bytes traps; one of 9 bytes traps at once. Ticks and answers are logged with the configuration.
 */
const counter = await assemble(
  "counter",
  guestText((text) => ({
    fields: "(global $requests (mut i32) (i32.const 0))",
    on: {
      proxy_on_configure: `(if (i32.eq (local.get $size) (i32.const 9)) (then (unreachable)))
        (if (i32.eq (local.get $size) (i32.const 5)) (then ${callTo(text, "/of-first")}) (else ${callTo(text, "/of-other")}))
        ${drop("(call $proxy_set_tick_period_milliseconds (i32.const 10))")} (i32.const 1)`,
      proxy_on_tick: `${configuration} ${tell}`,
      proxy_on_http_call_response: `${configuration} ${tell}
        ${drop(`(call $proxy_get_buffer_bytes (i32.const 4) (i32.const 0) (local.get $size) ${out})`)} ${tell}`,
      proxy_on_request_headers: `
        (global.set $top (i32.const 32768))
        (global.set $requests (i32.add (global.get $requests) (i32.const 1)))
        ${drop(`(call $proxy_define_metric (i32.const 0) ${text("seen")} ${cell})`)}
        ${drop(`(call $proxy_increment_metric (i32.load ${cell}) (i64.const 1))`)}
        ${configuration}
        ${drop(`(call $proxy_add_header_map_value (i32.const 0) ${text("x-configuration")} ${outValue})`)}
        (if (i32.and (i32.eq (i32.load (i32.const 4)) (i32.const 6))
              (i32.eqz (call $proxy_get_header_map_value (i32.const 0) ${text("x-crash")} ${out})))
          (then (unreachable)))
        (i32.store8 ${cell} (i32.add (i32.const 48) (global.get $requests)))
        ${drop(`(call $proxy_add_header_map_value (i32.const 0) ${text("x-count")} ${cell} (i32.const 1))`)}
        (i32.const 0)`,
      proxy_on_request_body: `
        ${configuration}
        (if (i32.and (i32.eq (i32.load (i32.const 4)) (i32.const 6))
              (i32.eqz (call $proxy_get_header_map_value (i32.const 0) ${text("x-crash-late")} ${out})))
          (then (unreachable)))
        (i32.const 0)`,
    },
  })),
);

const artifact = (manifest: Readonly<Record<string, unknown>> = {}): PluginArtifact =>
  makeArtifact(counter, "counter.wasm", { text: stringify({ name: "counter", ...manifest }), path: "counter.yaml" });

/** Sends a request through the use, and gives the stream, which goes on. */
function request(use: PluginUse, fields: readonly (readonly [name: string, value: string])[] = []) {
  const stream = new TestStream(fields);
  const filter = use.open(stream);
  filter.requestHeaders(true);
  return Object.assign(stream, { filter, count: stream.maps["request-headers"]?.get("x-count") });
}

const crash = (use: PluginUse) => request(use, [["x-crash", "1"]]);

/** Lets started spares be there. */
const settled = (open: ReturnType<typeof openRegistry>, instances: number): Promise<void> =>
  eventually(`there are ${instances} instances`, () => {
    const sum = open.registry.list().reduce((total, { instances: some }) => total + some, 0);
    return sum === instances;
  });

describe("a plugin with two configurations in one chain", () => {
  it("runs in one VM, in which each has its configuration, its ticks and its answers", async () => {
    const services = new TestServices();
    services.upstreams.set("auth", async ({ headers }) => ({
      headers: [],
      body: Buffer.from(`answer${headers.find(([name]) => name === ":path")?.[1]}`),
      trailers: [],
    }));
    await using open = openRegistry({ engines: [proxyWasmEngine()], services: () => services });
    await open.registry.deploy(artifact());
    await using backend = await serve((request, response) => {
      response.end(`${request.headers["x-configuration"]} | ${request.headers["x-count"]}`);
    });
    const filters = ["first", "second"].map((configuration) => ({ plugin: "counter", configuration }));
    await using rig = await openRig({
      ingress: { routes: [{ match: { prefix: "/" }, to: { upstream: "backend" }, filters }] },
      upstreams: { backend: { endpoints: [backend.address] } },
      source: open.registry,
    });
    assert.equal((await rig.send({ path: "/" })).body, "first, second | 1, 2");
    assert.equal((await rig.send({ path: "/" })).body, "first, second | 3, 4");
    for (const line of ["answer/of-first", "answer/of-other"]) await services.logged(line);
    const told = services.lines.map((line, at) => (line.startsWith("answer") ? [services.lines[at - 1], line] : []));
    for (const [whose, answer] of told.filter((pair) => pair.length > 0))
      assert.equal(answer, whose === "first" ? "answer/of-first" : "answer/of-other");
    services.lines.length = 0;
    for (const line of ["first", "second"]) await services.logged(line);
  });

  it("loses the streams of both in a crash, after which both are there again and share a VM", async () => {
    await using open = openRegistry({ engines: [proxyWasmEngine()] });
    await open.registry.deploy(artifact());
    await using first = await open.registry.use("counter", { configuration: "first" });
    await using second = await open.registry.use("counter", { configuration: "second" });
    await settled(open, 4);
    const [ofFirst, ofSecond] = [request(first), request(second)];
    assert.deepEqual([ofFirst.count, ofSecond.count], ["1", "2"]);
    assert.deepEqual(crash(second).events, ["failed trap"]);
    assert.deepEqual([ofFirst.events, ofSecond.events], [["failed shared"], ["failed trap"]]);
    assert.deepEqual([request(first).count, request(second).count], ["1", "2"]);
    await settled(open, 4);
    const metrics = await open.metrics.expose();
    assert.match(metrics, /outrigger_plugin_traps_total\{plugin="counter",fault="trap"\} 1\n/);
    assert.match(metrics, /outrigger_plugin_traps_total\{plugin="counter",fault="shared"\} 1\n/);
  });

  it("is not harmed by a third that traps when it is configured", async () => {
    await using open = openRegistry({ engines: [proxyWasmEngine()] });
    await open.registry.deploy(artifact());
    await using first = await open.registry.use("counter", { configuration: "first" });
    await settled(open, 2);
    const begun = request(first);
    await assert.rejects(open.registry.use("counter", { configuration: "untenable" }), { fault: "trap" });
    assert.deepEqual(begun.events, []);
    assert.equal(request(first).count, "2");
    await using second = await open.registry.use("counter", { configuration: "second" });
    assert.equal(request(second).count, "3");
  });

  /** The chain of a filter that traps when it is asked to and one beside it, before a server that counts whole requests. */
  async function openChain(open: ReturnType<typeof openRegistry>, [fail, beside]: readonly string[], isFirst: boolean) {
    await using opening = new AsyncDisposableStack();
    await open.registry.deploy(artifact());
    const served: (string | undefined)[] = [];
    const backend = opening.use(
      await serve(async (request, response) => {
        try {
          for await (const _ of request);
        } catch {
          return;
        }
        served.push(request.headers["x-configuration"]?.toString());
        response.end("served");
      }),
    );
    const trapping = { plugin: "counter", configuration: "second", fail };
    const other = { plugin: "counter", configuration: "first", fail: beside };
    const filters = isFirst ? [trapping, other] : [other, trapping];
    const rig = opening.use(
      await openRig({
        ingress: { routes: [{ match: { prefix: "/" }, to: { upstream: "backend" }, filters }] },
        upstreams: { backend: { endpoints: [backend.address] } },
        source: open.registry,
      }),
    );
    const owned = opening.move();
    return { rig, served, [Symbol.asyncDispose]: () => owned.disposeAsync() };
  }

  for (const [isFirst, policies, status, seenBy] of [
    [true, ["closed", "closed"], 503, undefined],
    [false, ["closed", "closed"], 503, undefined],
    // The other is asked only now, and its spare answers.
    [true, ["open", "closed"], 200, "second, first"],
    [false, ["open", "closed"], 503, undefined],
    [true, ["open", "open"], 200, "second, first"],
    [false, ["open", "open"], 200, "first, second"],
  ] as const) {
    const place = isFirst ? "before" : "behind";
    it(`answers ${status} when one traps on headers ${place} the other, with fail ${policies.join(" and ")}`, async () => {
      await using open = openRegistry({ engines: [proxyWasmEngine()] });
      await using chain = await openChain(open, policies, isFirst);
      const answer = await chain.rig.send({ path: "/", headers: { "x-crash": "1" } });
      assert.deepEqual([answer.status, chain.served[0]], [status, seenBy]);
      assert.equal((await chain.rig.send({ path: "/" })).body, "served");
    });
  }

  it("lets no body pass one that is closed, when one before it traps on that body and is open", async () => {
    await using open = openRegistry({ engines: [proxyWasmEngine()] });
    await using chain = await openChain(open, ["open", "closed"], true);
    const request = { method: "POST", path: "/", headers: { "x-crash-late": "1" } };
    await assert.doesNotReject(chain.rig.send(request, "a body"));
    assert.deepEqual(chain.served, []);
  });

  it("has a VM for each where its manifest says so", async () => {
    await using open = openRegistry({ engines: [proxyWasmEngine()] });
    await open.registry.deploy(artifact({ isolation: "configuration" }));
    await using first = await open.registry.use("counter", { configuration: "first" });
    await using second = await open.registry.use("counter", { configuration: "second" });
    assert.deepEqual([request(first).count, request(second).count], ["1", "1"]);
  });

  it("goes on with one when the other is not used any more", async () => {
    await using open = openRegistry({ engines: [proxyWasmEngine()] });
    await open.registry.deploy(artifact());
    await using first = await open.registry.use("counter", { configuration: "first" });
    const second = await open.registry.use("counter", { configuration: "second" });
    await settled(open, 4);
    const begun = request(first);
    request(second).filter.end();
    await second[Symbol.asyncDispose]();
    await settled(open, 2);
    begun.filter.end();
    assert.deepEqual(begun.events, []);
    assert.equal(request(first).count, "3");
  });

  it("has other VMs with its next version, and finishes its streams in those before", async () => {
    await using open = openRegistry({ engines: [proxyWasmEngine()] });
    await open.registry.deploy(artifact());
    await using first = await open.registry.use("counter", { configuration: "first" });
    await using second = await open.registry.use("counter", { configuration: "second" });
    await settled(open, 4);
    const begun = request(first);
    await open.registry.deploy(artifact({ version: "2.0.0" }));
    assert.deepEqual([request(first).count, request(second).count], ["1", "2"]);
    begun.filter.end();
    assert.deepEqual(begun.events, []);
  });
});

describe("plugins of one VM id", () => {
  const grants = { a: pluginGrants.parse({}), b: pluginGrants.parse({ upstreams: ["auth"] }) };

  /** The counts of a request through each, one after the other. */
  async function counts(left: object, right: object): Promise<readonly (string | undefined)[]> {
    await using open = openRegistry({ engines: [proxyWasmEngine()], grants });
    await open.registry.deploy(artifact({ name: "a", vmId: "both", ...left }));
    await open.registry.deploy(artifact({ name: "b", vmId: "both", ...right }));
    await using a = await open.registry.use("a", {});
    await using b = await open.registry.use("b", {});
    return [request(a).count, request(b).count];
  }

  it("share VMs, and have their metrics each", async () => {
    await using open = openRegistry({ engines: [proxyWasmEngine()] });
    for (const name of ["a", "b"]) await open.registry.deploy(artifact({ name, vmId: "both", configuration: name }));
    await using a = await open.registry.use("a", {});
    await using b = await open.registry.use("b", {});
    assert.deepEqual([request(a).count, request(b).count, request(b).count], ["1", "2", "3"]);
    const metrics = await open.metrics.expose();
    assert.match(metrics, /outrigger_plugin_seen\{plugin="a"\} 1\n/);
    assert.match(metrics, /outrigger_plugin_seen\{plugin="b"\} 2\n/);
    await settled(open, 4);
    const [ofA, ofB] = [request(a), request(b)];
    await open.registry.remove("a");
    ofA.filter.end();
    await settled(open, 2);
    assert.deepEqual([ofB.events, request(b).count], [[], "6"]);
  });

  it("leave the VM of a version that serves to it, also when they are the next version", async () => {
    await using open = openRegistry({ engines: [proxyWasmEngine()] });
    for (const name of ["a", "b"]) await open.registry.deploy(artifact({ name, vmId: "both" }));
    await using a = await open.registry.use("a", {});
    await using b = await open.registry.use("b", {});
    await settled(open, 4);
    const [ofA, ofB] = [request(a), request(b)];
    await open.registry.deploy(artifact({ name: "a", vmId: "both", configuration: "second" }));
    crash(a);
    assert.deepEqual([ofA.events, ofB.events], [[], []]);
    assert.equal(request(b).count, "3");
  });

  it("do not when one may reach, use or do other things", async () => {
    assert.deepEqual(await counts({}, {}), ["1", "2"]);
    assert.deepEqual(await counts({}, { capabilities: { upstreams: ["auth"] } }), ["1", "1"]);
    assert.deepEqual(await counts({}, { limits: { memory: "32Mi" } }), ["1", "1"]);
    assert.deepEqual(await counts({}, { vmConfiguration: "its own" }), ["1", "1"]);
    assert.deepEqual(await counts({ vmId: "" }, { vmId: "" }), ["1", "1"]);
  });
});
