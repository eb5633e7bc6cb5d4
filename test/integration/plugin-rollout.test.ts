/** Versions of a real Proxy-Wasm guest that come and go in front of a real upstream, under requests that must not notice. */
import assert from "node:assert/strict";
import http from "node:http";
import { describe, it } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { capabilities } from "../../runtime/config/scalars.ts";
import { defaultCrashLimits } from "../../runtime/plugin/crash-budget.ts";
import type { PluginStatus } from "../../runtime/plugin/status.ts";
import { artifactOf, openRollout, tickingGuest, versionGuest } from "./rollout-rig.ts";

const first = await versionGuest("1");
const second = await versionGuest("2");
const third = await versionGuest("3");
const failing = await versionGuest("2", { every: 20, does: "answers 500" });
const hanging = await versionGuest("2", { every: 1, does: "holds" });
const trapping = await versionGuest("2", { every: 1, does: "traps" });

/** Latency is left out: what else runs on the machine decides it. */
const share = { rollout: { canary: { percent: 50 }, window: "50ms", latency: 1e6 } };
/** Nothing is decided by itself, and one goes to the version on trial by saying so. */
const beta = { "x-beta": "yes" };
const byHand = {
  rollout: { canary: { header: { name: "x-beta", value: "yes" } }, promotion: "manual", minimumStreams: 1_000_000 },
};
const isOver = ({ trial }: PluginStatus): boolean => trial === undefined;

describe("a version on trial", () => {
  it("that fails 5 % of its requests is rolled back by itself", async () => {
    await using open = await openRollout();
    await open.registry.deploy(artifactOf(first, "1"));
    const deployed = await open.registry.deploy(artifactOf(failing, "2", share));
    assert.equal(deployed.trial?.phase, "canary");
    assert.equal(deployed.version, "1");
    const answers = await open.askUntil(isOver);
    const { lastTrial, version } = open.status();
    assert.equal(lastTrial?.outcome, "rolled back");
    assert.equal(lastTrial.by, "rollout");
    assert.match(lastTrial.reason ?? "", /^[\d.]+ % of its \d+ streams failed, 0 % of the stable version's/);
    assert.equal(version, "1");
    for (const { status, headers } of answers) {
      if (headers["x-version"] === "1") assert.equal(status, 200, "the stable version fails nobody");
    }
    assert.deepEqual([await open.versionFor(), await open.versionFor()], ["1", "1"]);
    await open.logged(/^plugin 'guest' 2 is rolled back: [\d.]+ % of its/);
    assert.match(
      await open.metrics.expose(),
      /outrigger_plugin_rollout_steps_total\{plugin="guest",action="rollback",by="itself"\} 1/,
    );
  });

  it("that does well is promoted by itself, and nobody notices", async () => {
    await using open = await openRollout();
    await open.registry.deploy(artifactOf(first, "1"));
    await open.registry.deploy(artifactOf(second, "2", share));
    const answers = await open.askUntil(isOver);
    assert.ok(answers.every(({ status }) => status === 200));
    const versions = new Set(answers.map(({ headers }) => headers["x-version"]));
    assert.deepEqual([...versions].sort(), ["1", "2"]);
    const { version, lastTrial, previous } = open.status();
    assert.equal(version, "2");
    assert.equal(lastTrial?.outcome, "promoted");
    assert.deepEqual(
      previous?.map((one) => one.version),
      ["1"],
    );
    assert.deepEqual([await open.versionFor(), await open.versionFor()], ["2", "2"]);
  });

  /** A client that gives up when `patience` is over. */
  async function giveUp({ rig, status }: Awaited<ReturnType<typeof openRollout>>, patience: () => Promise<unknown>) {
    const { streams } = status();
    const request = http.request({ host: "127.0.0.1", port: rig.port, path: "/", agent: false, headers: beta }).end();
    request.on("error", () => {});
    while (status().streams === streams) await turn();
    await patience();
    const held = status().streams;
    request.destroy();
    while (status().streams >= held) await turn();
    await turn();
  }

  it("that holds its requests until their clients lose patience is rolled back by itself", async () => {
    await using open = await openRollout();
    await open.registry.deploy(artifactOf(first, "1"));
    const rollout = { ...byHand.rollout, minimumStreams: 3 };
    await open.registry.deploy(artifactOf(hanging, "2", { rollout }));
    const leave = Promise.withResolvers<void>();
    const clients = Array.from({ length: 3 }, () => giveUp(open, () => leave.promise));
    while (open.status().streams < 3) await turn();
    setTimeout(leave.resolve, 1_100);
    await Promise.all(clients);
    const { lastTrial, version } = open.status();
    assert.equal(version, "1");
    assert.match(lastTrial?.reason ?? "", /^100 % of its 3 streams failed, 0 % of the stable version's/);
  });

  it("is not judged by clients that leave at once", async () => {
    await using open = await openRollout();
    await open.registry.deploy(artifactOf(first, "1"));
    const rollout = { ...byHand.rollout, minimumStreams: 3 };
    await open.registry.deploy(artifactOf(hanging, "2", { rollout }));
    for (let client = 0; client < 5; client++) await giveUp(open, async () => undefined);
    const { candidate } = open.status().trial ?? assert.fail("it is on trial");
    assert.deepEqual([candidate.streams, candidate.failed], [0, 0]);
  });

  it("that traps is rolled back at once", async () => {
    await using open = await openRollout();
    await open.registry.deploy(artifactOf(first, "1"));
    await open.registry.deploy(artifactOf(trapping, "2", byHand));
    assert.equal((await open.get(beta)).status, 503);
    assert.equal(await open.versionFor(beta), "1");
    await open.askUntil(isOver);
    assert.match(open.status().lastTrial?.reason ?? "", /^it crashed once; its policy allows 0$/);
  });

  it("that crashes too often for any policy is rolled back, also while its trial is paused", async () => {
    await using open = await openRollout({ crashLimits: { ...defaultCrashLimits, most: 2 } });
    await open.registry.deploy(artifactOf(first, "1"));
    const rollout = { ...byHand.rollout, traps: 1_000 };
    await open.registry.deploy(artifactOf(trapping, "2", { rollout, fail: "open" }));
    await open.registry.pause("guest", "alice");
    while (!isOver(open.status())) await open.get(beta);
    assert.match(open.status().lastTrial?.reason ?? "", /crashed too often/);
    assert.equal(await open.versionFor(beta), "1");
  });

  it("waits for word from its operator when its policy says so", async () => {
    await using open = await openRollout();
    await open.registry.deploy(artifactOf(first, "1"));
    await open.registry.deploy(artifactOf(second, "2", byHand));
    assert.deepEqual([await open.versionFor(), await open.versionFor(beta)], ["1", "2"]);
    await open.registry.pause("guest", "alice");
    assert.equal(open.status().trial?.phase, "paused");
    assert.equal(await open.versionFor(beta), "2", "it keeps its share");
    await assert.rejects(open.registry.pause("guest", "alice"), {
      fault: "conflict",
      message: "plugin 'guest' has its trial of version 2 paused already",
    });
    await open.registry.resume("guest", "alice");
    await open.registry.promote("guest", "alice");
    assert.deepEqual([await open.versionFor(), await open.versionFor(beta)], ["2", "2"]);
    await open.registry.deploy(artifactOf(third, "3", byHand));
    assert.equal(await open.versionFor(beta), "3");
    await open.registry.abort("guest", "alice");
    assert.equal(await open.versionFor(beta), "2");
    await open.registry.rollback("guest", "alice");
    assert.equal(await open.versionFor(), "1");
    await open.registry.rollback("guest", "alice", "2");
    assert.equal(await open.versionFor(), "2");
    await assert.rejects(open.registry.promote("guest", "alice"), {
      message: "plugin 'guest' has no version on trial",
    });
    await assert.rejects(open.registry.promote("other", "alice"), { fault: "missing" });
  });

  it("takes no requests while it is only staged", async () => {
    await using open = await openRollout();
    const rollout = { ...byHand.rollout, stagedOnly: true };
    const status = await open.registry.deploy(artifactOf(first, "1", { rollout }));
    assert.equal(status.state, "staged");
    assert.equal((await open.get()).status, 503);
    await open.registry.promote("guest", "alice");
    assert.equal(await open.versionFor(), "1");
    await open.registry.deploy(artifactOf(second, "2", { rollout }));
    assert.equal(await open.versionFor(beta), "1");
    await open.registry.resume("guest", "alice");
    assert.deepEqual([await open.versionFor(), await open.versionFor(beta)], ["1", "2"]);
  });

  it("keeps a client on one version", async () => {
    await using open = await openRollout();
    await open.registry.deploy(artifactOf(first, "1"));
    const canary = { percent: 50, hashBy: { cookie: "user" }, header: { name: "x-beta" } };
    await open.registry.deploy(artifactOf(second, "2", { rollout: { canary, window: "1h" } }));
    const seen = new Set<string>();
    for (let user = 0; user < 20; user++) {
      const headers = { cookie: `theme=dark; user=u${user}` };
      const version = await open.versionFor(headers);
      seen.add(version);
      for (let again = 0; again < 3; again++) assert.equal(await open.versionFor(headers), version);
      assert.equal(await open.versionFor({ ...headers, ...beta }), "2");
    }
    assert.equal(seen.size, 2);
    const { trial } = open.status();
    assert.equal(trial?.percent, 50);
    assert.equal(trial.stable.streams + trial.candidate.streams, 100);
    assert.equal(trial.candidate.failed, 0);
    assert.ok(trial.candidate.p99Ms > 0);
  });
});

describe("a version that cannot come into service", () => {
  const refused: readonly (readonly [what: string, artifact: ReturnType<typeof artifactOf>, fault: string])[] = [
    ["compiled", artifactOf(new Uint8Array([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, 5, 3, 1, 3, 1]), "2", share), "refused"],
    ["configured", artifactOf(second, "2", { ...share, configuration: "refused" }), "configuration"],
    ["warmed up", artifactOf(trapping, "2", { rollout: { ...share.rollout, warmUp: 3 } }), "trap"],
    ["granted what it asks for", artifactOf(second, "2", { ...share, capabilities: { state: ["x"] } }), "refused"],
  ];
  for (const [what, artifact, fault] of refused) {
    it(`because it cannot be ${what} leaves the stable one and a trial as they are`, async () => {
      await using open = await openRollout();
      await open.registry.deploy(artifactOf(first, "1"));
      await open.registry.deploy(artifactOf(third, "3", byHand));
      await assert.rejects(open.registry.deploy(artifact), { name: "PluginError", fault });
      assert.deepEqual([await open.versionFor(), await open.versionFor(beta)], ["1", "3"]);
      const { version, trial, reason } = open.status();
      assert.deepEqual([version, trial?.version], ["1", "3"]);
      assert.notEqual(reason, undefined);
    });
  }

  it("because it refuses a configuration that comes during its trial is rolled back", async () => {
    await using open = await openRollout();
    await open.registry.deploy(artifactOf(await versionGuest("1", undefined, "(i32.const 1)"), "1"));
    await open.registry.deploy(artifactOf(second, "2", byHand));
    await using use = await open.registry.use("guest", { configuration: "refused" });
    assert.equal(use.ready, true);
    assert.equal(await open.versionFor(beta), "1");
    await open.askUntil(isOver);
    assert.match(open.status().lastTrial?.reason ?? "", /configuration/);
  });
});

describe("what ends a trial from outside", () => {
  it("is the removal of the plugin", async () => {
    await using open = await openRollout();
    await open.registry.deploy(artifactOf(first, "1"));
    await open.registry.deploy(artifactOf(second, "2", byHand));
    const [stable, candidate] = [await open.inFlight(), await open.inFlight(beta)];
    await open.registry.remove("guest", "alice");
    assert.deepEqual(open.registry.list(), []);
    assert.equal((await open.get(beta)).status, 503);
    assert.deepEqual([await stable.finish(), await candidate.finish()], ["1", "2"]);
  });

  it("is the loss of its grants, or of those of the stable version", async () => {
    const grants = { guest: capabilities.parse({ state: ["a", "b"] }) };
    await using open = await openRollout({ grants });
    await open.registry.deploy(artifactOf(first, "1", { capabilities: { state: ["a"] } }));
    await open.registry.deploy(artifactOf(second, "2", { ...byHand, capabilities: { state: ["a", "b"] } }));
    assert.equal(await open.versionFor(beta), "2");
    await open.registry.updateGrants({ guest: capabilities.parse({ state: ["a"] }) });
    assert.equal(await open.versionFor(beta), "1");
    assert.match(open.status().lastTrial?.reason ?? "", /asks for state store 'b'/);
    await open.registry.deploy(artifactOf(second, "2", byHand));
    await open.registry.updateGrants({});
    assert.equal(open.status().state, "refused");
    assert.equal(open.status().trial, undefined);
    await open.registry.updateGrants(grants);
    assert.equal(await open.versionFor(beta), "1");
  });
});

describe("requests in flight", () => {
  const transitions: readonly (readonly [
    what: string,
    run: (open: Awaited<ReturnType<typeof openRollout>>) => unknown,
  ])[] = [
    ["a promotion", ({ registry }) => registry.promote("guest", "alice")],
    ["an abort", ({ registry }) => registry.abort("guest", "alice")],
    [
      "a pause and its end",
      async ({ registry }) => {
        await registry.pause("guest", "alice");
        await registry.resume("guest", "alice");
      },
    ],
    ["a rollback of the trial", ({ registry }) => registry.rollback("guest", "alice")],
    ["a rollback to the version before", ({ registry }) => registry.rollback("guest", "alice", "0")],
    ["a deploy at once", ({ registry }) => registry.deploy(artifactOf(third, "3"))],
    ["another trial", ({ registry }) => registry.deploy(artifactOf(third, "3", byHand))],
  ];
  for (const [what, run] of transitions) {
    it(`end on their version through ${what}, and those that come meanwhile are served`, async () => {
      await using open = await openRollout();
      await open.registry.deploy(artifactOf(third, "0"));
      await open.registry.deploy(artifactOf(first, "1"));
      await open.registry.deploy(artifactOf(second, "2", byHand));
      const [stable, candidate] = [await open.inFlight(), await open.inFlight(beta)];
      let isDone = false;
      const asked = open.askUntil(() => isDone);
      await run(open);
      isDone = true;
      assert.ok((await asked).every(({ status }) => status === 200));
      assert.deepEqual([await stable.finish(), await candidate.finish()], ["1", "2"]);
    });
  }
});

describe("the timers of a version that was replaced", () => {
  const ticksOf = async ({ metrics }: Awaited<ReturnType<typeof openRollout>>, version: string): Promise<number> =>
    Number(
      new RegExp(`^outrigger_plugin_ticks_${version}\\{.*\\} (\\d+)$`, "m").exec(await metrics.expose())?.[1] ?? 0,
    );

  it("stop at the switch when nothing runs on it any more", async () => {
    await using open = await openRollout();
    await open.registry.deploy(artifactOf(await tickingGuest("1", 10), "1"));
    assert.equal(await open.versionFor(), "1");
    while ((await ticksOf(open, "1")) === 0) await open.get();
    const { instances } = open.status();
    await open.registry.deploy(artifactOf(await tickingGuest("2", 10), "2"));
    while (open.status().instances > instances) await open.get();
    const last = await ticksOf(open, "1");
    while ((await ticksOf(open, "2")) < 10) await open.get();
    assert.equal(await ticksOf(open, "1"), last);
  });

  it("go on for the streams that are left: they may wait for one", async () => {
    await using open = await openRollout();
    await open.registry.deploy(artifactOf(await tickingGuest("1", 200), "1"));
    const waiting = open.versionFor({ "x-batch": "yes" });
    while (open.status().streams === 0) await new Promise((resolve) => setImmediate(resolve));
    await open.registry.deploy(artifactOf(await tickingGuest("2", 200), "2"));
    assert.equal(await open.versionFor(), "2");
    assert.equal(await waiting, "1");
  });
});

describe("a deploy", () => {
  it("tells its steps, and warms a version up with requests that nobody made or counts", async () => {
    await using open = await openRollout();
    const steps: string[] = [];
    await open.registry.deploy(artifactOf(first, "1"), { by: "alice", progress: ({ step }) => steps.push(step) });
    assert.deepEqual(steps, ["compile", "start", "switch"]);
    const policy = { ...artifactOf(second, "2", byHand).manifest.rollout, warmUp: 25 };
    steps.length = 0;
    const { calls } = open.status();
    await open.registry.deploy(artifactOf(second, "2"), { policy, progress: ({ step }) => steps.push(step) });
    assert.deepEqual(steps, ["compile", "start", "warm-up", "canary"]);
    assert.ok(open.status().calls - calls >= 50, "a request and a response each");
    assert.equal(open.status().trial?.candidate.streams, 0);
    assert.equal(await open.versionFor(beta), "2");
  });

  it("of what is on trial with a larger share begins the trial anew, and keeps clients on the new version there", async () => {
    await using open = await openRollout();
    await open.registry.deploy(artifactOf(first, "1"));
    const candidate = artifactOf(second, "2");
    const policyOf = (percent: number) =>
      artifactOf(second, "2", { rollout: { canary: { percent, hashBy: { header: "x-user" } }, window: "1h" } }).manifest
        .rollout;
    const users = Array.from({ length: 30 }, (_, user) => ({ "x-user": `u${user}` }));
    await open.registry.deploy(candidate, { policy: policyOf(30) });
    const before = await Promise.all(users.map(open.versionFor));
    assert.deepEqual(new Set(before), new Set(["1", "2"]));
    const same = await open.registry.deploy(candidate, { policy: policyOf(30) });
    assert.equal(same.trial?.percent, 30);
    assert.equal(open.status().trial?.candidate.streams, before.filter((version) => version === "2").length);
    await open.registry.deploy(candidate, { policy: policyOf(60) });
    assert.equal(open.status().trial?.percent, 60);
    const after = await Promise.all(users.map(open.versionFor));
    for (const [user, version] of before.entries()) if (version === "2") assert.equal(after[user], "2");
    assert.ok(after.filter((version) => version === "2").length > before.filter((version) => version === "2").length);
  });
});
