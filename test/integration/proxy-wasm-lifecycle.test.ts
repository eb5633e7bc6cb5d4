/** Deploying and pooling real Proxy-Wasm guests: what runtime/plugin asks of runtime/proxy-wasm. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { stringify } from "yaml";
import { makeArtifact, type PluginArtifact } from "../../runtime/plugin/artifact.ts";
import type { PluginUse } from "../../runtime/plugin/contract.ts";
import { defaultCrashLimits } from "../../runtime/plugin/crash-budget.ts";
import { proxyWasmEngine } from "../../runtime/proxy-wasm/engine.ts";
import { openRegistry } from "../support/plugin-registry.ts";
import { spinningService } from "../support/spinning-service.ts";
import { ToyRequest, toyEngine, toyModule } from "../support/toy-engine.ts";
import { assemble } from "../support/wat.ts";

const engines = [proxyWasmEngine(), toyEngine];
const spinning = await spinningService();

const artifact = (bytes: Uint8Array<ArrayBuffer>, manifest: Readonly<Record<string, unknown>> = {}): PluginArtifact =>
  makeArtifact(bytes, "spin.wasm", {
    text: stringify({ name: "spin", kind: "service", ...manifest }),
    path: "spin.yaml",
  });

function send(use: PluginUse, headers: Readonly<Record<string, string>> = {}): ToyRequest & { end(): void } {
  const request = new ToyRequest(0, headers);
  const filter = request.send(use);
  return Object.assign(request, { end: () => filter.end() });
}

const modes: readonly [what: string, manifest: Readonly<Record<string, unknown>>][] = [
  ["in one shared instance", { suspends: false }],
  ["in instances that may wait for the host", { suspends: true }],
  ["in an instance for each stream", { suspends: false, isolation: "stream" }],
  ["in an instance for each stream that may wait", { suspends: true, isolation: "stream" }],
];

for (const [what, manifest] of modes) {
  describe(`Proxy-Wasm guests ${what}`, () => {
    it("answer, and go with what they did still counted", async () => {
      await using open = openRegistry({ engines });
      const { engine } = await open.registry.deploy(artifact(spinning, manifest));
      assert.equal(engine, "proxy-wasm 0.2.1");
      await using use = await open.registry.use("spin", {});
      for (let count = 0; count < 20; count++) {
        const request = send(use);
        await request.happened("responded 200");
        request.end();
      }
      const status = open.registry.list()[0];
      assert.ok(status !== undefined && status.memoryBytes >= status.largestMemoryBytes);
      assert.ok(status.largestMemoryBytes >= 65_536 && status.largestMemoryBytes <= status.memoryLimitBytes);
      assert.ok(status.budgetShare > 0 && status.budgetShare < 1);
      await open.registry.remove("spin");
      const text = await open.metrics.expose();
      assert.match(text, /outrigger_plugin_calls_total\{plugin="spin"\} [2-9]\d/);
      assert.match(text, /outrigger_plugin_callback_duration_seconds_count\{plugin="spin",callback="[a-z_]+"\} 1/);
    });

    it("end by fuel when they run for ever; requests after it are served, until it was too often", async () => {
      await using open = openRegistry({ engines, crashLimits: { ...defaultCrashLimits, most: 4 } });
      await open.registry.deploy(artifact(spinning, { ...manifest, limits: { budget: "1ms" } }));
      await using use = await open.registry.use("spin", {});
      for (let crash = 1; crash <= 3; crash++) {
        await send(use, { "x-spin": "1" }).happened("failed fuel");
        const request = send(use);
        await request.happened("responded 200");
        request.end();
      }
      await send(use, { "x-spin": "1" }).happened("failed fuel");
      assert.equal(use.ready, false);
      const after = open.registry.list()[0];
      assert.equal(after?.state, "crashed");
      assert.equal(after?.traps, 4);
    });

    it("finish the streams that began on the version before", async () => {
      await using open = openRegistry({ engines });
      await open.registry.deploy(artifact(spinning, manifest));
      await using use = await open.registry.use("spin", {});
      const begun = new ToyRequest(0);
      const filter = use.open(begun);
      await open.registry.deploy(artifact(await toyModule(202), { suspends: false }));
      const later = new ToyRequest(3);
      later.send(use).end();
      assert.deepEqual(later.events, ["responded 202", "pause"]);
      filter.requestHeaders(true);
      await begun.happened("responded 200");
      filter.end();
    });
  });
}

describe("a Proxy-Wasm module that cannot start", () => {
  const refusals: readonly [why: string, text: string, message: RegExp][] = [
    [
      "speaks another version of the ABI",
      '(func (export "proxy_abi_version_0_9_9"))',
      /of no kind that can run here|speaks/,
    ],
    [
      "imports what does not exist",
      '(import "env" "proxy_no_such" (func)) (memory (export "memory") 1) (func (export "proxy_abi_version_0_2_1")) (func (export "malloc") (param i32) (result i32) (i32.const 8))',
      /proxy_no_such/,
    ],
    [
      "refuses its configuration",
      '(memory (export "memory") 1) (func (export "proxy_abi_version_0_2_1")) (func (export "malloc") (param i32) (result i32) (i32.const 8)) (func (export "proxy_on_configure") (param i32 i32) (result i32) (i32.const 0))',
      /configuration/,
    ],
  ];
  for (const [why, text, message] of refusals) {
    it(`because it ${why} is refused, and nothing changes`, async () => {
      await using open = openRegistry({ engines });
      await open.registry.deploy(artifact(spinning));
      const bytes = await assemble("refused", `(module ${text})`);
      await assert.rejects(open.registry.deploy(artifact(bytes, { configuration: "x" })), {
        name: "PluginError",
        message,
      });
      assert.equal(open.registry.list()[0]?.state, "serving");
    });
  }
});
