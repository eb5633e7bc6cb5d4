/** What the store on etcd does beside what every configuration store does: items of others, and watches that were cut off. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { callWith, eventually, unique } from "../../test/conformance/backend.ts";
import { type EtcdServer, startEtcd } from "../../test/support/etcd-server.ts";
import { openContext } from "../../test/support/open-context.ts";
import { type Relay, relayTo } from "../../test/support/relay.ts";
import type { ConfigChange, ConfigItem, ConfigSelection, ConfigStore } from "./config-store.ts";
import { etcdConfigStore } from "./etcd.ts";

const selectionOf = (appId: string, changes: Partial<ConfigSelection> = {}): ConfigSelection => ({
  appId,
  group: "",
  label: "",
  keys: [],
  ...changes,
});

const itemOf = (key: string, content: string): ConfigItem => ({
  key,
  content,
  group: "",
  label: "",
  tags: {},
  metadata: {},
});

describe("configuration on etcd", () => {
  let server: EtcdServer;
  let relay: Relay;
  let store: ConfigStore;
  before(async () => {
    server = await startEtcd();
    relay = await relayTo(server.address);
    const settings = etcdConfigStore.config.parse({ endpoints: [relay.address] });
    store = await etcdConfigStore.open(settings, openContext("settings"));
  });
  after(async () => {
    await store[Symbol.asyncDispose]();
    await relay[Symbol.asyncDispose]();
    await server[Symbol.asyncDispose]();
  });

  const save = (app: string, key: string, content: string): Promise<void> =>
    store.save({ appId: app, items: [itemOf(key, content)] }, callWith());

  /** Follows an application, and notes changes as `key=content`, deletes as `key gone`. */
  const follow = async (app: string): Promise<AsyncDisposable & { readonly seen: readonly string[] }> => {
    const seen: string[] = [];
    const note = ({ key, content, deleted }: ConfigChange): number =>
      seen.push(deleted ? `${key} gone` : `${key}=${content}`);
    const subscription = await store.subscribe(selectionOf(app), {
      changed: (changes) => changes.forEach(note),
      lost: (error) => seen.push(error.message),
    });
    return { seen, [Symbol.asyncDispose]: () => subscription[Symbol.asyncDispose]() };
  };

  it("lies under PREFIX/APPLICATION/GROUP/LABEL/KEY, and what others put there is all content", async () => {
    const app = unique("app");
    await save(app, "ours", "1");
    await server.ctl("put", `outrigger/config/${app}///theirs`, "plain text");
    await server.ctl("put", `outrigger/config/${app}/a%2Fb//theirs`, '{"no": "item"}');
    const items = await store.get(selectionOf(app), callWith());
    assert.deepEqual(items, [itemOf("ours", "1"), itemOf("theirs", "plain text")]);
    const [grouped] = await store.get(selectionOf(app, { group: "a/b" }), callWith());
    assert.equal(grouped?.content, '{"no": "item"}');
  });

  it("saves more than one request takes", async () => {
    const app = unique("app");
    const items = Array.from({ length: 250 }, (_, index) => itemOf(`key-${index}`, "x".repeat(10_000)));
    await store.save({ appId: app, items }, callWith());
    assert.equal((await store.get(selectionOf(app), callWith())).length, 250);
    await store.delete(selectionOf(app), callWith());
    assert.deepEqual(await store.get(selectionOf(app), callWith()), []);
  });

  it("is followed from where it was when the connection was lost", async () => {
    const app = unique("app");
    await save(app, "a", "1");
    await using follower = await follow(app);
    relay.cut();
    await server.ctl("put", `outrigger/config/${app}///a`, "2");
    await server.ctl("put", `outrigger/config/${app}///a`, "3");
    await server.ctl("del", `outrigger/config/${app}///a`);
    relay.mend();
    await eventually("the last change was told", () => follower.seen.at(-1) === "a gone");
    assert.deepEqual(follower.seen, ["a=2", "a=3", "a gone"]);
  });

  it("is followed through a restart of the server", async () => {
    const app = unique("app");
    await using follower = await follow(app);
    await server.kill();
    await server.start();
    await eventually("it serves again", () =>
      save(app, "a", "1").then(
        () => true,
        () => false,
      ),
    );
    await eventually("the change was told", () => follower.seen.at(-1) === "a=1");
  });

  it("is read again and compared when the server has forgotten what came meanwhile", async () => {
    const app = unique("app");
    await save(app, "kept", "1");
    await save(app, "changed", "1");
    await save(app, "gone", "1");
    await using follower = await follow(app);
    relay.cut();
    for (const content of ["2", "3"]) await server.ctl("put", `outrigger/config/${app}///changed`, content);
    await server.ctl("del", `outrigger/config/${app}///gone`);
    await server.ctl("put", `outrigger/config/${app}///made`, "1");
    const revision = /"revision":(\d+)/.exec(await server.ctl("get", "--write-out=json", "x"))?.[1] ?? "";
    await server.ctl("compact", revision);
    relay.mend();
    await eventually("the difference was told", () => follower.seen.length > 0);
    assert.deepEqual([...follower.seen].sort(), ["changed=3", "gone gone", "made=1"]);
    await save(app, "kept", "2");
    await eventually("it goes on", () => follower.seen.at(-1) === "kept=2");
  });

  it("is followed on with a new token when the server has forgotten the old one", async () => {
    await using guarded = await startEtcd({ rootPassword: "sesame" });
    const settings = { endpoints: [guarded.address], username: "root", password: "sesame" };
    await using own = await etcdConfigStore.open(etcdConfigStore.config.parse(settings), openContext("settings"));
    const seen: string[] = [];
    await using _ = await own.subscribe(selectionOf("app"), {
      changed: (changes) => seen.push(...changes.map(({ content }) => content)),
      lost: (error) => seen.push(error.message),
    });
    await guarded.kill();
    await guarded.start();
    await guarded.ctl("put", "outrigger/config/app///a", "1");
    await eventually("the change was told", () => seen.length > 0);
    assert.deepEqual(seen, ["1"]);
  });
});
