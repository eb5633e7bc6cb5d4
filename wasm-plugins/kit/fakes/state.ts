import type * as State from "outrigger:runtime/state@0.1.0";
import { fail, type KeptEntry, runtime } from "./runtime.ts";

type Entries = Map<string, KeptEntry>;

export const get: typeof State.get = (store, key) => {
  runtime.enter();
  const entry = runtime.state(store).get(key);
  return entry === undefined ? null : { value: entry.value.slice(), etag: entry.etag };
};

export const getMany: typeof State.getMany = (store, keys) => keys.map((key) => get(store, key));

export const set: typeof State.set = (store, key, value) => setMany(store, [{ key, value }]);

export const setMany: typeof State.setMany = (store, writes) => {
  runtime.enter();
  const entries = runtime.state(store);
  for (const write of writes) put(entries, write);
};

const deleteOne: typeof State.delete = (store, key) => deleteMany(store, [{ key }]);

export { deleteOne as delete };

export const deleteMany: typeof State.deleteMany = (store, removals) => {
  runtime.enter();
  const entries = runtime.state(store);
  for (const removal of removals) remove(entries, removal);
};

export const transact: typeof State.transact = (store, steps) => {
  runtime.enter();
  const entries = runtime.state(store);
  const changed = new Map(entries);
  for (const step of steps) {
    if (step.tag === "set") put(changed, step.val);
    else remove(changed, step.val);
  }
  entries.clear();
  for (const [key, entry] of changed) entries.set(key, entry);
};

export const keys: typeof State.keys = (store) => {
  runtime.enter();
  return { keys: [...runtime.state(store).keys()] };
};

export const increment: typeof State.increment = (store, key, delta) => {
  runtime.enter();
  const entry = runtime.state(store).get(key);
  const text = entry === undefined ? "0" : new TextDecoder().decode(entry.value);
  if (!/^-?\d+$/.test(text)) fail("failed-precondition", `the value of '${key}' is no whole number`);
  const sum = Number(text) + delta;
  put(runtime.state(store), { key, value: new TextEncoder().encode(String(sum)) });
  return sum;
};

function put(entries: Entries, { key, value, etag }: State.Write): void {
  check(entries, key, etag);
  entries.set(key, { value: value.slice(), etag: runtime.nextEtag() });
}

function remove(entries: Entries, { key, etag }: State.Removal): void {
  check(entries, key, etag);
  entries.delete(key);
}

function check(entries: Entries, key: string, etag: string | null | undefined): void {
  if (typeof etag !== "string" || etag === (entries.get(key)?.etag ?? "")) return;
  fail("aborted", `'${key}' has been changed since it was read`);
}
