/** What locks on etcd do beside what every lock does: they end by the holder's clock and by the server's, whichever is there. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { callWith, eventually, unique } from "../../test/conformance/backend.ts";
import { type EtcdServer, startEtcd } from "../../test/support/etcd-server.ts";
import { openContext } from "../../test/support/open-context.ts";
import { etcdLockStore } from "./etcd.ts";
import type { LockStore } from "./lock-store.ts";

describe("locks on etcd", () => {
  let server: EtcdServer;
  before(async () => {
    server = await startEtcd();
  });
  after(() => server[Symbol.asyncDispose]());
  const open = (): Promise<LockStore> =>
    etcdLockStore.open(etcdLockStore.config.parse({ endpoints: [server.address] }), openContext("jobs"));

  it("end by the server's lease when the sidecar that gave them is gone", async () => {
    const resource = unique("job");
    {
      await using gone = await open();
      assert.equal(await gone.tryLock({ resource, owner: "one", leaseMs: 500 }, callWith()), true);
    }
    await using store = await open();
    assert.equal(await store.tryLock({ resource, owner: "two", leaseMs: 60_000 }, callWith()), false);
    await eventually("the server has ended the lease", () =>
      store.tryLock({ resource, owner: "two", leaseMs: 60_000 }, callWith()),
    );
  });

  it("are not ended by the sidecar that gave them when another has renewed them", async () => {
    await using first = await open();
    await using second = await open();
    const [resource, watched] = [unique("job"), unique("job")];
    await first.tryLock({ resource, owner: "one", leaseMs: 300 }, callWith());
    assert.equal(await second.renew({ resource, owner: "one", leaseMs: 60_000 }, callWith()), "success");
    await first.tryLock({ resource: watched, owner: "one", leaseMs: 300 }, callWith());
    await eventually("the one that was not renewed has ended", () =>
      second.tryLock({ resource: watched, owner: "two", leaseMs: 60_000 }, callWith()),
    );
    assert.equal(await first.tryLock({ resource, owner: "two", leaseMs: 300 }, callWith()), false);
  });
});
