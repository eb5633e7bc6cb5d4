import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { describe, it } from "node:test";
import { promisify } from "node:util";
import { stringify } from "yaml";
import { openRegistry } from "../../test/support/plugin-registry.ts";
import { ToyRequest, toyModule } from "../../test/support/toy-engine.ts";
import { capabilities } from "../config/scalars.ts";
import { makeArtifact, type PluginArtifact } from "./artifact.ts";
import type { PluginUse } from "./contract.ts";
import { defaultCrashLimits } from "./crash-budget.ts";
import { PluginError } from "./plugin-error.ts";

const first = await toyModule(201);
const second = await toyModule(202);

const artifact = (bytes: Uint8Array<ArrayBuffer>, manifest: Readonly<Record<string, unknown>> = {}): PluginArtifact =>
  makeArtifact(bytes, "toy.wasm", { text: stringify({ name: "toy", ...manifest }), path: "toy.yaml" });

/** What a request to the version that runs is answered with. */
function versionOf(use: PluginUse): string {
  const request = new ToyRequest(3);
  request.send(use).end();
  return request.events.join();
}

describe("a deploy", () => {
  it("makes a plugin serve, and tells what is known of it", async () => {
    await using open = openRegistry();
    const bytes = artifact(first, { version: "1.0.0", kind: "service" });
    const status = await open.registry.deploy(bytes);
    assert.deepEqual(
      { ...status, instances: 0, calls: 0, fuel: 0, created: 0, budgetShare: 0 },
      {
        name: "toy",
        version: "1.0.0",
        digest: bytes.digest,
        kind: "service",
        engine: "toy 1",
        state: "serving",
        instances: 0,
        streams: 0,
        calls: 0,
        traps: 0,
        fuel: 0,
        created: 0,
        reloads: 0,
        memoryBytes: 0,
        largestMemoryBytes: 0,
        memoryLimitBytes: 64 * 1024 ** 2,
        budgetShare: 0,
      },
    );
    assert.match(status.digest, /^sha256:[0-9a-f]{64}$/);
    await using use = await open.registry.use("toy", {});
    assert.equal(versionOf(use), "responded 201,pause");
    await open.logged(/^plugin 'toy' 1\.0\.0 is deployed$/);
  });

  it("switches every use at once, while streams that began before end where they began", async () => {
    await using open = openRegistry();
    await open.registry.deploy(artifact(first));
    await using own = await open.registry.use("toy", {});
    await using given = await open.registry.use("toy", { configuration: { rate: 1 } });
    const begun = new ToyRequest(1);
    const filter = begun.send(own);
    await open.registry.deploy(artifact(second));
    assert.deepEqual([own, given].map(versionOf), ["responded 202,pause", "responded 202,pause"]);
    assert.deepEqual(begun.events, ["pause"]);
    assert.equal(open.registry.list()[0]?.streams, 1, "it still runs on the version before");
    filter.end();
    assert.deepEqual(begun.events, ["pause"]);
  });

  const refused: readonly [why: string, artifact: () => PluginArtifact, message: RegExp, fault: string][] = [
    [
      "is not WebAssembly",
      () => artifact(new TextEncoder().encode("this is not a module")),
      /plugin 'toy' cannot be deployed from toy\.wasm: the file is not WebAssembly/,
      "refused",
    ],
    [
      "is cut off",
      () => artifact(second.slice(0, -5)),
      /the section at byte \d+ needs \d+ bytes, the file has/,
      "refused",
    ],
    [
      "is not acceptable to the sandbox",
      () => artifact(new Uint8Array([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, 5, 3, 1, 3, 1])),
      /the module of plugin 'toy' is not acceptable: /,
      "refused",
    ],
    [
      "is of an unknown kind",
      () => artifact(new Uint8Array([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, 1, 4, 1, 0x60, 0, 0])),
      /of no kind that can run here; known: proxy-wasm/,
      "refused",
    ],
    [
      "asks for what it was not granted",
      () => artifact(second, { capabilities: { state: ["orders"] } }),
      /plugin 'toy' asks for state store 'orders', which plugins\.grants does not give it/,
      "refused",
    ],
    ["refuses its configuration", () => artifact(second, { configuration: "refused" }), /refuses/, "configuration"],
    ["crashes at its start", () => artifact(second, { configuration: "crashing" }), /trapped/, "trap"],
  ];
  for (const [why, candidate, message, fault] of refused) {
    it(`that ${why} leaves the version before serving, and says why`, async () => {
      await using open = openRegistry();
      const bare = openRegistry();
      await assert.rejects(bare.registry.deploy(candidate()), { name: "PluginError", fault, message });
      assert.equal(bare.registry.list()[0]?.state, "refused");
      await bare[Symbol.asyncDispose]();

      await open.registry.deploy(artifact(first, { version: "1.0.0" }));
      await using use = await open.registry.use("toy", {});
      await assert.rejects(open.registry.deploy(candidate()), { name: "PluginError", fault, message });
      assert.equal(versionOf(use), "responded 201,pause");
      const status = open.registry.list()[0];
      assert.equal(status?.state, "serving");
      assert.equal(status?.version, "1.0.0");
      assert.match(status?.reason ?? "", message);
      await open.registry.deploy(artifact(second));
      assert.equal(open.registry.list()[0]?.reason, undefined, "the next good deploy clears it");
    });
  }

  it("is refused when the new version cannot be started with a configuration that a route gives", async () => {
    await using open = openRegistry();
    await using use = await open.registry.use("toy", { configuration: "refused" });
    await assert.rejects(open.registry.deploy(artifact(first)), { fault: "configuration" });
    assert.equal(use.ready, false);
    await use[Symbol.asyncDispose]();
    await open.logged(/is deployed/);
    assert.equal(open.registry.list()[0]?.state, "serving", "it is tried again when the route is gone");
  });

  it("of what runs already changes nothing, and forgets a refusal", async () => {
    await using open = openRegistry();
    await open.registry.deploy(artifact(first));
    const { instances } = open.registry.list()[0] ?? assert.fail();
    await assert.rejects(open.registry.deploy(artifact(first.slice(0, -1))));
    const status = await open.registry.deploy(artifact(first));
    assert.equal(status.reason, undefined);
    assert.equal(status.instances, instances);
    assert.equal(open.messages.filter((message) => /is deployed/.test(message)).length, 1);
  });

  it("of a changed manifest counts, and of several at once the last wins", async () => {
    await using open = openRegistry();
    const versions = ["1", "2", "3"].map((version) => open.registry.deploy(artifact(first, { version })));
    await Promise.all(versions);
    assert.equal(open.registry.list()[0]?.version, "3");
  });

  it("brings back a plugin that crashed too often, even when nothing changed", async () => {
    await using open = openRegistry({ crashLimits: { ...defaultCrashLimits, most: 1 } });
    await open.registry.deploy(artifact(first));
    await using use = await open.registry.use("toy", {});
    new ToyRequest(13).send(use);
    assert.equal(use.ready, false);
    const crashed = open.registry.list()[0];
    assert.equal(crashed?.state, "crashed");
    assert.equal(crashed?.traps, 1);
    assert.match(crashed?.reason ?? "", /crashed too often and was taken out/);
    await open.registry.deploy(artifact(first));
    assert.equal(open.registry.list()[0]?.state, "serving");
    assert.equal(versionOf(use), "responded 201,pause");
    assert.equal(open.registry.list()[0]?.traps, 1, "counters do not go back");
  });
});

describe("a use", () => {
  it("of a plugin that is not deployed is not ready, says so, and becomes ready by a deploy", async () => {
    await using open = openRegistry();
    await using use = await open.registry.use("toy", {});
    assert.equal(use.ready, false);
    assert.equal(use.fail, "closed");
    assert.throws(() => use.open(new ToyRequest(0)), { fault: "missing", message: "plugin 'toy' is not deployed" });
    await open.registry.deploy(artifact(first, { fail: "open" }));
    assert.equal(use.ready, true);
    assert.equal(use.fail, "open");
    assert.equal(versionOf(use), "responded 201,pause");
  });

  it("is rejected when the guest refuses the configuration, and leaves other uses alone", async () => {
    await using open = openRegistry();
    await open.registry.deploy(artifact(first));
    await using use = await open.registry.use("toy", {});
    await assert.rejects(open.registry.use("toy", { configuration: "refused" }), { fault: "configuration" });
    assert.equal(use.ready, true);
  });

  it("shares instances with uses of the same configuration, and gives them up with the last", async () => {
    await using open = openRegistry();
    const instances = (): number | undefined => open.registry.list()[0]?.instances;
    await open.registry.deploy(artifact(first, { configuration: "own" }));
    await using own = await open.registry.use("toy", {});
    await using same = await open.registry.use("toy", { configuration: "own" });
    const other = await open.registry.use("toy", { configuration: "other" });
    assert.ok(own.ready && same.ready && other.ready);
    const before = instances() ?? 0;
    await other[Symbol.asyncDispose]();
    while ((instances() ?? 0) >= before) await new Promise((resolve) => setImmediate(resolve));
    assert.equal(versionOf(same), "responded 201,pause");
  });

  it("takes its fail policy from the route, else from the manifest", async () => {
    await using open = openRegistry();
    await open.registry.deploy(artifact(first, { fail: "reload" }));
    await using own = await open.registry.use("toy", {});
    await using given = await open.registry.use("toy", { fail: "open" });
    assert.deepEqual([own.fail, given.fail], ["reload", "open"]);
  });
});

describe("removing a plugin", () => {
  it("leaves its uses not ready and its streams running, and a deploy brings it back", async () => {
    await using open = openRegistry();
    await open.registry.deploy(artifact(first));
    await using use = await open.registry.use("toy", {});
    const begun = new ToyRequest(1);
    const filter = begun.send(use);
    await open.registry.remove("toy");
    assert.equal(use.ready, false);
    assert.throws(() => use.open(new ToyRequest(0)), { fault: "missing" });
    assert.deepEqual(open.registry.list(), []);
    assert.deepEqual(begun.events, ["pause"]);
    filter.end();
    await open.registry.deploy(artifact(second));
    assert.equal(versionOf(use), "responded 202,pause");
  });
});

describe("changed grants", () => {
  const granted = { toy: capabilities.parse({ state: ["orders"] }) };
  const asking = artifact(first, { capabilities: { state: ["orders"] } });

  it("take a plugin out that asks for more than it has now, and bring it back when they suffice", async () => {
    await using open = openRegistry({ grants: granted });
    await open.registry.deploy(asking);
    await using use = await open.registry.use("toy", {});
    await open.registry.updateGrants({});
    assert.equal(use.ready, false);
    const status = open.registry.list()[0];
    assert.equal(status?.state, "refused");
    assert.match(status?.reason ?? "", /asks for state store 'orders'/);
    await open.registry.updateGrants(granted);
    assert.equal(use.ready, true);
    assert.equal(open.registry.list()[0]?.reason, undefined);
  });

  it("deploy what was refused for its grants", async () => {
    await using open = openRegistry();
    await using use = await open.registry.use("toy", {});
    await assert.rejects(open.registry.deploy(asking), { fault: "refused" });
    await open.registry.updateGrants(granted);
    await open.logged(/is deployed/);
    assert.equal(use.ready, true);
  });

  it("leave alone what they still suffice for", async () => {
    await using open = openRegistry({ grants: granted });
    await open.registry.deploy(asking);
    const before = open.registry.list();
    await open.registry.updateGrants({ toy: capabilities.parse({ state: ["orders", "carts"] }) });
    assert.equal(open.registry.list()[0]?.calls, before[0]?.calls);
  });
});

describe("the registry's metrics", () => {
  it("count calls, traps, fuel, instances and deploys for each plugin", async () => {
    await using open = openRegistry();
    await open.registry.deploy(artifact(first, { kind: "service" }));
    await using use = await open.registry.use("toy", {});
    new ToyRequest(13).send(use);
    await assert.rejects(open.registry.deploy(artifact(first.slice(0, -1))));
    const text = await open.metrics.expose();
    assert.match(text, /outrigger_plugin_traps_total\{plugin="toy",fault="trap"\} 1/);
    assert.match(text, /outrigger_plugin_deploys_total\{plugin="toy",result="deployed"\} 1/);
    assert.match(text, /outrigger_plugin_deploys_total\{plugin="toy",result="refused"\} 1/);
    assert.match(text, /outrigger_plugin_calls_total\{plugin="toy"\} [2-9]/);
    assert.match(text, /outrigger_plugin_fuel_total\{plugin="toy"\} [1-9]/);
    assert.match(text, /outrigger_plugin_instances\{plugin="toy"\} [1-9]/);
    assert.match(text, /outrigger_plugin_created_total\{plugin="toy"\} [23]/);
    assert.match(text, /outrigger_plugin_memory_limit_bytes\{plugin="toy"\} 67108864/);
  });

  it("are gone with the registry", async () => {
    const open = openRegistry();
    await open.registry.deploy(artifact(first, { kind: "service" }));
    assert.match(await open.metrics.expose(), /outrigger_plugin_/);
    await open[Symbol.asyncDispose]();
    assert.doesNotMatch(await open.metrics.expose(), /outrigger_plugin_/);
  });
});

describe("a registry that is closed", () => {
  it("lets instances finish, fails the streams that are left, and deploys nothing more", async () => {
    const open = openRegistry({ closeMs: 1 });
    await open.registry.deploy(artifact(first));
    const use = await open.registry.use("toy", {});
    const begun = new ToyRequest(1);
    begun.send(use);
    await open[Symbol.asyncDispose]();
    assert.deepEqual(begun.events, ["pause", "failed closed"]);
    await assert.rejects(open.registry.deploy(artifact(second)), { fault: "closed" });
    await assert.rejects(open.registry.use("toy", {}), { fault: "closed" });
  });

  it("does not wait for a deploy that is under way, and leaves nothing of it behind", async () => {
    const open = openRegistry({ closeMs: 1 });
    const deploy = open.registry.deploy(artifact(first));
    const outcome = deploy.then(
      () => "deployed",
      (error: unknown) => (error instanceof PluginError ? error.fault : String(error)),
    );
    await open[Symbol.asyncDispose]();
    assert.notEqual(await outcome, "deployed");
    assert.ok(open.registry.list().every(({ instances }) => instances === 0));
  });
});

describe("the registry", () => {
  it("loads anew what it could not load where no more files may be open", async () => {
    const address = (path: string): string => JSON.stringify(import.meta.resolve(path));
    const program = `
      import { closeSync, openSync } from "node:fs";
      import { createLog } from ${address("../telemetry/log.ts")};
      import { Metrics } from ${address("../telemetry/metrics.ts")};
      import { PluginRegistry } from ${address("./registry.ts")};
      const none = () => Promise.reject(new Error("there is none"));
      const log = createLog({ level: "silent" });
      const registry = new PluginRegistry({ metrics: new Metrics(), log, grants: {}, toolchain: none, services: none });
      const tell = ({ code }) => console.log(code);
      const open = [];
      try {
        for (;;) open.push(openSync("/dev/null", "r"));
      } catch {}
      registry.expect();
      await registry.use("some", {}).catch(tell);
      open.forEach((file) => closeSync(file));
      const use = await registry.use("some", {});
      console.log("ready:", use.ready);
      await use[Symbol.asyncDispose]();
      await registry[Symbol.asyncDispose]();
      console.log("closed");`;
    const node = [process.execPath, "--no-warnings", "--input-type=module", "--eval", program];
    const { stdout } = await promisify(execFile)("sh", ["-c", 'ulimit -n 100 && exec "$@"', "sh", ...node]);
    assert.equal(stdout, "EMFILE\nready: false\nclosed\n");
  });
});
