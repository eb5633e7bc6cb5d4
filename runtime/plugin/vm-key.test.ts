import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { FunctionRestriction, PluginEngine } from "./contract.ts";
import { parseManifest } from "./manifest.ts";
import type { SandboxedModule } from "./sandbox/sandboxed-module.ts";
import { vmKeyOf } from "./vm-key.ts";

interface Release {
  readonly digest?: string;
  readonly release?: string;
  readonly vmConfiguration?: string;
  readonly restrictions?: readonly FunctionRestriction[];
}

/** The key of a release with that manifest. */
function keyOf(
  manifest: string,
  { digest = "d1", release = "r1", vmConfiguration = "", restrictions = [] }: Release = {},
) {
  const prepared = {
    manifest: parseManifest(`{ ${manifest} }`, "test.yaml", "test"),
    digest,
    module: {} as SandboxedModule,
    engine: {} as PluginEngine,
    speaks: "",
    restrictions,
  };
  return vmKeyOf(prepared, { release, vmConfiguration });
}

describe("the key by which plugins share VMs", () => {
  it("is that of one release when no VM id is given", () => {
    assert.equal(keyOf("name: a"), keyOf("name: a"));
    assert.notEqual(keyOf("name: a", { release: "r1" }), keyOf("name: a", { release: "r2" }));
  });

  it("is the same for plugins of one VM id that differ in what is each one's own", () => {
    const key = keyOf("name: a, vmId: v, version: 1.0.0, configuration: x, rootId: one, fail: open", { release: "r1" });
    const other = keyOf("name: b, vmId: v, version: 2.0.0, allowOnHeadersStopIteration: true, rollout: { warmUp: 5 }", {
      release: "r2",
    });
    assert.equal(key, other);
    assert.notEqual(key, keyOf("name: a, vmId: w"));
    assert.notEqual(keyOf("name: a, vmId: r1", { release: "r9" }), keyOf("name: a", { release: "r1" }));
  });

  for (const [what, manifest] of [
    ["memory", "limits: { memory: 32Mi }"],
    ["budget", "limits: { budget: 1ms }"],
    ["kind", "kind: service, suspends: false"],
    ["grants", "capabilities: { upstreams: [auth] }"],
    ["environment", "environment: { A: b }"],
    ["unknown imports", "unknownImports: stub"],
    ["log of hostcalls", "log: { hostcalls: true }"],
  ] as const) {
    it(`is another one for another ${what}`, () => {
      assert.notEqual(keyOf("name: a, vmId: v"), keyOf(`name: a, vmId: v, ${manifest}`));
    });
  }

  it("is another one for another module, VM configuration or list of functions", () => {
    const functions = [{ by: "test", functions: ["proxy_log"] }];
    const keys = [{}, { digest: "d2" }, { vmConfiguration: "x" }, { restrictions: functions }];
    assert.equal(new Set(keys.map((release) => keyOf("name: a, vmId: v", release))).size, keys.length);
  });

  it("is the same in whatever order names are listed", () => {
    assert.equal(
      keyOf("name: a, vmId: v, capabilities: { upstreams: [x, y] }, environment: { A: a, B: b }"),
      keyOf("name: b, vmId: v, environment: { B: b, A: a }, capabilities: { upstreams: [y, x] }"),
    );
  });

  it("is none for a plugin that waits for the host, or has VMs to itself", () => {
    assert.equal(keyOf("name: a, suspends: true"), undefined);
    assert.equal(keyOf("name: a, kind: service"), undefined);
    assert.equal(keyOf("name: a, isolation: stream"), undefined);
    assert.equal(keyOf("name: a, isolation: configuration"), undefined);
  });
});
