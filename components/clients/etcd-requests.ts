/** Requests of etcd's API in few words. */
import type { KeyValue } from "../../proto/gen/etcd/kv.ts";
import {
  type Compare,
  Compare_CompareResult,
  Compare_CompareTarget,
  type RangeRequest,
  type RequestOp,
  type TxnRequest,
  type TxnResponse,
} from "../../proto/gen/etcd/rpc.ts";

export type { RequestOp, TxnRequest };

/** Operations that every server takes in one transaction. */
export const atOnce = 100;
const none = new Uint8Array(0);

/** The end of the range of all keys that begin with the prefix. */
export function endOf(prefix: Buffer): Buffer {
  const end = Buffer.from(prefix);
  for (let index = end.length - 1; index >= 0; index--) {
    const byte = end[index] ?? 0;
    if (byte === 0xff) continue;
    end[index] = byte + 1;
    return end.subarray(0, index + 1);
  }
  return Buffer.of(0);
}

export const rangeOf = (key: Uint8Array, changes: Partial<RangeRequest> = {}): RangeRequest => ({
  key,
  rangeEnd: none,
  limit: 0n,
  revision: 0n,
  keysOnly: false,
  countOnly: false,
  ...changes,
});

export const readOp = (key: Uint8Array, changes: Partial<RangeRequest> = {}): RequestOp => ({
  request: { $case: "requestRange", value: rangeOf(key, changes) },
});

/** `lease` removes the key at its end; 0 for none. */
export const putOp = (key: Uint8Array, value: Uint8Array, lease = 0n): RequestOp => ({
  request: { $case: "requestPut", value: { key, value, lease } },
});

export const deleteOp = (key: Uint8Array, rangeEnd: Uint8Array = none): RequestOp => ({
  request: { $case: "requestDeleteRange", value: { key, rangeEnd } },
});

/** A transaction as one operation of another. */
export const nested = (txn: TxnRequest): RequestOp => ({ request: { $case: "requestTxn", value: txn } });

/**
 * Many operations as few, since a server counts how many stand beside each other, and for each of a group how many groups there
 * are: with the 128 that it takes by default, groups make it 4,096.
 */
export function nestedInGroups(operations: readonly RequestOp[]): RequestOp[] {
  if (operations.length <= atOnce) return [...operations];
  const size = Math.ceil(Math.sqrt(operations.length));
  return Array.from({ length: Math.ceil(operations.length / size) }, (_, group) =>
    nested(txnOf({ success: operations.slice(group * size, (group + 1) * size) })),
  );
}

export const txnOf = ({ compare = [], success = [], failure = [] }: Partial<TxnRequest>): TxnRequest => ({
  compare,
  success,
  failure,
});

/** Whether the key was last written at the revision; 0 for one that does not exist. */
export const isAtRevision = (key: Uint8Array, revision: bigint): Compare => ({
  result: Compare_CompareResult.EQUAL,
  target: Compare_CompareTarget.MOD,
  key,
  targetUnion: { $case: "modRevision", value: revision },
});

/** Whether the key exists with this value, or with one that comes after it byte by byte. */
export const hasValue = (key: Uint8Array, is: "EQUAL" | "GREATER", value: Uint8Array): Compare => ({
  result: Compare_CompareResult[is],
  target: Compare_CompareTarget.VALUE,
  key,
  targetUnion: { $case: "value", value },
});

/** What the read operation at the index found. */
export function foundBy({ responses }: TxnResponse, index: number): readonly KeyValue[] {
  const response = responses[index]?.response;
  return response?.$case === "responseRange" ? response.value.kvs : [];
}
