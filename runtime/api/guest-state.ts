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

    keys: (store, cursor, signal) =>
      calls.run("state", store, signal, (call) => state.keys({ store, prefix: "", cursor, limit: 0 }, call)),

    increment: (store, key, delta, signal) =>
      calls.run("state", store, signal, (call) => state.increment({ store, key, delta }, call)),
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
