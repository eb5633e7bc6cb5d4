import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { ConfigItem, ConfigStore } from "../../components/config/config-store.ts";
import { memoryConfigStore } from "../../components/config/memory.ts";
import { callContext, oneStore, openComponent } from "../../test/support/api.ts";
import { type ConfigBlock, type ConfigFeed, createConfig } from "./config.ts";
import { storeSet } from "./stores.ts";

const call = callContext({ appId: "shop" });
const configItem = (key: string, content: string): ConfigItem => ({
  key,
  content,
  group: "",
  label: "",
  tags: {},
  metadata: {},
});
const selection = (...keys: string[]) => ({ store: "settings", appId: "", group: "", label: "", keys });
const save = (config: ConfigBlock, ...items: ConfigItem[]) =>
  config.save({ store: "settings", appId: "", items }, call);

async function openConfig(shape: (store: ConfigStore) => ConfigStore = (store) => store) {
  const store = await openComponent(memoryConfigStore, "settings");
  const config = createConfig(storeSet("config", oneStore("settings", shape(store))));
  return { config, [Symbol.asyncDispose]: () => store[Symbol.asyncDispose]() };
}

/** The next `count` changes of a feed, as `key=content`. */
async function take(feed: ConfigFeed, count: number): Promise<string[]> {
  const taken: string[] = [];
  for await (const { changes } of feed) {
    taken.push(...changes.map(({ key, content, deleted }) => (deleted ? `-${key}` : `${key}=${content}`)));
    if (taken.length >= count) break;
  }
  return taken;
}

describe("the config block", () => {
  it("reads and deletes what was saved, of the runtime's own application unless another is named", async () => {
    await using opened = await openConfig();
    const { config } = opened;
    await save(config, configItem("a", "1"), configItem("b", "2"));
    assert.deepEqual(
      (await config.get(selection("a"), call)).map(({ content }) => content),
      ["1"],
    );
    assert.equal((await config.get({ ...selection(), appId: "shop" }, call)).length, 2);
    assert.equal((await config.get({ ...selection(), appId: "other" }, call)).length, 0);
    await config.delete(selection("a"), call);
    assert.equal((await config.get(selection(), call)).length, 1);
  });

  it("refuses to save an empty key, and to delete without keys", async () => {
    await using opened = await openConfig();
    await assert.rejects(save(opened.config, configItem("", "1")), { code: "INVALID_ARGUMENT" });
    await assert.rejects(opened.config.delete(selection(), call), { code: "INVALID_ARGUMENT", reason: "KEYS_MISSING" });
    await assert.rejects(opened.config.delete(selection(""), call), { code: "INVALID_ARGUMENT" });
  });

  it("tells several subscribers at once, each what it follows, and ends each alone", async () => {
    await using opened = await openConfig();
    const { config } = opened;
    await using all = config.feed(call);
    await using some = config.feed(call);
    await all.follow(selection());
    await some.follow(selection("a"));
    await some.follow(selection("c"));
    await save(config, configItem("a", "1"));
    await save(config, configItem("b", "2"));
    await config.delete(selection("a"), call);
    await save(config, configItem("c", "3"));
    assert.deepEqual(await take(some, 3), ["a=1", "-a", "c=3"]);
    await some[Symbol.asyncDispose]();
    await save(config, configItem("d", "4"));
    assert.deepEqual(await take(all, 5), ["a=1", "b=2", "-a", "c=3", "d=4"]);
  });

  it("fails a subscriber that does not read, and no other", async () => {
    await using opened = await openConfig();
    const { config } = opened;
    await using slow = config.feed(call);
    await using quick = config.feed(call);
    await slow.follow(selection());
    await quick.follow(selection("last"));
    const large = configItem("large", "v".repeat(4 * 1024 ** 2));
    for (let count = 0; count < 17; count++) await save(config, large);
    await save(config, configItem("last", "1"));
    await assert.rejects(take(slow, 1), { code: "RESOURCE_EXHAUSTED", reason: "CONFIG_SUBSCRIBER_TOO_SLOW" });
    assert.deepEqual(await take(quick, 1), ["last=1"]);
  });

  it("follows a bounded number of selections", async () => {
    await using opened = await openConfig();
    await using feed = opened.config.feed(call);
    for (let count = 0; count < 1_000; count++) await feed.follow(selection(`k${count}`));
    await assert.rejects(feed.follow(selection("k")), { code: "RESOURCE_EXHAUSTED" });
  });

  it("tells a subscriber that the store was lost", async () => {
    let lose: (error: Error) => void = () => undefined;
    const losing = (store: ConfigStore): ConfigStore => ({
      get: (request, context) => store.get(request, context),
      save: (request, context) => store.save(request, context),
      delete: (request, context) => store.delete(request, context),
      subscribe: (request, listener) => {
        lose = listener.lost;
        return store.subscribe(request, listener);
      },
      [Symbol.asyncDispose]: () => store[Symbol.asyncDispose](),
    });
    await using opened = await openConfig(losing);
    await using feed = opened.config.feed(call);
    await feed.follow(selection());
    lose(new Error("connection reset"));
    await assert.rejects(take(feed, 1), { code: "UNAVAILABLE", message: /'settings'.*connection reset/ });
  });
});
