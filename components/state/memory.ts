import { z } from "zod";
import { type CallContext, throwIfAborted } from "../component.ts";
import { RuntimeError } from "../error.ts";
import { etagMismatch, etagSource, expectedEtag } from "./etag.ts";
import { cursorUnknown } from "./key-cursor.ts";
import { KeyOrder } from "./key-order.ts";
import {
  type DeleteState,
  defineStateStore,
  type GetState,
  type KeyPage,
  type ListKeys,
  type SetState,
  type StateEntry,
  type StateOperation,
  type StateStore,
} from "./state-store.ts";

interface Kept {
  readonly value: Uint8Array;
  readonly etag: string;
  readonly expiresAtMs: number | undefined;
  /** Where its key stands among all. */
  place: number;
}

/** Bytes that an entry takes beside its key and value. */
const entryBytes = 64;
const sweepMs = 30_000;
/** Keys that are looked at for one page, however few of them come on it. */
const mostLooks = 10_000;

/** State in the process's own memory: quick, and gone with it. */
export const memoryStateStore = defineStateStore({
  type: "memory",
  capabilities: ["transactions", "keys", "ttl"],
  config: z.strictObject({
    maxBytes: z
      .int()
      .positive()
      .default(256 * 1024 ** 2)
      .describe("Most bytes of keys and values together; default 256 MiB. A write over it is refused"),
  }),
  open: async ({ maxBytes }, { name }) => new MemoryStateStore(name, maxBytes),
});

class MemoryStateStore implements StateStore {
  readonly #name: string;
  readonly #maxBytes: number;
  readonly #entries = new Map<string, Kept>();
  readonly #order = new KeyOrder();
  readonly #sweeper: NodeJS.Timeout;
  readonly #nextEtag = etagSource();
  #bytes = 0;

  constructor(name: string, maxBytes: number) {
    this.#name = name;
    this.#maxBytes = maxBytes;
    this.#sweeper = setInterval(() => this.#sweep(), sweepMs).unref();
  }

  async get({ key }: GetState, call: CallContext): Promise<StateEntry | undefined> {
    throwIfAborted(call);
    const kept = this.#live(key);
    if (kept === undefined) return undefined;
    const { value, etag, expiresAtMs } = kept;
    // Out of Node's pool of buffers: an ArrayBuffer of its own would cost more than all the rest of the read.
    const copy = Buffer.from(value);
    return expiresAtMs === undefined ? { key, value: copy, etag } : { key, value: copy, etag, expiresAtMs };
  }

  async set(request: SetState, call: CallContext): Promise<void> {
    throwIfAborted(call);
    this.#set(request);
  }

  async delete(request: DeleteState, call: CallContext): Promise<void> {
    throwIfAborted(call);
    this.#delete(request);
  }

  async transact(operations: readonly StateOperation[], call: CallContext): Promise<void> {
    throwIfAborted(call);
    const before = new Map<string, Kept | undefined>();
    try {
      for (const operation of operations) {
        const { key } = operation.operation === "set" ? operation.set : operation.delete;
        if (!before.has(key)) before.set(key, this.#entries.get(key));
        if (operation.operation === "set") this.#set(operation.set);
        else this.#delete(operation.delete);
      }
    } catch (error) {
      for (const [key, kept] of before) this.#put(key, kept);
      throw error;
    }
  }

  /** In the order in which they were made. */
  async keys({ prefix, cursor, limit }: ListKeys, call: CallContext): Promise<KeyPage> {
    throwIfAborted(call);
    if (cursor !== undefined && !/^\d{1,15}$/.test(cursor)) throw cursorUnknown(this.#name, cursor);
    const keys: string[] = [];
    let looks = 0;
    for (const [key, place] of this.#order.from(Number(cursor ?? 0))) {
      if (keys.length === limit || looks === mostLooks) return { keys, cursor: String(place) };
      looks++;
      if (key.startsWith(prefix) && this.#live(key) !== undefined) keys.push(key);
    }
    return { keys, cursor: undefined };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#sweeper);
    this.#entries.clear();
    this.#order.clear();
  }

  #live(key: string): Kept | undefined {
    const kept = this.#entries.get(key);
    return kept?.expiresAtMs !== undefined && kept.expiresAtMs <= Date.now() ? undefined : kept;
  }

  #set(request: SetState): void {
    const current = this.#live(request.key)?.etag;
    const expected = expectedEtag(request);
    const isAllowed =
      expected === undefined ? request.concurrency === "last-write" || current === undefined : current === expected;
    if (!isAllowed) throw etagMismatch(this.#name, request);
    const { key, value, ttlMs } = request;
    this.#makeRoom(key, sizeOf(key, value));
    this.#put(key, {
      value: new Uint8Array(value),
      etag: this.#nextEtag(),
      expiresAtMs: ttlMs === undefined ? undefined : Date.now() + ttlMs,
      place: -1,
    });
  }

  #delete(request: DeleteState): void {
    const expected = expectedEtag(request);
    if (expected !== undefined && this.#live(request.key)?.etag !== expected) throw etagMismatch(this.#name, request);
    this.#put(request.key, undefined);
  }

  /** Throws when what has not expired leaves no room for the entry. */
  #makeRoom(key: string, bytes: number): void {
    const isTooMuch = (): boolean => this.#bytes - this.#sizeNow(key) + bytes > this.#maxBytes;
    if (isTooMuch()) this.#sweep();
    if (!isTooMuch()) return;
    const message = `state store '${this.#name}' may hold ${this.#maxBytes} bytes and has no room for key '${key}'; raise maxBytes`;
    throw new RuntimeError("RESOURCE_EXHAUSTED", "STATE_STORE_FULL", message);
  }

  #put(key: string, kept: Kept | undefined): void {
    const before = this.#entries.get(key);
    if (before !== undefined) this.#bytes -= sizeOf(key, before.value);
    if (kept === undefined) {
      if (before === undefined) return;
      this.#entries.delete(key);
      this.#order.remove(before.place);
    } else {
      kept.place = before?.place ?? this.#order.add(key);
      this.#entries.set(key, kept);
      this.#bytes += sizeOf(key, kept.value);
    }
  }

  #sizeNow(key: string): number {
    const kept = this.#entries.get(key);
    return kept === undefined ? 0 : sizeOf(key, kept.value);
  }

  #sweep(): void {
    const now = Date.now();
    for (const [key, { expiresAtMs }] of this.#entries) {
      if (expiresAtMs !== undefined && expiresAtMs <= now) this.#put(key, undefined);
    }
  }
}

const sizeOf = (key: string, value: Uint8Array): number => entryBytes + 2 * key.length + value.byteLength;
