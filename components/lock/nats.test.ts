import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { connect } from "nats";
import { callWith, eventually } from "../../test/conformance/backend.ts";
import { startNats } from "../../test/support/nats-server.ts";
import { openContext } from "../../test/support/open-context.ts";
import { natsLockStore } from "./nats.ts";

describe("locks in NATS", () => {
  it("end by the server's clock, however those of the machines are set", async (test) => {
    await using server = await startNats();
    const settings = natsLockStore.config.parse({ servers: [server.address] });
    await using early = await natsLockStore.open(settings, openContext("jobs"));
    assert.equal(await early.tryLock({ resource: "job", owner: "early", leaseMs: 60_000 }, callWith()), true);
    test.mock.method(Date, "now", () => 4_000_000_000_000);
    await using late = await natsLockStore.open(settings, openContext("jobs"));
    assert.equal(await late.tryLock({ resource: "job", owner: "late", leaseMs: 60_000 }, callWith()), false);
    assert.equal(await early.renew({ resource: "job", owner: "early", leaseMs: 50 }, callWith()), "success");
    await eventually("the lease has ended", () =>
      late.tryLock({ resource: "job", owner: "late", leaseMs: 60_000 }, callWith()),
    );
    assert.equal(await early.unlock({ resource: "job", owner: "early" }, callWith()), "owned-by-other");
  });

  it("leave nothing behind when they are given back", async () => {
    await using server = await startNats();
    const settings = natsLockStore.config.parse({ servers: [server.address] });
    await using store = await natsLockStore.open(settings, openContext("jobs"));
    const client = await connect({ servers: server.address });
    try {
      const manager = await client.jetstreamManager();
      const count = async (): Promise<number> => (await manager.streams.info("KV_outrigger-locks")).state.messages;
      const empty = await count();
      for (let index = 0; index < 20; index++) {
        await store.tryLock({ resource: `job-${index}`, owner: "one", leaseMs: 60_000 }, callWith());
        await store.unlock({ resource: `job-${index}`, owner: "one" }, callWith());
      }
      await eventually("nothing is left", async () => (await count()) === empty);
    } finally {
      await client.close();
    }
  });
});
