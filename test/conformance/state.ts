/** What every state store does, whatever lies behind it. */
import assert from "node:assert/strict";
import { RuntimeError } from "../../components/error.ts";
import type {
  DeleteState,
  SetState,
  StateEntry,
  StateOperation,
  StateStore,
} from "../../components/state/state-store.ts";
import { type Backend, bytesOf, callWith, eventually, oddNames, openedFor, placeFor, unique } from "./backend.ts";

type Changes = Partial<Omit<SetState, "key" | "value">>;

/** Names of one tag: a store on several servers keeps them together, and changes only such keys in one transaction. */
const together = (name: string): string => unique(`{together}${name}`);

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
      await assert.rejects(set(key, "second", { etag: "not-an-etag" }), etagMismatch(key));
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
    check("ends: the key is absent everywhere, and its etag is worth nothing", { needs: "ttl" }, async () => {
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
    });

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

  check(
    "entries are there after it was closed and opened again",
    { needs: "durable", otherwise: () => reopened(backend, false) },
    () => reopened(backend, true),
  );
}

/** What is there when a store was closed and opened again. */
async function reopened(backend: Backend<StateStore>, isKept: boolean): Promise<void> {
  await using place = await placeFor(backend);
  const [kept, limited, deleted] = [unique("kept"), unique("limited"), unique("deleted")];
  const limit = backend.capabilities.has("ttl") ? { ttlMs: 600_000 } : {};
  let etag: string | undefined;
  {
    await using first = await place.open();
    await first.set(setOf(kept, "kept"), callWith());
    await first.set(setOf(limited, "limited", limit), callWith());
    await first.set(setOf(deleted, "deleted"), callWith());
    await first.delete(deleteOf(deleted), callWith());
    etag = (await first.get({ key: kept, consistency: "strong" }, callWith()))?.etag;
  }
  await using second = await place.open();
  const found = await second.get({ key: kept, consistency: "strong" }, callWith());
  assert.equal(found?.etag, isKept ? etag : undefined);
  const foundLimited = await second.get({ key: limited, consistency: "strong" }, callWith());
  assert.equal(foundLimited !== undefined, isKept);
  assert.equal(foundLimited?.expiresAtMs !== undefined, isKept && backend.capabilities.has("ttl"));
  assert.equal(await second.get({ key: deleted, consistency: "strong" }, callWith()), undefined);
  await second.set(setOf(kept, "again"), callWith());
  const next = await second.get({ key: kept, consistency: "strong" }, callWith());
  assert.notEqual(next?.etag, etag);
}

function transactionChecks(backend: Backend<StateStore>, store: () => StateStore): void {
  const { check, group } = backend.checks;
  const hasTtl = backend.capabilities.has("ttl");
  const limit = hasTtl ? { ttlMs: 600_000 } : {};
  const absent = { needs: "transactions", otherwise: () => assert.equal(store().transact, undefined) };
  const transact = async (...operations: StateOperation[]): Promise<void> => {
    const run = store().transact;
    assert.ok(run !== undefined, "the store has the transactions that it claims");
    await run.call(store(), operations, callWith());
  };
  const entry = (key: string): Promise<StateEntry | undefined> =>
    store().get({ key, consistency: "strong" }, callWith());
  const textAt = async (key: string): Promise<string | undefined> => {
    const found = await entry(key);
    return found === undefined ? undefined : new TextDecoder().decode(found.value);
  };

  group("transactions", () => {
    check("apply all of their operations", absent, async () => {
      const [one, two, gone] = [together("one"), together("two"), together("gone")];
      await transact(put(gone, "x"));
      await transact(put(one, "1"), put(two, "2"), drop(gone));
      assert.deepEqual([await textAt(one), await textAt(two), await textAt(gone)], ["1", "2", undefined]);
    });

    check("apply them in order", { needs: "transactions" }, async () => {
      const [first, second, third] = [together("first"), together("second"), together("third")];
      await transact(put(first, "old"));
      await transact(drop(first), put(second, "a"), drop(second), put(third, "b"), put(third, "c"), put(first, "new"));
      assert.deepEqual([await textAt(first), await textAt(second), await textAt(third)], ["new", undefined, "c"]);
    });

    check("may delete what does not exist, and may be empty", { needs: "transactions" }, async () => {
      await transact(drop(together("never")));
      await transact();
    });

    check("apply nothing when one operation is refused, wherever it stands", { needs: "transactions" }, async () => {
      for (const position of [0, 1, 2]) {
        const [kept, made, guarded] = [together("kept"), together("made"), together("guarded")];
        await transact(put(kept, "before"), put(guarded, "before"));
        const before = (await entry(kept))?.etag;
        const operations = [put(kept, "after"), put(made, "after")];
        operations.splice(position, 0, put(guarded, "after", { etag: "stale" }));
        await assert.rejects(transact(...operations), etagMismatch(guarded));
        assert.deepEqual(
          [await textAt(kept), await textAt(made), await textAt(guarded)],
          ["before", undefined, "before"],
        );
        assert.equal((await entry(kept))?.etag, before);
      }
    });

    check("keep to etags, first-write and limits of life", { needs: "transactions" }, async () => {
      const [guarded, made, limited] = [together("guarded"), together("made"), together("limited")];
      await transact(put(guarded, "1"));
      const etag = (await entry(guarded))?.etag ?? "";
      await transact(
        put(guarded, "2", { etag }),
        put(made, "1", { concurrency: "first-write" }),
        put(limited, "1", limit),
      );
      assert.equal((await entry(limited))?.expiresAtMs !== undefined, hasTtl);
      await assert.rejects(transact(drop(guarded, { etag })), etagMismatch(guarded));
      await assert.rejects(transact(put(made, "2", { concurrency: "first-write" })), etagMismatch(made));
      assert.equal(await textAt(guarded), "2");
    });

    check("give each entry an etag of its own change", { needs: "transactions" }, async () => {
      const key = together("etag");
      await transact(put(key, "1"));
      const first = (await entry(key))?.etag;
      await transact(put(key, "1"));
      assert.notEqual((await entry(key))?.etag, first);
    });

    check(
      "beside each other do not mix: one of many wins a guarded key, with all that belongs to it",
      { needs: "transactions" },
      async () => {
        const [guarded, beside] = [together("guarded"), together("beside")];
        await transact(put(guarded, "start"), put(beside, "start"));
        const etag = (await entry(guarded))?.etag ?? "";
        const outcomes = await Promise.allSettled(
          Array.from({ length: 20 }, (_, index) =>
            transact(put(beside, `${index}`), put(guarded, `${index}`, { etag })),
          ),
        );
        const winner = onlyWinner(outcomes, guarded);
        assert.deepEqual([await textAt(guarded), await textAt(beside)], [`${winner}`, `${winner}`]);
      },
    );

    check("that are cancelled before they begin apply nothing", { needs: "transactions" }, async () => {
      const key = together("cancelled");
      const reason = new Error("the caller has gone");
      await assert.rejects(
        async () => store().transact?.([put(key, "x")], callWith(AbortSignal.abort(reason))),
        reason,
      );
      assert.equal(await entry(key), undefined);
    });

    check("hold a thousand operations", { needs: "transactions" }, async () => {
      const run = together("thousand");
      await transact(...Array.from({ length: 1000 }, (_, index) => put(`${run}-${index}`, String(index))));
      for (const index of [0, 499, 999]) assert.equal(await textAt(`${run}-${index}`), String(index));
    });
  });
}

function setOf(key: string, value: string | Uint8Array, changes: Changes = {}): SetState {
  const bytes = typeof value === "string" ? bytesOf(value) : value;
  return { key, value: bytes, concurrency: "last-write", consistency: "strong", ...changes };
}

const deleteOf = (key: string, changes: Partial<DeleteState> = {}): DeleteState => ({
  key,
  concurrency: "last-write",
  ...changes,
});

const put = (key: string, value: string, changes: Changes = {}): StateOperation => ({
  operation: "set",
  set: setOf(key, value, changes),
});

const drop = (key: string, changes: Partial<DeleteState> = {}): StateOperation => ({
  operation: "delete",
  delete: deleteOf(key, changes),
});

/** True for the error of a refused etag whose message names the key. */
const etagMismatch =
  (key: string) =>
  (error: unknown): boolean =>
    error instanceof RuntimeError &&
    error.code === "ABORTED" &&
    error.reason === "ETAG_MISMATCH" &&
    error.message.includes(key);

/** The index of the one that succeeded; all others were refused for their etag. */
function onlyWinner(outcomes: readonly PromiseSettledResult<void>[], key: string): number {
  const winners = outcomes.flatMap(({ status }, index) => (status === "fulfilled" ? [index] : []));
  assert.equal(winners.length, 1, "exactly one wins");
  for (const outcome of outcomes) if (outcome.status === "rejected") assert.ok(etagMismatch(key)(outcome.reason));
  return winners[0] ?? -1;
}
