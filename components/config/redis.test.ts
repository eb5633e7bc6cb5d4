/** What configuration on Redis does beside what every configuration store does: how it lies there, and how a missed change is noticed. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { callWith, eventually } from "../../test/conformance/backend.ts";
import { openContext } from "../../test/support/open-context.ts";
import { redisCli, startRedis } from "../../test/support/redis-server.ts";
import type { ConfigChange } from "./config-store.ts";
import { redisConfigStore } from "./redis.ts";

const stored = (content: string): string => JSON.stringify({ content, tags: {}, metadata: {} });
const selection = { appId: "shop", group: "eu", label: "", keys: [] };

test("configuration on Redis lies in a hash for each group and label, and names changes in a stream of the application", async () => {
  await using server = await startRedis();
  const settings = redisConfigStore.config.parse({ url: `redis://${server.address}` });
  await using store = await redisConfigStore.open(settings, openContext("settings"));
  const item = { key: "currency", content: "EUR", group: "eu", label: "", tags: {}, metadata: {} };
  await store.save({ appId: "shop", items: [item] }, callWith());
  assert.equal(await redisCli(server, "HGET", "config{shop}:eu:", "currency"), stored("EUR"));
  const change = (await redisCli(server, "XRANGE", "config{shop}", "-", "+")).split("\n").slice(1);
  assert.deepEqual(change, ["after", "0-0", "group", "eu", "label", "", "key", "currency"]);
  assert.deepEqual(await store.get(selection, callWith()), [item]);

  await redisCli(server, "HSET", "config{shop}:eu:", "broken", "no JSON");
  await assert.rejects(store.get(selection, callWith()), { code: "DATA_LOSS", message: /'broken'.*'settings'/ });
});

test("configuration on Redis looks at everything when a change was missed", async () => {
  await using server = await startRedis();
  const settings = redisConfigStore.config.parse({ url: `redis://${server.address}` });
  await using store = await redisConfigStore.open(settings, openContext("settings"));
  const seen: ConfigChange[] = [];
  const lost: Error[] = [];
  await using _ = await store.subscribe(selection, {
    changed: (changes) => seen.push(...changes),
    lost: (error) => lost.push(error),
  });
  // By hand, and so told by nothing; then a change that says it comes after one that nobody saw.
  await redisCli(server, "HSET", "config{shop}:eu:", "unseen", stored("1"));
  const add = ["XADD", "config{shop}", "*", "after", "1-1", "group", "us", "label", "", "key", "other"];
  await redisCli(server, ...add);
  await eventually("the change is told", () => seen.length === 1);
  assert.deepEqual([seen[0]?.key, seen[0]?.content], ["unseen", "1"]);
  assert.deepEqual(lost, []);
});
