import { RuntimeError } from "../../components/error.ts";
import type { StateApi, StateRemoval, StateStep, StateValue, StateWrite } from "../plugin/uniform-api.ts";
import type { GuestCalls } from "./guest-calls.ts";
import { inParallel } from "./in-parallel.ts";
import {
  type DeleteItem,
  type ReadState,
  requireCount,
  type SaveItem,
  type StateBlock,
  type TransactionStep,
} from "./state.ts";

const noBytes = new Uint8Array();
const readsAtOnce = 10;
/** Tries of an increment against others that write the same key, on a store that has none of its own. */
const maxTries = 64;

/** The state building block as one plugin reaches it. bench:wasm-component keeps `get` and `set` honest. */
export function guestState(calls: GuestCalls, state: StateBlock): StateApi {
  return {
    get: (store, key, signal) =>
      calls.run("state", store, signal, (call) => state.get({ store, key, consistency: "strong" }, call).then(foundOf)),

    getMany: (store, keys, signal) =>
      calls.run("state", store, signal, async (call) => {
        requireCount("keys", keys.length);
        return inParallel(keys, readsAtOnce, (key) =>
          state.get({ store, key, consistency: "strong" }, call).then(foundOf),
        );
      }),

    set: (store, writes, signal) =>
      calls.run("state", store, signal, (call) => state.save({ store, items: writes.map(saveItem) }, call)),

    delete: (store, removals, signal) =>
      calls.run("state", store, signal, (call) => state.delete({ store, items: removals.map(deleteItem) }, call)),

    transact: (store, steps, signal) =>
      calls.run("state", store, signal, (call) => state.transact({ store, steps: steps.map(transactionStep) }, call)),

    keys: (store, _cursor, signal) =>
      calls.run("state", store, signal, async () => {
        const message = `state store '${store}' cannot list its keys`;
        throw new RuntimeError("UNIMPLEMENTED", "CAPABILITY_MISSING", message);
      }),

    increment: (store, key, delta, signal) =>
      calls.run("state", store, signal, async (call) => {
        for (let tries = 0; tries < maxTries; tries++) {
          const { value, etag } = await state.get({ store, key, consistency: "strong" }, call);
          const sum = numberIn(key, value) + delta;
          const item = saveItem({ key, value: new TextEncoder().encode(String(sum)), etag });
          try {
            await state.save({ store, items: [item] }, call);
            return sum;
          } catch (error) {
            if (!(error instanceof RuntimeError) || error.code !== "ABORTED") throw error;
          }
        }
        const message = `key '${key}' of state store '${store}' is written by too many at once to be counted up; try again`;
        throw new RuntimeError("ABORTED", "INCREMENT_CONTENDED", message);
      }),
  };
}

/** No etag is empty but that of a key that is not there. */
const foundOf = ({ value, etag }: ReadState): StateValue | undefined => (etag === "" ? undefined : { value, etag });

function saveItem({ key, value, etag, ttlSeconds }: StateWrite): SaveItem {
  return {
    key,
    // The bytes may be of a guest's memory, which goes on changing.
    value: new Uint8Array(value),
    etag,
    concurrency: etag === undefined ? "last-write" : "first-write",
    consistency: "strong",
    metadata: ttlSeconds === undefined ? {} : { ttlInSeconds: String(ttlSeconds) },
  };
}

const deleteItem = ({ key, etag }: StateRemoval): DeleteItem => ({
  key,
  etag,
  concurrency: etag === undefined ? "last-write" : "first-write",
});

function transactionStep(step: StateStep): TransactionStep {
  if ("set" in step) return { operation: "upsert", item: saveItem(step.set) };
  const item: SaveItem = { ...deleteItem(step.delete), value: noBytes, consistency: "strong", metadata: {} };
  return { operation: "delete", item };
}

function numberIn(key: string, value: Uint8Array): bigint {
  if (value.length === 0) return 0n;
  const text = new TextDecoder().decode(value.subarray(0, 32));
  if (value.length <= 20 && /^-?\d{1,19}$/.test(text)) return BigInt(text);
  const message = `the value of '${key}' is no whole number in decimal digits, so nothing can be added to it`;
  throw new RuntimeError("FAILED_PRECONDITION", "VALUE_NOT_A_NUMBER", message);
}
