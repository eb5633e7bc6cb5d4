/** The state stores that a plugin was granted, as the buckets of wasi:keyvalue. */
import type { StateValue } from "../../plugin/uniform-api.ts";
import { payForBytes, payForResult } from "../charge.ts";
import type { GuestHost } from "../provider.ts";
import { type StoreError, throwStoreError } from "./keyvalue-errors.ts";

/** What a key of a list costs beyond its bytes. */
const itemCost = 100;
/** Most cursors of one instance that stay good. */
const maxCursors = 64;

type Entry = readonly [key: string, value: Uint8Array];

/**
 * The store that a guest calls so: one that it was granted, and of "" and "default", where none is called that, the first.
 * Throws StoreError.
 */
export function grantedStore({ services }: GuestHost, identifier: string): string {
  const granted = services.api.granted("state");
  if (granted.includes(identifier)) return identifier;
  const isFirst = identifier === "" || identifier === "default";
  const [first] = granted;
  if (isFirst && first !== undefined) return first;
  services.api.refused("state", identifier);
  throw { tag: isFirst ? "no-such-store" : "access-denied" } satisfies StoreError;
}

/** What the buckets of both drafts do, on one store. */
export class KeyStore {
  readonly host: GuestHost;
  readonly name: string;
  readonly #state;

  constructor(host: GuestHost, identifier: string) {
    this.name = grantedStore(host, identifier);
    this.host = host;
    this.#state = host.services.api.state;
  }

  async get(key: string): Promise<StateValue | undefined> {
    payForBytes(this.host, key.length);
    const found = await this.#state.get(this.name, key, this.host.signal).catch(throwStoreError);
    if (found !== undefined) payForResult(this.host, found.value.length);
    return found;
  }

  async exists(key: string): Promise<boolean> {
    payForBytes(this.host, key.length);
    return (await this.#state.get(this.name, key, this.host.signal).catch(throwStoreError)) !== undefined;
  }

  async set(key: string, value: Uint8Array): Promise<void> {
    payForBytes(this.host, key.length + value.length);
    await this.#state.set(this.name, [{ key, value }], this.host.signal).catch(throwStoreError);
  }

  async delete(key: string): Promise<void> {
    payForBytes(this.host, key.length);
    await this.#state.delete(this.name, [{ key }], this.host.signal).catch(throwStoreError);
  }

  async keys(cursor: string | undefined): Promise<{ keys: readonly string[]; cursor: string | undefined }> {
    payForBytes(this.host, cursor?.length ?? 0);
    const page = await this.#state.keys(this.name, cursor, this.host.signal).catch(throwStoreError);
    payForResult(this.host, sizeOf(page.keys));
    return page;
  }

  async getMany(keys: readonly string[]): Promise<(StateValue | undefined)[]> {
    payForBytes(this.host, sizeOf(keys));
    const found = await this.#state.getMany(this.name, keys, this.host.signal).catch(throwStoreError);
    for (const one of found) if (one !== undefined) payForResult(this.host, one.value.length);
    return found;
  }

  async setMany(entries: readonly Entry[]): Promise<void> {
    let bytes = 0;
    for (const [key, value] of entries) bytes += itemCost + key.length + value.length;
    payForBytes(this.host, bytes);
    const writes = entries.map(([key, value]) => ({ key, value }));
    await this.#state.set(this.name, writes, this.host.signal).catch(throwStoreError);
  }

  async deleteMany(keys: readonly string[]): Promise<void> {
    payForBytes(this.host, sizeOf(keys));
    const removals = keys.map((key) => ({ key }));
    await this.#state.delete(this.name, removals, this.host.signal).catch(throwStoreError);
  }

  async increment(key: string, delta: bigint): Promise<bigint> {
    payForBytes(this.host, key.length);
    return this.#state.increment(this.name, key, delta, this.host.signal).catch(throwStoreError);
  }
}

function sizeOf(keys: readonly string[]): number {
  let bytes = 0;
  for (const key of keys) bytes += itemCost + key.length;
  return bytes;
}

/** Numbers for cursors that are text, as the first draft wants them. The oldest is forgotten first. */
export class NumberedCursors {
  readonly #texts = new Map<bigint, string>();
  #last = 0n;

  numberOf(text: string | undefined): bigint | undefined {
    if (text === undefined) return undefined;
    this.#texts.set(++this.#last, text);
    const [oldest] = this.#texts.keys();
    if (this.#texts.size > maxCursors && oldest !== undefined) this.#texts.delete(oldest);
    return this.#last;
  }

  /** Throws StoreError for one that was not given out, or is forgotten. */
  textOf(number: bigint | undefined): string | undefined {
    if (number === undefined) return undefined;
    const text = this.#texts.get(number);
    if (text !== undefined) return text;
    const val = `cursor ${number} is not one of the last ${maxCursors} that list-keys gave to this instance; begin without one`;
    throw { tag: "other", val } satisfies StoreError;
  }
}
