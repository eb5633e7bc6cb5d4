/** What every state store does, whatever lies behind it. */
import assert from "node:assert/strict";
import type { DeleteState, StateEntry, StateStore } from "../../components/state/state-store.ts";
import { createState } from "../../runtime/api/state.ts";
import {
  type Backend,
  bytesOf,
  callWith,
  eventually,
  isRefused,
  oddNames,
  openedFor,
  storesOf,
  unique,
} from "./backend.ts";
import { apiChecks } from "./state-api.ts";
import { durabilityChecks } from "./state-durability.ts";
import { incrementChecks, keyChecks } from "./state-keys.ts";
import { type Changes, deleteOf, etagMismatch, onlyWinner, setOf } from "./state-requests.ts";
import { transactionChecks } from "./state-transactions.ts";

/** Registers the tests of a state store. */
export function testStateStore(backend: Backend<StateStore>): void {
  const { check, group } = backend.checks;
  const store = openedFor(backend);
  const get = (key: string): Promise<StateEntry | undefined> => store().get({ key, consistency: "strong" }, callWith());
  const set = (key: string, value: string | Uint8Array, changes: Changes = {}): Promise<void> =>
    store().set(setOf(key, value, changes), callWith());
  const remove = (key: string, changes: Partial<DeleteState> = {}): Promise<void> =>
    store().delete(deleteOf(key, changes), callWith());
  const textAt = async (key: string): Promise<string | undefined> => {
    const entry = await get(key);
    return entry === undefined ? undefined : new TextDecoder().decode(entry.value);
  };
  const etagAt = async (key: string): Promise<string> => {
    const entry = await get(key);
    assert.ok(entry !== undefined && entry.etag !== "", `'${key}' exists and has an etag`);
    return entry.etag;
  };

  group("values", () => {
    const values: readonly (readonly [string, Uint8Array])[] = [
      ["a number", bytesOf("42")],
      ["a text that looks like JSON", bytesOf('{"a": [1, null]}')],
      ["bytes that are not UTF-8", Uint8Array.of(0, 255, 254, 128, 0)],
      ["nothing at all", new Uint8Array(0)],
      ["one byte more than a page", new Uint8Array(4097).fill(7)],
      ["a megabyte", Uint8Array.from({ length: 1024 ** 2 }, (_, index) => (index * 31) % 251)],
    ];
    for (const [what, value] of values) {
      check(`are given back as they were set: ${what}`, async () => {
        const key = unique("value");
        await set(key, value);
        const entry = await get(key);
        assert.equal(entry?.key, key);
        assert.ok(Buffer.from(entry.value).equals(value));
      });
    }

    check("of a key that was never set are absent", async () => {
      assert.equal(await get(unique("never")), undefined);
    });

    check("are replaced by the last one set", async () => {
      const key = unique("replaced");
      await set(key, "a long first value");
      await set(key, "second");
      assert.equal(await textAt(key), "second");
    });

    check("are copies: neither what was handed in nor what was handed out leads into the store", async () => {
      const key = unique("copy");
      const pooled = Buffer.from("original");
      await set(key, pooled);
      pooled.fill("x");
      const entry = await get(key);
      assert.ok(entry !== undefined && Buffer.from(entry.value).equals(bytesOf("original")));
      entry.value.fill(0);
      assert.equal(await textAt(key), "original");
    });

    check("stay apart under odd keys", async () => {
      const run = unique("odd");
      await Promise.all(oddNames.map((name, index) => set(run + name, `value ${index}`)));
      const found = await Promise.all(oddNames.map((name) => textAt(run + name)));
      assert.deepEqual(
        found,
        oddNames.map((_, index) => `value ${index}`),
      );
      await Promise.all(oddNames.map((name) => remove(run + name)));
      for (const name of oddNames) assert.equal(await get(run + name), undefined);
    });
  });

  group("deletes", () => {
    check("remove a key, and its etag with it", async () => {
      const key = unique("deleted");
      await set(key, "here");
      await remove(key);
      assert.equal(await get(key), undefined);
    });

    check("of a key that does not exist succeed", async () => {
      await remove(unique("never"));
      await remove(unique("never"), { concurrency: "first-write" });
    });
  });

  group("etags", () => {
    check("change with every write, of the same value too, and are not given again after a delete", async () => {
      const key = unique("etags");
      const seen: string[] = [];
      for (const value of ["a", "a", "b"]) {
        await set(key, value);
        seen.push(await etagAt(key));
      }
      await remove(key);
      await set(key, "a");
      seen.push(await etagAt(key));
      assert.equal(new Set(seen).size, seen.length);
    });

    check("let the write through that has the current one, once", async () => {
      const key = unique("current");
      await set(key, "first");
      const etag = await etagAt(key);
      await set(key, "second", { etag });
      assert.equal(await textAt(key), "second");
      await assert.rejects(set(key, "third", { etag }), etagMismatch(key));
      assert.equal(await textAt(key), "second");
    });

    check("refuse a write with a wrong one, and with any on a key that is not there", async () => {
      const key = unique("wrong");
      await assert.rejects(set(key, "first", { etag: "42" }), etagMismatch(key));
      assert.equal(await get(key), undefined);
      await set(key, "first");
      const etag = await etagAt(key);
      for (const wrong of ["not-an-etag", `${etag}\0`, "a\0b"]) {
        await assert.rejects(set(key, "second", { etag: wrong }), etagMismatch(key));
        await assert.rejects(remove(key, { etag: wrong }), etagMismatch(key));
      }
      assert.equal(await etagAt(key), etag);
    });

    check("guard deletes in the same way", async () => {
      const key = unique("guarded");
      await assert.rejects(remove(key, { etag: "42" }), etagMismatch(key));
      await set(key, "first");
      const stale = await etagAt(key);
      await set(key, "second");
      await assert.rejects(remove(key, { etag: stale }), etagMismatch(key));
      assert.equal(await textAt(key), "second");
      await remove(key, { etag: await etagAt(key) });
      assert.equal(await get(key), undefined);
    });

    check("that are empty count as none", async () => {
      const key = unique("empty");
      await set(key, "first", { etag: "" });
      await set(key, "second", { etag: "" });
      assert.equal(await textAt(key), "second");
      await remove(key, { etag: "" });
      assert.equal(await get(key), undefined);
    });

    check("let exactly one of many writers with the same one win", async () => {
      const key = unique("race");
      await set(key, "start");
      const etag = await etagAt(key);
      const writers = Array.from({ length: 20 }, (_, index) => set(key, `writer ${index}`, { etag }));
      const winner = onlyWinner(await Promise.allSettled(writers), key);
      assert.equal(await textAt(key), `writer ${winner}`);
    });
  });

  group("first-write", () => {
    const firstWrite = { concurrency: "first-write" } as const;

    check("without an etag makes a key, and does not replace it", async () => {
      const key = unique("first");
      await set(key, "first", firstWrite);
      await assert.rejects(set(key, "second", firstWrite), etagMismatch(key));
      await assert.rejects(set(key, "third", { ...firstWrite, etag: "" }), etagMismatch(key));
      assert.equal(await textAt(key), "first");
    });

    check("with an empty etag makes a key too, and again after a delete", async () => {
      const key = unique("first");
      for (const value of ["first", "again"]) {
        await set(key, value, { ...firstWrite, etag: "" });
        await assert.rejects(set(key, "late", { ...firstWrite, etag: "" }), etagMismatch(key));
        assert.equal(await textAt(key), value);
        await remove(key, { ...firstWrite, etag: await etagAt(key) });
      }
    });

    check("with the current etag replaces a key, with a stale one not", async () => {
      const key = unique("first");
      await set(key, "first", firstWrite);
      const etag = await etagAt(key);
      await set(key, "second", { ...firstWrite, etag });
      await assert.rejects(set(key, "third", { ...firstWrite, etag }), etagMismatch(key));
      assert.equal(await textAt(key), "second");
    });

    check("lets exactly one of many make a key", async () => {
      const key = unique("race");
      const writers = Array.from({ length: 20 }, (_, index) => set(key, `writer ${index}`, firstWrite));
      const winner = onlyWinner(await Promise.allSettled(writers), key);
      assert.equal(await textAt(key), `writer ${winner}`);
    });
  });

  group("a limited life", () => {
    const refused = (): Promise<void> => {
      const block = createState(storesOf("state", backend, store()));
      const item = {
        key: unique("short"),
        value: bytesOf("x"),
        concurrency: "last-write",
        consistency: "strong",
        metadata: { ttlInSeconds: "60" },
      } as const;
      return isRefused(backend, () => block.save({ store: "conformance", items: [item] }, callWith()));
    };

    check(
      "ends: the key is absent everywhere, and its etag is worth nothing",
      { needs: "ttl", otherwise: refused },
      async () => {
        const key = unique("short");
        await set(key, "short", { ttlMs: 60_000 });
        assert.equal(await textAt(key), "short");
        await set(key, "short", { ttlMs: 50 });
        const etag = (await get(key))?.etag ?? "it was gone already";
        await eventually("the key has expired", async () => (await get(key)) === undefined);
        await assert.rejects(set(key, "next", { etag }), etagMismatch(key));
        await assert.rejects(remove(key, { etag }), etagMismatch(key));
        await remove(key);
        await set(key, "next", { concurrency: "first-write" });
        assert.equal(await textAt(key), "next");
      },
    );

    check("makes room for a first-write without anything in between", { needs: "ttl" }, async () => {
      const key = unique("short");
      await set(key, "short", { ttlMs: 50 });
      await eventually("a first-write gets the expired key", async () => {
        const outcome = await Promise.allSettled([set(key, "next", { concurrency: "first-write" })]);
        return outcome[0].status === "fulfilled";
      });
      assert.equal(await textAt(key), "next");
    });

    check("is told, and is not told of an entry that has none", { needs: "ttl" }, async () => {
      const [limited, unlimited] = [unique("limited"), unique("unlimited")];
      const beganAtMs = Date.now();
      await set(limited, "x", { ttlMs: 600_000 });
      await set(unlimited, "x");
      const expiresAtMs = (await get(limited))?.expiresAtMs ?? 0;
      assert.ok(Math.abs(expiresAtMs - beganAtMs - 600_000) < 60_000, `expires at ${expiresAtMs}`);
      assert.equal((await get(unlimited))?.expiresAtMs, undefined);
    });

    check("is taken away by a write without one", { needs: "ttl" }, async () => {
      const [key, other] = [unique("kept"), unique("lost")];
      await set(key, "short", { ttlMs: 100 });
      await set(key, "long");
      await set(other, "short", { ttlMs: 100 });
      await eventually("the other key has expired", async () => (await get(other)) === undefined);
      assert.equal(await textAt(key), "long");
      assert.equal((await get(key))?.expiresAtMs, undefined);
    });
  });

  group("many calls at once", () => {
    check("are all served, and one that is refused does no harm to the others", async () => {
      const keys = Array.from({ length: 300 }, (_, index) => unique(`many-${index}`));
      const writes = keys.map((key, index) => set(key, key, index % 3 === 0 ? { etag: "wrong" } : {}));
      const outcomes = await Promise.allSettled(writes);
      const found = await Promise.all(keys.map(textAt));
      for (const [index, key] of keys.entries()) {
        assert.equal(outcomes[index]?.status, index % 3 === 0 ? "rejected" : "fulfilled");
        assert.equal(found[index], index % 3 === 0 ? undefined : key);
      }
    });

    check("of one caller are applied in the order in which it waits for them", async () => {
      const key = unique("ordered");
      for (let index = 0; index < 50; index++) {
        await set(key, String(index));
        assert.equal(await textAt(key), String(index));
      }
    });
  });

  group("a cancelled call", () => {
    check("writes nothing when it was cancelled before it began, and rejects with the reason", async () => {
      const key = unique("cancelled");
      await set(key, "before");
      const reason = new Error("the caller has gone");
      const call = callWith(AbortSignal.abort(reason));
      await assert.rejects(store().set(setOf(key, "after"), call), reason);
      await assert.rejects(store().delete(deleteOf(key), call), reason);
      await assert.rejects(store().get({ key, consistency: "strong" }, call), reason);
      assert.equal(await textAt(key), "before");
    });

    check("has written when it resolves, whenever it was cancelled", async () => {
      const cancel = new AbortController();
      const keys = Array.from({ length: 50 }, () => unique("cancelled"));
      const writes = keys.map((key) => store().set(setOf(key, "x"), callWith(cancel.signal)));
      const settled = Promise.allSettled(writes);
      await get(unique("in-between"));
      cancel.abort();
      for (const [index, { status }] of (await settled).entries()) {
        if (status === "fulfilled") assert.equal(await textAt(keys[index] ?? ""), "x");
      }
    });
  });

  transactionChecks(backend, store);
  keyChecks(backend, store);
  incrementChecks(backend, store);
  apiChecks(backend, store);
  durabilityChecks(backend);
}
