/** NATS as a cluster of three: each of them may go away, and nothing that was acknowledged is lost. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { natsConfigStore } from "../../components/config/nats.ts";
import { RuntimeError } from "../../components/error.ts";
import { natsLockStore } from "../../components/lock/nats.ts";
import { natsPubSub } from "../../components/pubsub/nats.ts";
import { natsStateStore } from "../../components/state/nats.ts";
import { callWith, eventually } from "../conformance/backend.ts";
import { type NatsCluster, startNatsCluster } from "../support/nats-cluster.ts";
import { openContext } from "../support/open-context.ts";

/** Asks until the call is served; any other failure than that the servers are away is passed on. */
async function served<T>(call: () => Promise<T>): Promise<T> {
  for (const giveUpAtMs = performance.now() + 60_000; ; ) {
    try {
      return await call();
    } catch (error) {
      const isPassing = error instanceof RuntimeError && ["UNAVAILABLE", "RESOURCE_EXHAUSTED"].includes(error.code);
      if (!isPassing || performance.now() > giveUpAtMs) throw error;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}

describe("components on a cluster of NATS", () => {
  let cluster: NatsCluster;
  before(async () => {
    cluster = await startNatsCluster();
  });
  after(() => cluster[Symbol.asyncDispose]());
  const settings = () => ({
    servers: cluster.members.map(({ address }) => address),
    replicas: 3,
    requestTimeoutMs: 1_000,
  });

  it("lose nothing while each of the servers is away in turn", async () => {
    const context = openContext("clustered");
    await using state = await served(() => natsStateStore.open(natsStateStore.config.parse(settings()), context));
    await using lock = await served(() => natsLockStore.open(natsLockStore.config.parse(settings()), context));
    await using config = await served(() => natsConfigStore.open(natsConfigStore.config.parse(settings()), context));
    await using pubsub = await served(() =>
      natsPubSub.open(natsPubSub.config.parse({ ...settings(), ackWaitMs: 2_000 }), context),
    );
    const texts = new Set<string>();
    const told = new Set<string>();
    await using _ = await served(() =>
      pubsub.subscribe({ topic: "orders", group: "shop", metadata: {} }, async ({ data }) => {
        texts.add(Buffer.from(data).toString());
      }),
    );
    const selection = { appId: "shop", group: "", label: "", keys: [] };
    await using _config = await served(() =>
      config.subscribe(selection, {
        changed: (changes) => {
          for (const { content } of changes) told.add(content);
        },
        lost: (error) => assert.fail(error),
      }),
    );
    assert.equal(
      await served(() => lock.tryLock({ resource: "job", owner: "one", leaseMs: 600_000 }, callWith())),
      true,
    );
    const acknowledged: string[] = [];
    for (const member of cluster.members) {
      await member.kill();
      for (let index = 0; index < 20; index++) {
        const text = `message ${acknowledged.length}`;
        const write = {
          key: text,
          value: Buffer.from(text),
          concurrency: "last-write",
          consistency: "strong",
        } as const;
        await served(() => state.set(write, callWith()));
        await served(() =>
          pubsub.publish({ topic: "orders", data: write.value, contentType: "", metadata: {} }, callWith()),
        );
        acknowledged.push(text);
      }
      const content = `round ${acknowledged.length}`;
      const item = { key: "a", content, group: "", label: "", tags: {}, metadata: {} };
      await served(() => config.save({ appId: "shop", items: [item] }, callWith()));
      await eventually("the change was told", () => told.has(content));
      await eventually("all messages have come", () => acknowledged.every((text) => texts.has(text)));
      const attempt = { resource: "job", owner: "two", leaseMs: 600_000 };
      assert.equal(await served(() => lock.tryLock(attempt, callWith())), false);
      await member.start();
    }
    for (const text of acknowledged) {
      const entry = await served(() => state.get({ key: text, consistency: "strong" }, callWith()));
      assert.equal(entry && Buffer.from(entry.value).toString(), text);
    }
    assert.equal(await served(() => lock.unlock({ resource: "job", owner: "one" }, callWith())), "success");
  });
});
