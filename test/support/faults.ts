/** What is lost when a server is killed in the middle: a sidecar before the server, an application that tries again until it is acknowledged. */
import assert from "node:assert/strict";
import { setTimeout as delay } from "node:timers/promises";
import { bytes, OutriggerClient, OutriggerError, type TopicSubscription } from "../../sdk/index.ts";
import type { ServerProcess } from "./server-process.ts";
import { startSidecar, temporaryDirectory } from "./sidecar.ts";

/** A component and the server behind it, which keeps what it acknowledges when it is killed. */
export interface FaultCase {
  readonly server: ServerProcess;
  /** As it stands under `components.KIND.NAME`. */
  readonly component: Readonly<Record<string, unknown>>;
}

const inFlight = 64;
const downMs = 500;
/** Longer than any component waits for its server: a call that reaches it was left hanging. */
const callMs = 15_000;
const settleMs = 300_000;

/**
 * Saves `count` entries, the server killed and started again after each third of them, and reads them all.
 * Fails when one that was acknowledged is not as it was saved, or when a call outlasts its deadline.
 */
export async function writeThroughKills({ server, component }: FaultCase, count: number): Promise<void> {
  await using directory = await temporaryDirectory();
  await using sidecar = await startSidecar(directory.path, { components: { state: { orders: component } } });
  await using client = new OutriggerClient({ address: sidecar.grpc, timeoutMs: callMs });
  await throughKills(server, count, (index) =>
    client.state.save({ store: "orders", key: `order-${index}`, value: bytes(Buffer.from(`value ${index}`)) }),
  );
  const lost: number[] = [];
  await eachOf(count, async (index) => {
    const entry = await tillItSucceeds(() => client.state.get({ store: "orders", key: `order-${index}` }));
    if (entry?.value.text() !== `value ${index}`) lost.push(index);
  });
  assert.deepEqual(lost, [], `${lost.length} of ${count} acknowledged writes are lost`);
  assert.equal(sidecar.process.exitCode, null, "the sidecar lives");
}

/**
 * Publishes `count` messages to a topic that is subscribed to, the server killed and started again after each third of them.
 * Fails when one that was acknowledged to the publisher does not come.
 */
export async function publishThroughKills({ server, component }: FaultCase, count: number): Promise<void> {
  await using directory = await temporaryDirectory();
  await using sidecar = await startSidecar(directory.path, { components: { pubsub: { events: component } } });
  await using client = new OutriggerClient({ address: sidecar.grpc, timeoutMs: callMs });
  const missing = new Set(Array.from({ length: count }, (_, index) => String(index)));
  await using subscription = await client.pubsub.subscribe({ pubsub: "events", topic: "orders" });
  const publish = (index: number) => client.pubsub.publish({ pubsub: "events", topic: "orders", data: String(index) });
  await Promise.all([allReceived(subscription, missing, count), throughKills(server, count, publish)]);
  assert.equal(sidecar.process.exitCode, null, "the sidecar lives");
}

/**
 * Publishes `count` messages to an application that takes some and acknowledges none, kills the sidecar, and starts another.
 * Fails when one of the messages does not come to it.
 */
export async function publishThroughCrash({ component }: FaultCase, count: number): Promise<void> {
  await using directory = await temporaryDirectory();
  const configuration = { components: { pubsub: { events: component } } };
  const missing = new Set(Array.from({ length: count }, (_, index) => String(index)));
  {
    await using sidecar = await startSidecar(directory.path, configuration);
    await using client = new OutriggerClient({ address: sidecar.grpc, timeoutMs: callMs });
    const subscription = await client.pubsub.subscribe({ pubsub: "events", topic: "orders" });
    const first = subscription[Symbol.asyncIterator]().next();
    await eachOf(count, (index) => client.pubsub.publish({ pubsub: "events", topic: "orders", data: String(index) }));
    assert.equal((await first).done, false, "a message came and was not acknowledged");
    await sidecar.stop("SIGKILL");
  }
  await using sidecar = await startSidecar(directory.path, configuration);
  await using client = new OutriggerClient({ address: sidecar.grpc, timeoutMs: callMs });
  await using subscription = await client.pubsub.subscribe({ pubsub: "events", topic: "orders" });
  await allReceived(subscription, missing, count);
}

/** Fails when not all that is missing comes in time. */
async function allReceived(subscription: TopicSubscription, missing: Set<string>, count: number): Promise<void> {
  const patience = new AbortController();
  const late = delay(settleMs, undefined, { signal: patience.signal }).catch(() => undefined);
  await Promise.race([receive(subscription, missing), late]);
  patience.abort();
  assert.deepEqual([...missing], [], `${missing.size} of ${count} acknowledged messages did not come`);
}

/** Resolves once nothing is missing. */
async function receive(subscription: TopicSubscription, missing: Set<string>): Promise<void> {
  for await (const event of subscription) {
    missing.delete(event.data.text());
    await event.ack();
    if (missing.size === 0) return;
  }
  throw new Error("the subscription ended");
}

async function throughKills(
  server: ServerProcess,
  count: number,
  attempt: (index: number) => Promise<void>,
): Promise<void> {
  const killAt = [Math.floor(count / 3), Math.floor((2 * count) / 3)];
  let acknowledged = 0;
  let restarting = Promise.resolve();
  await eachOf(count, async (index) => {
    await tillItSucceeds(() => attempt(index));
    if (++acknowledged === killAt[0] || acknowledged === killAt[1]) {
      restarting = restarting.then(() => restart(server));
      // Whoever fails to restart it fails the test, also before the others give up.
      await restarting;
    }
  });
}

async function restart(server: ServerProcess): Promise<void> {
  await server.kill();
  await delay(downMs);
  await server.start();
}

/** Does it for each index, so many at a time. */
async function eachOf(count: number, work: (index: number) => Promise<void>): Promise<void> {
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < count) await work(next++);
  };
  await Promise.all(Array.from({ length: Math.min(inFlight, count) }, worker));
}

/** Tries again while the server is away; any other failure is passed on. */
async function tillItSucceeds<T>(attempt: () => Promise<T>): Promise<T> {
  const giveUpAtMs = performance.now() + settleMs;
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      const isPassing = error instanceof OutriggerError && error.code === "UNAVAILABLE";
      if (!isPassing || performance.now() > giveUpAtMs) throw error;
      await delay(50);
    }
  }
}
