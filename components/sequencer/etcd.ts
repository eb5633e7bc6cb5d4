import { type EtcdConnection, openEtcd } from "../clients/etcd.ts";
import { EtcdBatch } from "../clients/etcd-batch.ts";
import { foundBy, isAtRevision, putOp, readOp, txnOf } from "../clients/etcd-requests.ts";
import { etcdSettings } from "../clients/etcd-settings.ts";
import { type CallContext, throwIfAborted } from "../component.ts";
import { RuntimeError } from "../error.ts";
import { largestId, sequenceExhausted } from "./exhausted.ts";
import { defineSequencer, type ReserveIds, type Sequencer } from "./sequencer.ts";

/** Sequences whose last id is remembered, so that reserving takes one request; of others it is asked for first. */
const mostKnown = 10_000;
/** Others may come between often, but each time one of them gets on. */
const mostAttempts = 100;

/** Sequences in etcd, each a number that is counted up by whoever finds it as it was last seen. */
export const etcdSequencer = defineSequencer({
  type: "etcd",
  capabilities: ["durable", "consecutive", "shared"],
  config: etcdSettings("outrigger/sequencer/"),
  open: async (settings, context) => new EtcdSequencer(context.name, await openEtcd(settings, context)),
});

interface Sequence {
  /** The last id that was given; 0 for none. */
  readonly last: bigint;
  /** The revision at which that was written; 0 for never. */
  readonly revision: bigint;
}

interface Waiting {
  readonly count: bigint;
  readonly resolve: (first: bigint) => void;
  readonly reject: (error: unknown) => void;
}

class EtcdSequencer implements Sequencer {
  readonly #name: string;
  readonly #connection: EtcdConnection;
  readonly #batch: EtcdBatch;
  readonly #known = new Map<string, Sequence>();
  /** Those who wait for ids of a key for which a request is on its way. */
  readonly #queues = new Map<string, Waiting[]>();

  constructor(name: string, connection: EtcdConnection) {
    this.#name = name;
    this.#connection = connection;
    this.#batch = new EtcdBatch(connection);
  }

  async reserve({ key, count }: ReserveIds, call: CallContext): Promise<bigint> {
    throwIfAborted(call);
    const { promise, resolve, reject } = Promise.withResolvers<bigint>();
    const waiting = { count: BigInt(count), resolve, reject };
    const queue = this.#queues.get(key);
    if (queue === undefined) {
      this.#queues.set(key, [waiting]);
      void this.#serve(key);
    } else queue.push(waiting);
    return this.#connection.within(call, promise);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#batch.drain();
    await this.#connection[Symbol.asyncDispose]();
  }

  /** Reserves for all who wait at a time together, until nobody does. */
  async #serve(key: string): Promise<void> {
    await Promise.resolve();
    for (let queue = this.#queues.get(key) ?? []; queue.length > 0; queue = this.#queues.get(key) ?? []) {
      this.#queues.set(key, []);
      try {
        await this.#reserveAll(key, queue);
      } catch (error) {
        this.#known.delete(key);
        for (const { reject } of queue) reject(error);
      }
    }
    this.#queues.delete(key);
  }

  async #reserveAll(key: string, queue: readonly Waiting[]): Promise<void> {
    const at = Buffer.from(this.#connection.prefix + key);
    let found = this.#known.get(key) ?? this.#sequence(key, await this.#batch.get(at));
    for (let attempt = 1; attempt <= mostAttempts; attempt++) {
      const { firsts, last } = assign(found.last, queue);
      if (last > found.last) {
        const value = Buffer.from(String(last));
        const compare = [isAtRevision(at, found.revision)];
        const txn = txnOf({ compare, success: [putOp(at, value)], failure: [readOp(at)] });
        const response = await this.#batch.write(key, txn, at.length + value.length);
        if (!response.succeeded) {
          found = this.#sequence(key, foundBy(response, 0)[0]);
          continue;
        }
        this.#remember(key, { last, revision: response.header?.revision ?? 0n });
      }
      for (const [index, { resolve, reject }] of queue.entries()) {
        const first = firsts[index];
        if (first === undefined) reject(sequenceExhausted(this.#name, key));
        else resolve(first);
      }
      return;
    }
    const message = `others reserved ids of sequence '${key}' of sequencer '${this.#name}' again and again; try it later`;
    throw new RuntimeError("UNAVAILABLE", "SEQUENCE_CONTENDED", message);
  }

  #sequence(key: string, kept: { readonly value: Uint8Array; readonly modRevision: bigint } | undefined): Sequence {
    if (kept === undefined) return { last: 0n, revision: 0n };
    const text = Buffer.from(kept.value).toString();
    if (/^\d{1,19}$/.test(text)) return { last: BigInt(text), revision: kept.modRevision };
    const message = `what the etcd of '${this.#name}' has under '${key}' is no sequence; give the sequencer a prefix of its own`;
    throw new RuntimeError("INTERNAL", "SEQUENCE_UNREADABLE", message);
  }

  #remember(key: string, sequence: Sequence): void {
    this.#known.delete(key);
    this.#known.set(key, sequence);
    if (this.#known.size <= mostKnown) return;
    for (const oldest of this.#known.keys()) {
      this.#known.delete(oldest);
      return;
    }
  }
}

/** The first id for each who waits, undefined where too few are left, and the last one given. */
function assign(before: bigint, queue: readonly Waiting[]): { firsts: readonly (bigint | undefined)[]; last: bigint } {
  let last = before;
  const firsts = queue.map(({ count }) => {
    if (last + count > largestId) return undefined;
    last += count;
    return last - count + 1n;
  });
  return { firsts, last };
}
