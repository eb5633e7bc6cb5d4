/** The sidecar in memory, for tests in plain Node: what a plugin's imports do, and what became of it. */

import type { Call, Reply } from "outrigger:runtime/invoke@0.1.0";
import type { Message } from "outrigger:runtime/pubsub@0.1.0";
import type { Error as HostError } from "outrigger:runtime/types@0.1.0";

export interface KeptEntry {
  readonly value: Uint8Array;
  readonly etag: string;
}

export interface BindingCall {
  readonly name: string;
  readonly operation: string;
  readonly data: Uint8Array;
  readonly metadata: readonly (readonly [name: string, value: string])[];
}

class Runtime {
  /** What `configuration` of the plugin gives: text as it is, anything else as JSON. */
  configuration: unknown = "";
  /** While it is set, every call of the host fails with it. */
  failure: HostError | undefined;
  /** Other services: what a call is answered with. */
  invoke: (call: Call) => Reply = () => fail("unimplemented", "the test has no other services");
  /** Bindings: what they answer. */
  binding: (call: BindingCall) => Uint8Array = () => fail("unimplemented", "the test has no bindings");
  /** What was published, in order. */
  readonly published: (Message & { readonly pubsub: string })[] = [];
  /** What was logged, in order: `info: …`. */
  readonly lines: string[] = [];
  readonly #state = new Stores<KeptEntry>();
  readonly #settings = new Stores<string>();
  readonly #secrets = new Stores<Readonly<Record<string, string>>>();
  readonly #locks = new Stores<string>();
  readonly #counters = new Stores<number>();
  #writes = 0;

  /** The entries of a state store by their keys. */
  state = (store: string): Map<string, KeptEntry> => this.#state.of(store);
  /** The contents of a configuration store by their keys. */
  settings = (store: string): Map<string, string> => this.#settings.of(store);
  /** The secrets of a store by their names. */
  secrets = (store: string): Map<string, Readonly<Record<string, string>>> => this.#secrets.of(store);
  /** The owners of the locks that are held, by their names. */
  locks = (store: string): Map<string, string> => this.#locks.of(store);
  /** The last number of each sequence. */
  counters = (store: string): Map<string, number> => this.#counters.of(store);

  /** An etag that no entry has had. */
  nextEtag(): string {
    this.#writes++;
    return String(this.#writes);
  }

  /** What every function of the host begins with. */
  enter(): void {
    if (this.failure !== undefined) throw new FailedCall(this.failure);
  }

  /** Forgets everything: for the start of a test. */
  reset(): void {
    this.configuration = "";
    this.failure = undefined;
    this.invoke = () => fail("unimplemented", "the test has no other services");
    this.binding = () => fail("unimplemented", "the test has no bindings");
    this.published.length = 0;
    this.lines.length = 0;
    for (const stores of [this.#state, this.#settings, this.#secrets, this.#locks, this.#counters]) stores.clear();
  }
}

class Stores<Entry> {
  readonly #stores = new Map<string, Map<string, Entry>>();

  of(store: string): Map<string, Entry> {
    const found = this.#stores.get(store) ?? new Map<string, Entry>();
    this.#stores.set(store, found);
    return found;
  }

  clear(): void {
    this.#stores.clear();
  }
}

/** The error of a `result`, as a component sees it: the reason is its payload. */
class FailedCall extends Error {
  readonly payload: HostError;

  constructor(payload: HostError) {
    super("[object Object] (see error.payload)");
    this.payload = payload;
  }
}

/** Fails a call of the host. */
export function fail(tag: HostError["tag"], sentence: string): never {
  throw new FailedCall({ tag, val: sentence } as HostError);
}

export const runtime = new Runtime();
