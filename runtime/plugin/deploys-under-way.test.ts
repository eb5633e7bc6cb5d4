import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { stringify } from "yaml";
import { openRegistry } from "../../test/support/plugin-registry.ts";
import { ToyRequest, toyModule } from "../../test/support/toy-engine.ts";
import { assemble } from "../../test/support/wat.ts";
import { makeArtifact, type PluginArtifact } from "./artifact.ts";
import type { DeployStep } from "./operations.ts";
import type { PluginRegistry } from "./registry.ts";

/** Takes about a millisecond for each request that tells it nothing. */
const slow = await assemble(
  "toy-slow",
  `(module
    (func (export "toy"))
    (func (export "version") (result i32) (i32.const 299))
    (func (export "configure") (param $length i32) (result i32) (i32.const 1))
    (func (export "call") (param $x i32) (result i32)
      (local $left i32)
      (if (i32.eqz (local.get $x)) (then
        (local.set $left (i32.const 300000))
        (loop $on
          (local.set $left (i32.sub (local.get $left) (i32.const 1)))
          (br_if $on (local.get $left)))))
      (local.get $x)))`,
);
const modules = [await toyModule(201), await toyModule(202)];

const artifact = (bytes: Uint8Array<ArrayBuffer> | undefined, manifest: Readonly<Record<string, unknown>>) =>
  makeArtifact(bytes ?? assert.fail(), "toy.wasm", { text: stringify({ name: "toy", ...manifest }), path: "toy.yaml" });
const version = (number: 201 | 202): PluginArtifact => artifact(modules[number - 201], { version: String(number) });
const warmedUp = (requests: number): PluginArtifact =>
  artifact(slow, { version: "299", rollout: { warmUp: requests }, limits: { budget: "1s" } });

/** Deploys it and resolves when it has started, and is being warmed up. */
async function deploying(registry: PluginRegistry, requests = 1_000) {
  const steps: DeployStep["step"][] = [];
  const started = Promise.withResolvers<void>();
  const progress = ({ step }: DeployStep): void => {
    steps.push(step);
    if (step === "start") started.resolve();
  };
  const deployed = registry.deploy(warmedUp(requests), { by: "bob", progress });
  deployed.catch(() => {});
  await started.promise;
  return { deployed, steps };
}

describe("a deploy that is under way", () => {
  it("is ended by a rollback, which then goes back no further", async () => {
    await using open = openRegistry({ keep: 3 });
    const { registry } = open;
    await registry.deploy(version(202));
    await registry.deploy(version(201));
    const { deployed, steps } = await deploying(registry);
    assert.equal((await registry.rollback("toy", "alice")).version, "201");
    await assert.rejects(deployed, {
      fault: "conflict",
      message: "the deploy of plugin 'toy' was ended: rollback by alice",
    });
    assert.equal(steps.includes("warm-up"), false);
    assert.equal(registry.list()[0]?.reason, undefined, "it is not tried again");
    await using use = await registry.use("toy", {});
    const request = new ToyRequest(3);
    request.send(use).end();
    assert.deepEqual(request.events, ["responded 201", "pause"]);
    assert.equal((await registry.rollback("toy", "alice")).version, "202", "the next one does");
  });

  it("is ended by an abort, and by taking the plugin away", async () => {
    await using open = openRegistry();
    const { registry } = open;
    await registry.deploy(version(201));
    const first = await deploying(registry);
    assert.equal((await registry.abort("toy", "alice")).version, "201");
    await assert.rejects(first.deployed, { fault: "conflict" });
    const second = await deploying(registry);
    const waiting = registry.deploy(version(202));
    waiting.catch(() => {});
    await registry.remove("toy", "alice");
    await assert.rejects(second.deployed, { fault: "conflict" });
    await assert.rejects(waiting, { fault: "conflict", message: /undeploy by alice/ }, "it waited for its turn");
    assert.deepEqual(registry.list(), []);
  });

  it("begins again behind grants that change, which do not wait for it", async () => {
    await using open = openRegistry();
    const { registry } = open;
    const order: string[] = [];
    const { deployed, steps } = await deploying(registry, 100);
    await Promise.all([
      deployed.then(() => order.push("deployed")),
      registry.updateGrants({}).then(() => order.push("granted")),
    ]);
    assert.deepEqual(order, ["granted", "deployed"]);
    assert.equal(steps.filter((step) => step === "start").length, 2);
    assert.equal(steps.filter((step) => step === "warm-up").length, 1);
    assert.equal(registry.list()[0]?.version, "299");
  });

  it("is ended when the sidecar shuts down", async () => {
    const open = openRegistry();
    const { deployed, steps } = await deploying(open.registry);
    await open[Symbol.asyncDispose]();
    await assert.rejects(deployed, { fault: "closed" });
    assert.equal(steps.includes("warm-up"), false);
  });

  it("is waited for by other operations, unless who asked for them leaves", async () => {
    await using open = openRegistry();
    const { registry } = open;
    await registry.deploy(version(201));
    const { deployed } = await deploying(registry, 50);
    const leaving = new AbortController();
    const left = registry.deploy(version(202), { signal: leaving.signal });
    const promotion = registry.promote("toy", "alice", leaving.signal);
    leaving.abort();
    const message = /^nothing was done to plugin 'toy': who asked left before it was their turn$/;
    await Promise.all([
      assert.rejects(left, { fault: "closed", message }),
      assert.rejects(promotion, { fault: "closed", message }),
    ]);
    assert.equal((await deployed).version, "299");
  });
});
