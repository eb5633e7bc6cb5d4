/** Versions of a component that follow each other while it serves. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { eventually } from "../conformance/backend.ts";
import { ask, keepAlive } from "../support/http.ts";
import { adminToken, type ComponentRig, openComponents } from "./component-rig.ts";

const limits = { instances: 4, deadline: "10s" };

/** Clients that never stop asking; `stop` gives the answers that were not 200, and how often each version answered. */
function load(rig: ComponentRig) {
  const agent = keepAlive();
  const failures: string[] = [];
  const answered = new Map<string, number>();
  let isOver = false;
  const clients = Array.from({ length: 6 }, async () => {
    while (!isOver) {
      const { status, text } = await rig.call("version", { agent });
      if (status === 200) answered.set(text, (answered.get(text) ?? 0) + 1);
      else failures.push(`${status} ${text}`);
    }
  });
  const stop = async (): Promise<readonly string[]> => {
    isOver = true;
    await Promise.all(clients);
    agent.destroy();
    return failures;
  };
  return { answered, stop, [Symbol.asyncDispose]: async () => void (await stop()) };
}

interface Status {
  readonly version: string;
  readonly trial?: { readonly phase: string; readonly candidate?: { readonly streams: number } };
}

async function statusOf({ sidecar }: ComponentRig): Promise<Status> {
  const plugins = JSON.parse((await ask(sidecar.admin, "/v1/plugins")).text);
  return plugins.find(({ name }: { name: string }) => name === "service");
}

describe("versions of a component", () => {
  it("take over from each other under load, and are taken back, without a failed request", async () => {
    await using rig = await openComponents({ limits, configuration: { version: 1 } });
    await using clients = load(rig);
    const often = (version: string): Promise<void> =>
      eventually(`version ${version} answers`, () => (clients.answered.get(version) ?? 0) > 50);
    await often("1");
    await rig.deploy({ version: "2.0.0", configuration: { version: 2 } });
    await often("2");
    clients.answered.clear();
    const { status, text } = await ask(rig.sidecar.admin, "/v1/plugins/service/rollback", {
      method: "POST",
      headers: { authorization: `Bearer ${adminToken}` },
    });
    assert.equal(status, 200, text);
    await often("1");
    assert.deepEqual(await clients.stop(), []);
    assert.equal((await statusOf(rig)).version, "1.0.0");
  });

  it("are tried on a part of the traffic first: one that fails is taken back, one that does well stays", async () => {
    await using rig = await openComponents({ limits, configuration: { version: 1 } });
    const rollout = { canary: { percent: 50 }, window: "300ms", minimumStreams: 20, latency: 1_000_000 };
    await using clients = load(rig);
    await rig.deploy({ version: "2.0.0", rollout, configuration: { broken: true } });
    const verdict =
      /^plugin 'service' 2\.0\.0 is rolled back: [\d.]+ % of its \d+ streams failed, 0 % of the stable version's; its policy allows 1 % more$/;
    await rig.sidecar.logged(({ msg, plugin }) => plugin === "service" && verdict.test(msg));
    assert.equal((await statusOf(rig)).version, "1.0.0");
    await rig.deploy({ version: "3.0.0", rollout, configuration: { version: 3 } });
    await eventually("the third is stable", async () => (await statusOf(rig)).version === "3.0.0");
    const failures = await clients.stop();
    assert.deepEqual(new Set(failures), new Set(["500 broken"]));
  });

  it("are refused when their manifest says another kind than their exports do", async () => {
    await using rig = await openComponents({ limits, configuration: { version: 1 } });
    await rig.deploy({ version: "2.0.0", kind: "filter" });
    await rig.sidecar.logged(({ msg }) =>
      /'service' 2\.0\.0 is a filter by its manifest, and exports .*handler@0\.1\.0, by which a service is called; write 'kind: service'/.test(
        msg,
      ),
    );
    assert.equal((await statusOf(rig)).version, "1.0.0");
    // Without a word of it the exports decide.
    await rig.deploy({ version: "3.0.0", kind: undefined, configuration: { version: 3 } });
    await eventually("it answers", async () => (await rig.call("version")).text === "3");
  });
});
