import type { StateRemoval, StateStep, StateValue, StateWrite } from "../../plugin/uniform-api.ts";
import { payForBytes, payForResult } from "../charge.ts";
import type { ImportedInterface } from "../provider.ts";
import { outriggerVersions } from "./version.ts";
import { throwWit } from "./wit-error.ts";

/** What an item of a list costs beyond its bytes. */
const itemCost = 100;

export const stateInterface: ImportedInterface = {
  name: "outrigger:runtime/state",
  versions: outriggerVersions,
  waiting: ["get", "get-many", "set", "set-many", "delete", "delete-many", "transact", "keys", "increment"],
  make(host) {
    const { state } = host.services.api;
    return {
      async get(store: string, key: string) {
        payForBytes(host, key.length);
        const found = await state.get(store, key, host.signal).catch(throwWit);
        payForResult(host, sizeOfValue(found));
        return found;
      },

      async getMany(store: string, keys: readonly string[]) {
        payForBytes(host, sum(keys, sizeOfKey));
        const found = await state.getMany(store, keys, host.signal).catch(throwWit);
        payForResult(host, sum(found, sizeOfValue));
        return found;
      },

      async set(store: string, key: string, value: Uint8Array) {
        payForBytes(host, key.length + value.length);
        await state.set(store, [{ key, value }], host.signal).catch(throwWit);
      },

      async setMany(store: string, writes: readonly StateWrite[]) {
        payForBytes(host, sum(writes, sizeOfWrite));
        await state.set(store, writes, host.signal).catch(throwWit);
      },

      async delete(store: string, key: string) {
        payForBytes(host, key.length);
        await state.delete(store, [{ key }], host.signal).catch(throwWit);
      },

      async deleteMany(store: string, removals: readonly StateRemoval[]) {
        payForBytes(host, sum(removals, sizeOfRemoval));
        await state.delete(store, removals, host.signal).catch(throwWit);
      },

      async transact(store: string, steps: readonly WitStep[]) {
        payForBytes(host, sum(steps, sizeOfStep));
        await state.transact(store, steps.map(stepOf), host.signal).catch(throwWit);
      },

      async keys(store: string, cursor: string | undefined) {
        payForBytes(host, cursor?.length ?? 0);
        const page = await state.keys(store, cursor, host.signal).catch(throwWit);
        payForResult(host, sum(page.keys, sizeOfKey));
        return page;
      },

      async increment(store: string, key: string, delta: bigint) {
        payForBytes(host, key.length);
        return state.increment(store, key, delta, host.signal).catch(throwWit);
      },
    };
  },
};

type WitStep =
  | { readonly tag: "set"; readonly val: StateWrite }
  | { readonly tag: "delete"; readonly val: StateRemoval };

const stepOf = (step: WitStep): StateStep => (step.tag === "set" ? { set: step.val } : { delete: step.val });

function sum<Item>(items: readonly Item[], sizeOf: (item: Item) => number): number {
  let total = 0;
  for (const item of items) total += sizeOf(item);
  return total;
}

const sizeOfKey = (key: string): number => itemCost + key.length;
const sizeOfWrite = ({ key, value }: StateWrite): number => itemCost + key.length + value.length;
const sizeOfRemoval = ({ key }: StateRemoval): number => itemCost + key.length;
const sizeOfStep = (step: WitStep): number => (step.tag === "set" ? sizeOfWrite(step.val) : sizeOfRemoval(step.val));
const sizeOfValue = (found: StateValue | undefined): number =>
  found === undefined ? 0 : itemCost + found.value.length + found.etag.length;
