/** What every state store with transactions does in them. */
import assert from "node:assert/strict";
import type { DeleteState, StateEntry, StateOperation, StateStore } from "../../components/state/state-store.ts";
import { createState } from "../../runtime/api/state.ts";
import { type Backend, callWith, isRefused, storesOf, unique } from "./backend.ts";
import { type Changes, deleteOf, etagMismatch, onlyWinner, setOf } from "./state-requests.ts";

/** Names of one tag: a store on several servers keeps them together, and changes only such keys in one transaction. */
const together = (name: string): string => unique(`{together}${name}`);

/** Registers the checks of transactions. */
export function transactionChecks(backend: Backend<StateStore>, store: () => StateStore): void {
  const { check, group } = backend.checks;
  const hasTtl = backend.capabilities.has("ttl");
  const limit = hasTtl ? { ttlMs: 600_000 } : {};
  const refused = async (): Promise<void> => {
    assert.equal(store().transact, undefined);
    const block = createState(storesOf("state", backend, store()));
    await isRefused(backend, () => block.transact({ store: "conformance", steps: [] }, callWith()));
  };
  const absent = { needs: "transactions", otherwise: refused };
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
      await assert.rejects(transact(put(made, "2", { concurrency: "first-write", etag: "" })), etagMismatch(made));
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

const put = (key: string, value: string, changes: Changes = {}): StateOperation => ({
  operation: "set",
  set: setOf(key, value, changes),
});

const drop = (key: string, changes: Partial<DeleteState> = {}): StateOperation => ({
  operation: "delete",
  delete: deleteOf(key, changes),
});
