/** Work that only one process does at a time. */
import { OutriggerClient } from "@outrigger/sdk";

await using client = new OutriggerClient();
const lock = { store: "jobs", resource: "example-report" };

// The lease is renewed while the work goes on, and given back after it.
await client.lock.withLock(lock, async ({ signal }) => {
  const other = await client.lock.tryLock({ ...lock, owner: "somebody else", expireSeconds: 10 });
  console.log(`somebody else got the lock: ${other}; it is still ours: ${!signal.aborted}`);
});

// The same by hand.
const owner = "me";
if (await client.lock.tryLock({ ...lock, owner, expireSeconds: 10 })) {
  console.log(`renewed: ${await client.lock.keepAlive({ ...lock, owner, expireSeconds: 20 })}`);
  console.log(`unlocked: ${await client.lock.unlock({ ...lock, owner })}`);
}
