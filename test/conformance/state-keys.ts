/** What every state store that lists keys does, and what the API makes of it; and numbers that many add to at once. */
import assert from "node:assert/strict";
import type { StateStore } from "../../components/state/state-store.ts";
import { createState } from "../../runtime/api/state.ts";
import {
  type Backend,
  bytesOf,
  callWith,
  eventually,
  isRefused,
  oddNames,
  placeFor,
  storesOf,
  unique,
} from "./backend.ts";
import { deleteOf, setOf } from "./state-requests.ts";

/** Those that may give a key on two pages though nobody writes it. */
const repeating: ReadonlySet<string> = new Set(["redis"]);
const name = "conformance";

/** Registers the checks of listings. */
export function keyChecks(backend: Backend<StateStore>, store: () => StateStore): void {
  const { check, group } = backend.checks;
  const block = () => createState(storesOf("state", backend, store()));
  const set = (key: string, changes = {}): Promise<void> => store().set(setOf(key, "x", changes), callWith());
  const listed = (prefix: string, limit = 100) => allKeys(store(), prefix, { limit });
  const refused = async (): Promise<void> => {
    assert.equal(store().keys, undefined);
    await isRefused(backend, () => block().keys({ store: name, prefix: "", cursor: undefined, limit: 0 }, callWith()));
  };
  const needs = "keys";

  group("a listing of keys", () => {
    check("has those that begin with the prefix, and no others", { needs, otherwise: refused }, async () => {
      const run = unique("listed");
      const keys = ["", "-a", "-b", "-b/c", "-\u{10ffff}z"].map((end) => run + end);
      await Promise.all([...keys, run.slice(0, -1), `x${run}`].map((key) => set(key)));
      assert.deepEqual(await listed(run), keys.sort());
      assert.deepEqual(await listed(`${run}-b`), [`${run}-b`, `${run}-b/c`]);
      assert.deepEqual(await listed(`${run}-none`), []);
      assert.ok((await listed("")).includes(run));
    });

    check("takes a prefix as it is, whatever it means elsewhere", { needs }, async () => {
      for (const odd of oddNames.filter((odd) => odd.length < 100)) {
        const run = unique("odd") + odd;
        await Promise.all([`${run}1`, `${run}2`].map((key) => set(key)));
        assert.deepEqual(await listed(run), [`${run}1`, `${run}2`]);
      }
      const [all, one] = [unique("a*"), unique("aXXXXXXXXXX")];
      await Promise.all([set(all), set(one)]);
      assert.deepEqual(await listed("a*").then((keys) => keys.includes(one)), false);
    });

    check("gives odd keys as they are, and those of a thousand bytes", { needs }, async () => {
      const run = unique("odd");
      const keys = [...oddNames.filter((odd) => odd.length < 100), "l".repeat(960)].map((odd) => run + odd);
      await Promise.all(keys.map((key) => set(key)));
      assert.deepEqual(await listed(run), keys.sort());
    });

    check("goes on page by page until there are no more", { needs }, async () => {
      const run = unique("pages");
      const keys = Array.from({ length: 250 }, (_, index) => `${run}-${index}`).sort();
      await Promise.all(keys.map((key) => set(key)));
      for (const limit of [7, 50, 250, 1_000]) assert.deepEqual(await listed(run, limit), keys);
    });

    check("has every key that is there all the time, while others come and go", { needs }, async () => {
      const run = unique("steady");
      const steady = Array.from({ length: 150 }, (_, index) => `${run}-${index}`);
      await Promise.all(steady.map((key) => set(key)));
      const seen = new Set<string>();
      let [cursor, page]: [string | undefined, number] = [undefined, 0];
      do {
        const found: Awaited<ReturnType<NonNullable<StateStore["keys"]>>> | undefined = await store().keys?.(
          { prefix: run, cursor, limit: 10 },
          callWith(),
        );
        for (const key of found?.keys ?? []) seen.add(key);
        cursor = found?.cursor;
        const passing = `${run}-passing-${page}`;
        await Promise.all([set(passing), page < 20 ? set(steady[page] ?? "") : undefined]);
        await store().delete(deleteOf(passing), callWith());
        page++;
      } while (cursor !== undefined);
      assert.deepEqual(
        steady.filter((key) => !seen.has(key)),
        [],
      );
    });

    check("has no key that was deleted", { needs }, async () => {
      const run = unique("deleted");
      await Promise.all(["-a", "-b", "-c"].map((end) => set(run + end)));
      await store().delete(deleteOf(`${run}-b`), callWith());
      assert.deepEqual(await listed(run), [`${run}-a`, `${run}-c`]);
    });

    check("has no key that has expired", { needs: ["keys", "ttl"] }, async () => {
      const run = unique("expired");
      await set(`${run}-short`, { ttlMs: 50 });
      await Promise.all([set(`${run}-long`, { ttlMs: 600_000 }), set(`${run}-unlimited`)]);
      const isGone = async (): Promise<boolean> =>
        (await store().get({ key: `${run}-short`, consistency: "strong" }, callWith())) === undefined;
      await eventually("the key has expired", isGone);
      assert.deepEqual(await listed(run), [`${run}-long`, `${run}-unlimited`]);
      assert.deepEqual(await listed(run, 1), [`${run}-long`, `${run}-unlimited`]);
    });

    check("refuses a cursor that no page gave", { needs }, async () => {
      const wrong = store().keys?.({ prefix: unique("none"), cursor: "no cursor!", limit: 10 }, callWith());
      await assert.rejects(async () => wrong, { code: "INVALID_ARGUMENT", reason: "CURSOR_UNKNOWN" });
    });

    check("ends when its call was cancelled", { needs }, async () => {
      const reason = new Error("the caller has gone");
      const call = callWith(AbortSignal.abort(reason));
      await assert.rejects(async () => store().keys?.({ prefix: "", cursor: undefined, limit: 10 }, call), reason);
    });

    check("has for an application its own keys alone", { needs }, async () => {
      const run = unique("own");
      await Promise.all([`${run}-a`, `conformance||${run}-b`, `other||${run}-c`].map((key) => set(key)));
      const listedFor = async (keyPrefix: string, prefix: string): Promise<readonly string[]> => {
        const opened = { ...storesOf("state", backend, store()).find(name), keyPrefix };
        const stores = { ...storesOf("state", backend, store()), find: () => opened };
        const found: string[] = [];
        let cursor: string | undefined;
        do {
          const page = await createState(stores).keys({ store: name, prefix, cursor, limit: 1_000 }, callWith());
          found.push(...page.keys);
          cursor = page.cursor;
        } while (cursor !== undefined);
        return [...new Set(found)].sort();
      };
      assert.deepEqual(await listedFor("none", run), [`${run}-a`]);
      assert.ok(!(await listedFor("none", "")).some((key) => key.includes("||")));
      assert.deepEqual(await listedFor("appid", run), [`${run}-b`]);
      assert.deepEqual(await listedFor("other", run), [`${run}-c`]);
      await assert.rejects(listedFor("none", "conformance||"), { reason: "KEY_RESERVED" });
    });
  });

  /** All keys with the prefix, in order; no page is larger than it may be, and none comes twice where that is promised. */
  async function allKeys(from: StateStore, prefix: string, { limit }: { limit: number }): Promise<string[]> {
    const found: string[] = [];
    let cursor: string | undefined;
    do {
      const page = await from.keys?.({ prefix, cursor, limit }, callWith());
      assert.ok(page !== undefined, "the store has the listing that it claims");
      assert.equal(new Set(page.keys).size, page.keys.length, "no key is twice on a page");
      if (!repeating.has(backend.definition.type)) assert.ok(page.keys.length <= limit);
      found.push(...page.keys);
      cursor = page.cursor;
    } while (cursor !== undefined);
    const keys = [...new Set(found)].sort();
    if (prefix !== "" && !repeating.has(backend.definition.type)) assert.equal(found.length, keys.length);
    return keys;
  }
}

/** Registers the checks of numbers. */
export function incrementChecks(backend: Backend<StateStore>, store: () => StateStore): void {
  const { check, group } = backend.checks;
  const over = (opened: StateStore) => createState(storesOf("state", backend, opened));
  const add = (key: string, delta: bigint, opened = store()): Promise<bigint> =>
    over(opened).increment({ store: name, key, delta }, callWith());

  group("a number", () => {
    check("begins at 0, and is decimal text", async () => {
      const key = unique("number");
      assert.equal(await add(key, 5n), 5n);
      assert.equal(await add(key, -7n), -2n);
      const entry = await store().get({ key, consistency: "strong" }, callWith());
      assert.equal(Buffer.from(entry?.value ?? []).toString(), "-2");
    });

    check("counts all of what fifty add at once", async () => {
      const key = unique("number");
      const block = over(store());
      const sums = await Promise.all(
        Array.from({ length: 50 }, () => block.increment({ store: name, key, delta: 1n }, callWith())),
      );
      assert.deepEqual(
        sums.sort((one, other) => Number(one - other)),
        Array.from({ length: 50 }, (_, index) => BigInt(index + 1)),
      );
      assert.equal(await add(key, 0n), 50n);
    });

    check("counts what is added from several sidecars at once", { needs: "shared" }, async () => {
      await using place = await placeFor(backend);
      await using one = await place.open();
      await using other = await place.open();
      const key = unique("number");
      const blocks = [over(one), over(other), over(one)];
      const adding = Array.from({ length: 50 }, (_, index) =>
        blocks[index % blocks.length]?.increment({ store: name, key, delta: 1n }, callWith()),
      );
      await Promise.all(adding);
      assert.equal(await add(key, 0n, one), 50n);
    });

    check("stays as it is when it is none, or would be too large", async () => {
      const key = unique("number");
      for (const value of ["", "one", "1.5", "0x10", "18446744073709551616", "1 "]) {
        await store().set(setOf(key, value), callWith());
        await assert.rejects(add(key, 1n), { code: "INVALID_ARGUMENT", reason: "INCREMENT_OF_NO_NUMBER" });
      }
      await store().set(setOf(key, "18446744073709551615"), callWith());
      await assert.rejects(add(key, 1n), { code: "INVALID_ARGUMENT", reason: "INCREMENT_OUT_OF_RANGE" });
      assert.equal(await add(key, -(2n ** 64n) - 2n ** 63n + 1n), -(2n ** 63n));
      await assert.rejects(add(key, -1n), { reason: "INCREMENT_OUT_OF_RANGE" });
    });

    check("keeps its limit of life", { needs: "ttl" }, async () => {
      const key = unique("number");
      await store().set({ ...setOf(key, bytesOf("1")), ttlMs: 600_000 }, callWith());
      assert.equal(await add(key, 1n), 2n);
      const entry = await store().get({ key, consistency: "strong" }, callWith());
      const leftMs = (entry?.expiresAtMs ?? 0) - Date.now();
      assert.ok(leftMs > 500_000 && leftMs < 660_000, `${leftMs} ms are left`);
    });
  });
}
