/** What every configuration store does, whatever lies behind it. */
import assert from "node:assert/strict";
import type { ConfigChange, ConfigItem, ConfigSelection, ConfigStore } from "../../components/config/config-store.ts";
import { type Backend, callWith, eventually, oddNames, openedFor, placeFor, unique } from "./backend.ts";
import { killsServer, outageChecks, served, whileAway } from "./outage.ts";

/** Registers the tests of a configuration store. */
export function testConfigStore(backend: Backend<ConfigStore>): void {
  const { check, group } = backend.checks;
  const store = openedFor(backend);
  const save = (appId: string, ...items: ConfigItem[]): Promise<void> => store().save({ appId, items }, callWith());
  const remove = (appId: string, changes: Partial<ConfigSelection> = {}): Promise<void> =>
    store().delete(selectionOf(appId, changes), callWith());
  const read = async (appId: string, changes: Partial<ConfigSelection> = {}): Promise<ConfigItem[]> =>
    byKey(await store().get(selectionOf(appId, changes), callWith()));
  const contents = async (appId: string, changes: Partial<ConfigSelection> = {}): Promise<Record<string, string>> =>
    Object.fromEntries((await read(appId, changes)).map(({ key, content }) => [key, content]));

  group("items", () => {
    check("are given back whole", async () => {
      const app = unique("app");
      const item = itemOf("currency", "EUR", { tags: { team: "shop", "": "" }, metadata: { version: "3" } });
      await save(app, item);
      assert.deepEqual(await read(app, { keys: ["currency"] }), [item]);
    });

    check("are chosen by key, and an empty list of keys chooses all", async () => {
      const app = unique("app");
      await save(app, itemOf("a", "1"), itemOf("b", "2"), itemOf("c", "3"));
      assert.deepEqual(await contents(app, { keys: ["a", "c"] }), { a: "1", c: "3" });
      assert.deepEqual(await contents(app), { a: "1", b: "2", c: "3" });
    });

    check("that do not exist are left out, and a key that is asked for twice comes once", async () => {
      const app = unique("app");
      assert.deepEqual(await read(app), []);
      await save(app, itemOf("a", "1"));
      assert.deepEqual((await read(app, { keys: ["a", "missing", "a"] })).length, 1);
      assert.deepEqual(await read(app, { keys: ["missing"] }), []);
    });

    check("are replaced by the next with their name, tags and all", async () => {
      const app = unique("app");
      await save(app, itemOf("a", "1", { tags: { old: "tag" }, metadata: { old: "metadata" } }));
      await save(app, itemOf("a", "2", { tags: { new: "tag" } }));
      assert.deepEqual(await read(app), [itemOf("a", "2", { tags: { new: "tag" } })]);
    });

    check("are told apart by application, group and label", async () => {
      const [app, other] = [unique("app"), unique("app")];
      await save(
        app,
        itemOf("a", "plain"),
        itemOf("a", "grouped", { group: "g" }),
        itemOf("a", "labelled", { label: "l" }),
        itemOf("a", "both", { group: "g", label: "l" }),
      );
      await save(other, itemOf("a", "of another"));
      assert.deepEqual(await contents(app), { a: "plain" });
      assert.deepEqual(await contents(app, { group: "g" }), { a: "grouped" });
      assert.deepEqual(await contents(app, { label: "l" }), { a: "labelled" });
      assert.deepEqual(await contents(app, { group: "g", label: "l" }), { a: "both" });
      assert.deepEqual(await contents(app, { group: "l", label: "g" }), {});
      assert.deepEqual(await contents(other), { a: "of another" });
    });

    check("are deleted by name, and those beside them stay", async () => {
      const app = unique("app");
      await save(app, itemOf("a", "1"), itemOf("b", "2"), itemOf("a", "other", { group: "g" }));
      await remove(app, { keys: ["a", "missing"] });
      assert.deepEqual(await contents(app), { b: "2" });
      assert.deepEqual(await contents(app, { group: "g" }), { a: "other" });
      await remove(app, { keys: ["a"] });
      await remove(unique("app"), { keys: ["a"] });
    });

    check("keep every text as it is", async () => {
      const app = unique("app");
      const texts = [...oddNames, "", " ", "line\r\nline\n", "# no comment", "- a\n---\n: b", "x".repeat(1024 ** 2)];
      await save(app, ...texts.map((text, index) => itemOf(`key-${index}`, text)));
      assert.deepEqual(await contents(app), Object.fromEntries(texts.map((text, index) => [`key-${index}`, text])));
      await remove(app, { keys: texts.map((_, index) => `key-${index}`) });
    });

    check("are kept apart under odd names", async () => {
      const app = unique("app");
      const named = oddNames.filter((name) => name !== "__proto__");
      await save(
        app,
        ...named.flatMap((name) => [itemOf(name, name), itemOf("key", name, { group: name, label: name })]),
      );
      assert.deepEqual(await contents(app), Object.fromEntries(named.map((name) => [name, name])));
      for (const name of named) {
        assert.deepEqual(await contents(app, { group: name, label: name }), { key: name });
      }
      await remove(app, { keys: named });
      assert.deepEqual(await contents(app), {});
    });

    check("are copies: changing what was handed in or out does not change the store", async () => {
      const app = unique("app");
      const tags: Record<string, string> = { team: "shop" };
      await save(app, itemOf("a", "1", { tags }));
      tags.team = "changed";
      const [found] = await read(app);
      assert.deepEqual(found?.tags, { team: "shop" });
      Object.assign(found.tags, { team: "changed" });
      assert.deepEqual((await read(app))[0]?.tags, { team: "shop" });
    });

    check("of many savers at once are all there", async () => {
      const app = unique("app");
      const keys = Array.from({ length: 40 }, (_, index) => `key-${index}`);
      await Promise.all(keys.map((key) => save(app, itemOf(key, key))));
      assert.equal((await read(app)).length, keys.length);
    });

    check("are not touched by a call that was cancelled before it began", async () => {
      const app = unique("app");
      await save(app, itemOf("a", "1"));
      const reason = new Error("the caller has gone");
      const call = callWith(AbortSignal.abort(reason));
      const cancelled = [
        async () => store().save({ appId: app, items: [itemOf("a", "2")] }, call),
        async () => store().delete(selectionOf(app, { keys: ["a"] }), call),
        async () => store().get(selectionOf(app), call),
      ];
      for (const attempt of cancelled) await assert.rejects(attempt, reason);
      assert.deepEqual(await contents(app), { a: "1" });
    });
  });

  group("subscribers", () => {
    const follow = async (appId: string, changes: Partial<ConfigSelection> = {}): Promise<Follower> => {
      const seen: ConfigChange[] = [];
      const lost: Error[] = [];
      const subscription = await store().subscribe(selectionOf(appId, changes), {
        changed: (told) => seen.push(...told),
        lost: (error) => lost.push(error),
      });
      return { seen, lost, [Symbol.asyncDispose]: () => subscription[Symbol.asyncDispose]() };
    };

    check("are told of the items they chose, and of no others", async () => {
      const app = unique("app");
      await save(app, itemOf("a", "0"), itemOf("b", "0"));
      await using one = await follow(app, { keys: ["a"] });
      await using two = await follow(app, { keys: ["a", "b"] });
      await using all = await follow(app);
      await using grouped = await follow(app, { group: "g" });
      await save(app, itemOf("a", "1", { tags: { team: "shop" }, metadata: { version: "2" } }));
      await save(app, itemOf("b", "1"), itemOf("c", "1"));
      await save(app, itemOf("a", "1", { group: "g" }));
      await save(unique("app"), itemOf("a", "of another"));
      await save(app, itemOf("a", "2"), itemOf("b", "2"), itemOf("c", "2"), itemOf("a", "2", { group: "g" }));
      const hasLast = ({ seen }: Follower, ...keys: string[]) =>
        keys.every((key) => lastOf(seen, key)?.content === "2");
      await eventually("all have been told of the last change", () =>
        [hasLast(one, "a"), hasLast(two, "a", "b"), hasLast(all, "a", "b", "c"), hasLast(grouped, "a")].every((x) => x),
      );
      assert.deepEqual(keysOf(one.seen), ["a"]);
      assert.deepEqual(keysOf(two.seen), ["a", "b"]);
      assert.deepEqual(keysOf(all.seen), ["a", "b", "c"]);
      assert.deepEqual(keysOf(grouped.seen), ["a"]);
      assert.ok([...one.seen, ...two.seen, ...all.seen].every(({ group, deleted }) => group === "" && !deleted));
      assert.ok(grouped.seen.every(({ group }) => group === "g"));
      const first = all.seen.find(({ key, content }) => key === "a" && content === "1");
      if (first !== undefined) assert.deepEqual([first.tags, first.metadata], [{ team: "shop" }, { version: "2" }]);
    });

    check("are told of the changes to one item in order", async () => {
      const app = unique("app");
      await using follower = await follow(app, { keys: ["a"] });
      for (let index = 1; index <= 20; index++) await save(app, itemOf("a", String(index)));
      await eventually("the last change was told", () => lastOf(follower.seen, "a")?.content === "20");
      const told = follower.seen.map(({ content }) => Number(content));
      assert.deepEqual(
        told,
        told.toSorted((a, b) => a - b),
      );
    });

    check("are told of a delete with empty content, and not of what did not exist", async () => {
      const app = unique("app");
      await save(app, itemOf("a", "1"), itemOf("b", "1"));
      await using follower = await follow(app);
      await remove(app, { keys: ["a", "missing"] });
      await eventually("the delete was told", () => lastOf(follower.seen, "a")?.deleted === true);
      assert.equal(lastOf(follower.seen, "a")?.content, "");
      await save(app, itemOf("a", "again"));
      await eventually("the item was told again", () => lastOf(follower.seen, "a")?.deleted === false);
      assert.deepEqual(keysOf(follower.seen), ["a"]);
    });

    check("end one by one, and the others go on", async () => {
      const app = unique("app");
      const followers = [await follow(app), await follow(app), await follow(app, { keys: ["a"] })];
      for (let ended = 0; ended < followers.length; ended++) {
        await followers[ended]?.[Symbol.asyncDispose]();
        await using witness = await follow(app);
        const round = `round ${ended}`;
        await save(app, itemOf("a", round));
        const going = [witness, ...followers.slice(ended + 1)];
        await eventually("those who go on were told", () =>
          going.every(({ seen }) => lastOf(seen, "a")?.content === round),
        );
        for (const { seen } of followers.slice(0, ended + 1)) assert.notEqual(lastOf(seen, "a")?.content, round);
      }
      assert.ok(followers.every(({ lost }) => lost.length === 0));
    });

    check("that throw do not keep a change from the others, nor from the saver", async () => {
      const app = unique("app");
      await using _ = await store().subscribe(selectionOf(app), {
        changed: () => {
          throw new Error("a subscriber with a fault");
        },
        lost: () => undefined,
      });
      await using follower = await follow(app);
      await save(app, itemOf("a", "1"));
      await eventually("the other was told", () => lastOf(follower.seen, "a")?.content === "1");
    });

    check("are told once when the store is closed, unless they had ended", async () => {
      await using place = await placeFor(backend);
      const lost: string[] = [];
      {
        await using closing = await place.open();
        const listen = (name: string) => ({ changed: () => undefined, lost: () => lost.push(name) });
        await closing.subscribe(selectionOf("app"), listen("still here"));
        const ended = await closing.subscribe(selectionOf("app"), listen("ended"));
        await ended[Symbol.asyncDispose]();
      }
      assert.deepEqual(lost, ["still here"]);
    });
  });

  check("tells its subscribers of what another with the same settings changes", { needs: "shared" }, async () => {
    await using place = await placeFor(backend);
    await using one = await place.open();
    await using other = await place.open();
    const app = unique("app");
    const seen: ConfigChange[] = [];
    const listener = { changed: (told: readonly ConfigChange[]) => seen.push(...told), lost: () => undefined };
    await using _ = await one.subscribe(selectionOf(app), listener);
    await other.save({ appId: app, items: [itemOf("a", "1")] }, callWith());
    await eventually("the item was told", () => lastOf(seen, "a")?.content === "1");
    assert.deepEqual(await one.get(selectionOf(app), callWith()), [itemOf("a", "1")]);
    await other.delete(selectionOf(app, { keys: ["a"] }), callWith());
    await eventually("the delete was told", () => lastOf(seen, "a")?.deleted === true);
  });

  group("an outage:", () => {
    outageChecks(backend, (opened, call) => opened.get(selectionOf("probe"), call));

    check(
      "what changes before the watch is back is told, as it is then",
      { needs: "durable", ...killsServer },
      async () => {
        await using place = await placeFor(backend);
        await using watching = await place.open();
        const app = unique("app");
        const items = ["kept", "changed", "deleted"].map((key) => itemOf(key, "before"));
        await watching.save({ appId: app, items }, callWith());
        const seen: ConfigChange[] = [];
        const lost: Error[] = [];
        await using _ = await watching.subscribe(selectionOf(app), {
          changed: (told) => seen.push(...told),
          lost: (error) => lost.push(error),
        });
        await whileAway(backend, async () => undefined);
        {
          await using other = await place.open();
          await other.save({ appId: app, items: [itemOf("changed", "after"), itemOf("made", "after")] }, callWith());
          await other.delete(selectionOf(app, { keys: ["deleted"] }), callWith());
        }
        await eventually("all changes were told", () => {
          const changed = ["changed", "made"].every((key) => lastOf(seen, key)?.content === "after");
          return changed && lastOf(seen, "deleted")?.deleted === true;
        });
        assert.deepEqual(lost, []);
        await served(() => watching.save({ appId: app, items: [itemOf("changed", "later")] }, callWith()));
        await eventually("later changes are told", () => lastOf(seen, "changed")?.content === "later");
        const kept = await watching.get(selectionOf(app, { keys: ["kept"] }), callWith());
        assert.deepEqual(kept, [itemOf("kept", "before")]);
      },
    );
  });

  const reopened = async (isKept: boolean): Promise<void> => {
    await using place = await placeFor(backend);
    const app = unique("app");
    const item = itemOf("a", "1", { group: "g", label: "l", tags: { t: "1" }, metadata: { m: "2" } });
    {
      await using first = await place.open();
      await first.save({ appId: app, items: [item, itemOf("deleted", "x")] }, callWith());
      await first.delete(selectionOf(app, { keys: ["deleted"] }), callWith());
    }
    await using second = await place.open();
    const found = await second.get(selectionOf(app, { group: "g", label: "l" }), callWith());
    assert.deepEqual(found, isKept ? [item] : []);
    assert.deepEqual(await second.get(selectionOf(app), callWith()), []);
  };
  check(
    "has items that are there after it was closed and opened again",
    { needs: "durable", otherwise: () => reopened(false) },
    () => reopened(true),
  );
}

interface Follower extends AsyncDisposable {
  readonly seen: readonly ConfigChange[];
  readonly lost: readonly Error[];
}

const itemOf = (key: string, content: string, changes: Partial<ConfigItem> = {}): ConfigItem => ({
  key,
  content,
  group: "",
  label: "",
  tags: {},
  metadata: {},
  ...changes,
});

const selectionOf = (appId: string, changes: Partial<ConfigSelection> = {}): ConfigSelection => ({
  appId,
  group: "",
  label: "",
  keys: [],
  ...changes,
});

const byKey = (items: readonly ConfigItem[]): ConfigItem[] => items.toSorted((a, b) => (a.key < b.key ? -1 : 1));
const keysOf = (changes: readonly ConfigChange[]): string[] => [...new Set(changes.map(({ key }) => key))].sort();
const lastOf = (changes: readonly ConfigChange[], key: string): ConfigChange | undefined =>
  changes.findLast((change) => change.key === key);
