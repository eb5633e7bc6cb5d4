import { setTimeout as delay } from "node:timers/promises";
import type { CallContext } from "../../components/component.ts";
import { RuntimeError } from "../../components/error.ts";
import type { StateEntry, StateStore } from "../../components/state/state-store.ts";
import { unlessAborted } from "./unless-aborted.ts";

const smallest = -(2n ** 63n);
const largest = 2n ** 64n - 1n;
/** How often one of them begins again because another sidecar was faster, and the longest wait before that. */
const mostAttempts = 40;
const longestWaitMs = 100;

/** A number to add to. */
export interface Increment {
  /** In the store. */
  readonly key: string;
  /** The same, as the application calls it. */
  readonly name: string;
  readonly delta: bigint;
}

/**
 * Adds to numbers by comparing etags, so that nothing is lost between sidecars. Those of one sidecar that add to the same key
 * go one after the other, instead of refusing each other's writes.
 */
export class Increments {
  /** By store and key, what the next has to wait for. */
  readonly #last = new WeakMap<StateStore, Map<string, Promise<void>>>();

  /** Resolves to the sum. */
  add(store: StateStore, increment: Increment, call: CallContext): Promise<bigint> {
    const { key } = increment;
    const last = this.#last.get(store) ?? new Map<string, Promise<void>>();
    this.#last.set(store, last);
    const before = last.get(key);
    const adding =
      before === undefined ? addTo(store, increment, call) : before.then(() => addTo(store, increment, call));
    const leave = (): void => {
      if (last.get(key) === settled) last.delete(key);
    };
    const settled: Promise<void> = adding.then(leave, leave);
    last.set(key, settled);
    return before === undefined ? adding : unlessAborted(adding, call.signal);
  }
}

async function addTo(store: StateStore, { key, name, delta }: Increment, call: CallContext): Promise<bigint> {
  for (let attempt = 1; attempt <= mostAttempts; attempt++) {
    call.signal.throwIfAborted();
    const entry = await store.get({ key, consistency: "strong" }, call);
    const sum = numberOf(entry, name) + delta;
    if (sum < smallest || sum > largest) {
      const message = `adding ${delta} to key '${name}' gives ${sum}, which is not from -2^63 to 2^64-1; add less`;
      throw new RuntimeError("INVALID_ARGUMENT", "INCREMENT_OUT_OF_RANGE", message);
    }
    try {
      await store.set({ key, value: Buffer.from(String(sum)), ...conditionOf(entry), consistency: "strong" }, call);
      return sum;
    } catch (error) {
      if (!(error instanceof RuntimeError) || error.code !== "ABORTED") throw error;
    }
    const waitMs = Math.random() * Math.min(2 ** attempt, longestWaitMs);
    await delay(waitMs, undefined, { signal: call.signal }).catch(() => undefined);
  }
  const message = `key '${name}' is written by others again and again; add to it later`;
  throw new RuntimeError("ABORTED", "INCREMENT_CONTENDED", message);
}

/** The write succeeds only on what was read, and leaves it the rest of its life. */
function conditionOf(entry: StateEntry | undefined) {
  if (entry === undefined) return { concurrency: "first-write" } as const;
  const { etag, expiresAtMs } = entry;
  const condition = { concurrency: "first-write", etag } as const;
  return expiresAtMs === undefined ? condition : { ...condition, ttlMs: Math.max(1, expiresAtMs - Date.now()) };
}

function numberOf(entry: StateEntry | undefined, name: string): bigint {
  if (entry === undefined) return 0n;
  const text = entry.value.byteLength > 20 ? "" : Buffer.from(entry.value).toString("latin1");
  const number = /^-?\d{1,20}$/.test(text) ? BigInt(text) : undefined;
  if (number !== undefined && number >= smallest && number <= largest) return number;
  const message = `the value of key '${name}' is no whole number from -2^63 to 2^64-1 in decimal, so nothing can be added to it`;
  throw new RuntimeError("INVALID_ARGUMENT", "INCREMENT_OF_NO_NUMBER", message);
}
