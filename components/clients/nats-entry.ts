import { z } from "zod";
import type { NatsMessage } from "./nats.ts";

/** Header: how long an entry lives from when the server took it, in milliseconds. */
export const ttlHeader = "Outrigger-Ttl-Ms";
/** As all clients of NATS mark that an entry was deleted. */
export const operationHeader = "KV-Operation";

/** An entry of a bucket that exists. */
export interface BucketEntry {
  readonly data: Uint8Array;
  /** Grows with every write to the bucket and is never given twice. */
  readonly revision: number;
  /** Milliseconds since the epoch by the server's clock; absent when it lives until it is deleted. */
  readonly expiresAtMs: number | undefined;
  /** The header of that name; empty when there is none. */
  header(name: string): string;
}

/** What was written last under a key: an entry, or the mark of one that was deleted. */
export interface WrittenEntry extends BucketEntry {
  readonly isDeleted: boolean;
}

/** As any server of the stream answers a direct read; undefined when it has nothing. */
export function directlyRead({ data, headers }: NatsMessage): WrittenEntry | undefined {
  if (headers === undefined || headers.code === 404) return undefined;
  const revision = Number(headers.get("Nats-Sequence"));
  const isDeleted = headers.has(operationHeader);
  const expiresAtMs = headers.has(ttlHeader)
    ? Date.parse(headers.get("Nats-Time-Stamp")) + Number(headers.get(ttlHeader))
    : undefined;
  return { data, revision, isDeleted, expiresAtMs, header: (name) => headers.get(name) };
}

/** As the leader of the stream answers. */
export const storedMessage = z.object({
  message: z.object({
    seq: z.int(),
    time: z.string(),
    data: z.string().default(""),
    hdrs: z.string().default(""),
  }),
});

export type StoredMessage = z.output<typeof storedMessage>["message"];

export function readFromLeader({ data, seq, time, hdrs }: StoredMessage): WrittenEntry {
  const fields = Buffer.from(hdrs, "base64").toString();
  const header = (name: string): string => new RegExp(`^${name}:(.*)$`, "m").exec(fields)?.[1]?.trim() ?? "";
  const ttl = header(ttlHeader);
  return {
    data: Buffer.from(data, "base64"),
    revision: seq,
    isDeleted: header(operationHeader) !== "",
    expiresAtMs: ttl === "" ? undefined : Date.parse(time) + Number(ttl),
    header,
  };
}

/** When what a message of the stream holds expires; undefined when it does not. */
export const expiryOf = ({ headers }: NatsMessage, writtenAtMs: number): number | undefined =>
  headers?.has(ttlHeader) === true ? writtenAtMs + Number(headers.get(ttlHeader)) : undefined;
