import type { KeyValue } from "../../proto/gen/etcd/kv.ts";
import type { TxnRequest, TxnResponse } from "../../proto/gen/etcd/rpc.ts";
import { RuntimeError } from "../error.ts";
import type { EtcdConnection } from "./etcd.ts";
import { foundBy, nested, rangeOf, readOp, txnOf } from "./etcd-requests.ts";
import { TurnBatch } from "./turn-batch.ts";

/** Well below what a server takes by default: 128 operations, 1.5 MiB. */
const together = { requests: 64, bytes: 1024 ** 2 };

/** A small transaction that writes one key and nothing else. */
interface Write {
  readonly key: string;
  readonly txn: TxnRequest;
}

type Settled = { readonly response: TxnResponse } | { readonly error: unknown };

/** Sends what is asked for in one turn of the event loop as one transaction, in which each stands for itself. */
export class EtcdBatch {
  readonly #connection: EtcdConnection;
  readonly #reads: TurnBatch<Uint8Array, readonly KeyValue[]>;
  readonly #writes: TurnBatch<Write, Settled>;

  constructor(connection: EtcdConnection) {
    this.#connection = connection;
    this.#reads = new TurnBatch({ limit: together, isOfOne: wasRefused, send: (keys) => this.#read(keys) });
    // Each has its own error, so that sending them never fails as a whole.
    this.#writes = new TurnBatch({ limit: together, isOfOne: () => false, send: (writes) => this.#write(writes) });
  }

  async get(key: Uint8Array): Promise<KeyValue | undefined> {
    const [found] = await this.#reads.ask(key, key.length);
    return found;
  }

  /** `txn` writes no key but this one; `bytes` is about what it takes. Writes of one key are done in their order. */
  async write(key: string, txn: TxnRequest, bytes: number): Promise<TxnResponse> {
    const settled = await this.#writes.ask({ key, txn }, bytes);
    if ("error" in settled) throw settled.error;
    return settled.response;
  }

  /** Resolves once everything that was asked has been answered. */
  async drain(): Promise<void> {
    await Promise.all([this.#reads.drain(), this.#writes.drain()]);
  }

  async #read(keys: readonly Uint8Array[]): Promise<readonly (readonly KeyValue[])[]> {
    const [first] = keys;
    if (first !== undefined && keys.length === 1) return [(await this.#connection.range(rangeOf(first))).kvs];
    const response = await this.#connection.txn(txnOf({ success: keys.map((key) => readOp(key)) }), "read");
    return keys.map((_, index) => foundBy(response, index));
  }

  /** A transaction may write a key once, so that further writes of it have to wait for the next one. */
  async #write(writes: readonly Write[]): Promise<readonly Settled[]> {
    const settled = new Map<Write, Settled>();
    for (let left = writes; left.length > 0; ) {
      const keys = new Set<string>();
      const now: Write[] = [];
      const later: Write[] = [];
      for (const write of left) {
        if (keys.has(write.key)) later.push(write);
        else now.push(write);
        keys.add(write.key);
      }
      await this.#writeTogether(now, settled);
      left = later;
    }
    return writes.map((write) => settled.get(write) ?? { error: new RangeError("a write was left out") });
  }

  async #writeTogether(writes: readonly Write[], settled: Map<Write, Settled>): Promise<void> {
    const [first] = writes;
    try {
      if (first !== undefined && writes.length === 1) {
        settled.set(first, { response: await this.#connection.txn(first.txn) });
        return;
      }
      const { header, responses } = await this.#connection.txn(
        txnOf({ success: writes.map(({ txn }) => nested(txn)) }),
      );
      for (const [index, write] of writes.entries()) {
        const response = responses[index]?.response;
        if (response?.$case === "responseTxn") settled.set(write, { response: { ...response.value, header } });
      }
    } catch (error) {
      if (writes.length > 1 && wasRefused(error)) {
        await Promise.all(writes.map((write) => this.#writeTogether([write], settled)));
      } else {
        for (const write of writes) settled.set(write, { error });
      }
    }
  }
}

/** Whether the server refused the batch as a whole before anything of it was done, perhaps for one in it. */
const wasRefused = (error: unknown): boolean => error instanceof RuntimeError && error.code !== "UNAVAILABLE";
