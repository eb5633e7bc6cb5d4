import type * as Lock from "outrigger:runtime/lock@0.1.0";
import { runtime } from "./runtime.ts";

export const tryLock: typeof Lock.tryLock = (store, name, owner) => {
  runtime.enter();
  const locks = runtime.locks(store);
  if ((locks.get(name) ?? owner) !== owner) return false;
  locks.set(name, owner);
  return true;
};

export const keepAlive: typeof Lock.keepAlive = (store, name, owner) => {
  runtime.enter();
  const holder = runtime.locks(store).get(name);
  if (holder === undefined) return "not-locked";
  return holder === owner ? "success" : "owned-by-other";
};

export const unlock: typeof Lock.unlock = (store, name, owner) => {
  const outcome = keepAlive(store, name, owner, 0);
  if (outcome === "success") runtime.locks(store).delete(name);
  return outcome;
};
