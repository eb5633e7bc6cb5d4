/** What sequences on etcd do beside what every sequencer does: sidecars that count the same one, and values of others. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { callWith, unique } from "../../test/conformance/backend.ts";
import { type EtcdServer, startEtcd } from "../../test/support/etcd-server.ts";
import { openContext } from "../../test/support/open-context.ts";
import { etcdSequencer } from "./etcd.ts";
import type { Sequencer } from "./sequencer.ts";

describe("sequences on etcd", () => {
  let server: EtcdServer;
  before(async () => {
    server = await startEtcd();
  });
  after(() => server[Symbol.asyncDispose]());
  const open = (): Promise<Sequencer> =>
    etcdSequencer.open(etcdSequencer.config.parse({ endpoints: [server.address] }), openContext("ids"));

  it("are counted by several sidecars at once, with no id given twice and none left out", async () => {
    await using first = await open();
    await using second = await open();
    const key = unique("shared");
    const taken: bigint[] = [];
    const take = async (sequencer: Sequencer): Promise<void> => {
      for (let round = 0; round < 50; round++) taken.push(await sequencer.reserve({ key, count: 1 }, callWith()));
    };
    await Promise.all([take(first), take(second), take(second)]);
    taken.sort((a, b) => Number(a - b));
    assert.deepEqual(
      taken,
      Array.from({ length: 150 }, (_, index) => BigInt(index) + 1n),
    );
  });

  it("are numbers that others can read and set", async () => {
    await using sequencer = await open();
    const key = unique("set");
    await sequencer.reserve({ key, count: 5 }, callWith());
    assert.equal(await server.ctl("get", "--print-value-only", `outrigger/sequencer/${key}`), "5");
    await server.ctl("put", `outrigger/sequencer/${key}`, "1000");
    assert.equal(await sequencer.reserve({ key, count: 1 }, callWith()), 1001n);
  });

  it("that are no numbers are told as such", async () => {
    await using sequencer = await open();
    const key = unique("foreign");
    await server.ctl("put", `outrigger/sequencer/${key}`, "plain");
    await assert.rejects(sequencer.reserve({ key, count: 1 }, callWith()), { reason: "SEQUENCE_UNREADABLE" });
  });
});
