/** What configuration on NATS does beside what every configuration store does: other clients, and buckets that are made anew. */
import assert from "node:assert/strict";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { connect, type NatsConnection } from "nats";
import { callWith, eventually, unique } from "../../test/conformance/backend.ts";
import { type NatsServer, startNats } from "../../test/support/nats-server.ts";
import { openContext } from "../../test/support/open-context.ts";
import { RuntimeError } from "../error.ts";
import type { ConfigChange, ConfigStore } from "./config-store.ts";
import { natsConfigStore } from "./nats.ts";

describe("configuration in NATS", () => {
  let server: NatsServer;
  let other: NatsConnection;
  before(async () => {
    server = await startNats({ maxPayloadBytes: 64 * 1024 });
    other = await connect({ servers: server.address });
  });
  after(async () => {
    await other.close();
    await server[Symbol.asyncDispose]();
  });
  const open = (settings: object = {}): Promise<ConfigStore> =>
    natsConfigStore.open(
      natsConfigStore.config.parse({ servers: [server.address], ...settings }),
      openContext("settings"),
    );

  it("is set by people with the nats command, whose changes are told", async () => {
    await using store = await open();
    const changes: ConfigChange[] = [];
    await using _ = await store.subscribe(selectionOf("orders"), {
      changed: (told) => changes.push(...told),
      lost: (error) => assert.fail(error),
    });
    const bucket = await other.jetstream().views.kv("outrigger-config");
    await bucket.put("orders.=.=.max=20items", "10");
    await eventually("the change was told", () => changes.length === 1);
    await bucket.delete("orders.=.=.max=20items");
    await eventually("the deletion was told", () => changes.length === 2);
    await bucket.put("orders.=.=.currency", "EUR");
    await bucket.put("not-of-four-parts", "x");
    assert.deepEqual(
      changes.slice(0, 2).map(({ key, content, deleted }) => ({ key, content, deleted })),
      [
        { key: "max items", content: "10", deleted: false },
        { key: "max items", content: "", deleted: true },
      ],
    );
    const [item, ...more] = await store.get(selectionOf("orders"), callWith());
    assert.deepEqual(more, []);
    assert.deepEqual(item, { key: "currency", content: "EUR", group: "", label: "", tags: {}, metadata: {} });
  });

  it("is read by people with the nats command as it is", async () => {
    await using store = await open();
    const item = { key: "a", content: "EUR", group: "shop", label: "", tags: { team: "x" }, metadata: {} };
    await store.save({ appId: "orders", items: [item] }, callWith());
    const bucket = await other.jetstream().views.kv("outrigger-config");
    assert.equal((await bucket.get("orders.shop.=.a"))?.string(), "EUR");
  });

  it("says how long an item may be when one is longer", async () => {
    await using store = await open();
    const item = { key: "long", content: "x".repeat(64 * 1024), group: "", label: "", tags: {}, metadata: {} };
    await assert.rejects(store.save({ appId: "orders", items: [item] }, callWith()), (error) => {
      return (
        error instanceof RuntimeError &&
        error.code === "RESOURCE_EXHAUSTED" &&
        /'long'.*max_payload/.test(error.message)
      );
    });
  });

  it("misses no item of thousands that change while they are read", async () => {
    await using store = await open({ bucket: unique("many") });
    const items = Array.from({ length: 1_000 }, (_, index) => itemOf(`key-${index}`, "x"));
    await store.save({ appId: "orders", items }, callWith());
    const reading = store.get(selectionOf("orders"), callWith());
    const writing = store.save(
      { appId: "orders", items: items.map((item) => ({ ...item, content: "y" })) },
      callWith(),
    );
    assert.equal((await reading).length, 1_000);
    await writing;
    await store.delete(selectionOf("orders"), callWith());
    assert.deepEqual(await store.get(selectionOf("orders"), callWith()), []);
  });

  it("tells its subscribers what a bucket that was made anew has lost, and goes on", async () => {
    await using own = await startNats();
    const warnings: string[] = [];
    const quiet = (): void => undefined;
    const warn = (_fields: object, message: string): void => void warnings.push(message);
    await using store = await natsConfigStore.open(
      natsConfigStore.config.parse({ servers: [own.address] }),
      openContext("settings", { log: { debug: quiet, info: quiet, warn, error: warn } }),
    );
    await store.save({ appId: "orders", items: [itemOf("a", "1"), itemOf("b", "1"), itemOf("c", "1")] }, callWith());
    await store.delete({ ...selectionOf("orders"), keys: ["c"] }, callWith());
    const told: string[] = [];
    const toldOfB: string[] = [];
    const listener = (texts: string[]) => ({
      changed: (changes: readonly ConfigChange[]) => {
        for (const { key, content, deleted } of changes) texts.push(deleted ? `${key} deleted` : `${key}=${content}`);
      },
      lost: (error: Error) => assert.fail(error),
    });
    await using _all = await store.subscribe(selectionOf("orders"), listener(told));
    await using _one = await store.subscribe({ ...selectionOf("orders"), keys: ["b"] }, listener(toldOfB));
    await store.save({ appId: "orders", items: [itemOf("d", "1")] }, callWith());
    await eventually("the change was told", () => told.length === 1);
    for (const round of ["2", "3"]) {
      told.length = 0;
      toldOfB.length = 0;
      await own.kill();
      await rm(join(own.directory, "jetstream"), { recursive: true });
      await own.start();
      await eventually("all that is lost is told", () => told.length === 3 && toldOfB.length === 1);
      assert.deepEqual(told.toSorted(), ["a deleted", "b deleted", "d deleted"]);
      assert.deepEqual(toldOfB, ["b deleted"]);
      assert.deepEqual(await store.get(selectionOf("orders"), callWith()), []);
      const items = ["a", "b", "d"].map((key) => itemOf(key, round));
      await store.save({ appId: "orders", items }, callWith());
      await eventually("the changes are told", () => told.length === 6 && toldOfB.length === 2);
      assert.deepEqual(
        told.slice(3).toSorted(),
        items.map(({ key }) => `${key}=${round}`),
      );
    }
    assert.equal(warnings.filter((text) => text.includes("made anew")).length, 2);
  });
});

const selectionOf = (appId: string) => ({ appId, group: "", label: "", keys: [] });
const itemOf = (key: string, content: string) => ({ key, content, group: "", label: "", tags: {}, metadata: {} });
