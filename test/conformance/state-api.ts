/** What the API makes of a state store: many keys in one request, limits of life as metadata. */
import assert from "node:assert/strict";
import { RuntimeError } from "../../components/error.ts";
import type { StateStore } from "../../components/state/state-store.ts";
import { createState, type SaveItem } from "../../runtime/api/state.ts";
import { type Backend, bytesOf, callWith, storesOf, unique } from "./backend.ts";

/** Registers the checks of the building block over the store. */
export function apiChecks(backend: Backend<StateStore>, store: () => StateStore): void {
  const { check, group } = backend.checks;
  const name = "conformance";
  const block = () => createState(storesOf("state", backend, store()));
  const save = (...items: readonly SaveItem[]): Promise<void> => block().save({ store: name, items }, callWith());
  const read = async (...keys: readonly string[]) => {
    const found = await block().getBulk({ store: name, keys, parallelism: 10 }, callWith());
    return found.map((item) => ({ ...item, text: Buffer.from(item.value).toString() }));
  };

  group("through the API", () => {
    check("many keys are read at once, missing and repeated ones included", async () => {
      const keys = Array.from({ length: 30 }, (_, index) => unique(`bulk-${index}`));
      await save(...keys.map((key) => itemOf(key, key)));
      const asked = [...keys, unique("missing"), ...keys.slice(0, 2)];
      const found = await read(...asked);
      assert.deepEqual(
        found.map(({ text }) => text),
        [...keys, "", ...keys.slice(0, 2)],
      );
      assert.ok(found.every(({ etag, text, error }) => (etag === "") === (text === "") && error === ""));
    });

    check("a wrong etag among many refuses its own write and no other", async () => {
      const keys = Array.from({ length: 10 }, (_, index) => unique(`bulk-${index}`));
      const [guarded = "", ...others] = keys;
      await save(...keys.map((key) => itemOf(key, "first")));
      const items = keys.map((key) => itemOf(key, "second", key === guarded ? { etag: "wrong" } : {}));
      await assert.rejects(save(...items), refusing(guarded));
      assert.deepEqual(
        (await read(...keys)).map(({ text }) => text),
        ["first", ...others.map(() => "second")],
      );
      const deletes = keys.map((key) => ({
        key,
        concurrency: "last-write" as const,
        ...(key === guarded ? { etag: "wrong" } : {}),
      }));
      await assert.rejects(block().delete({ store: name, items: deletes }, callWith()), refusing(guarded));
      const left = await read(...keys);
      assert.deepEqual(
        left.map(({ text }) => text),
        ["first", ...others.map(() => "")],
      );
      assert.ok(left.slice(1).every(({ etag }) => etag === ""));
    });

    check("items of one key are applied in their order", async () => {
      const key = unique("ordered");
      await save(...Array.from({ length: 20 }, (_, index) => itemOf(key, String(index))));
      assert.equal((await read(key))[0]?.text, "19");
    });

    check(
      "a limit of life is told with the value, and taken away by a save without one",
      { needs: "ttl" },
      async () => {
        const key = unique("limited");
        const beganAtMs = Date.now();
        await save(itemOf(key, "x", { metadata: { ttlInSeconds: "600" } }));
        const expiresAtMs = Date.parse((await read(key))[0]?.metadata.ttlExpireTime ?? "");
        assert.ok(Math.abs(expiresAtMs - beganAtMs - 600_000) < 60_000, `expires at ${expiresAtMs}`);
        await save(itemOf(key, "y", { metadata: { ttlInSeconds: "-1" } }));
        assert.deepEqual((await read(key))[0]?.metadata, {});
      },
    );
  });
}

const itemOf = (key: string, text: string, changes: Partial<SaveItem> = {}): SaveItem => ({
  key,
  value: bytesOf(text),
  concurrency: "last-write",
  consistency: "strong",
  metadata: {},
  ...changes,
});

/** True for the error of a bulk write of which only the key was refused. */
const refusing =
  (key: string) =>
  (error: unknown): boolean =>
    error instanceof RuntimeError && error.code === "ABORTED" && error.details?.failedKeys === JSON.stringify([key]);
