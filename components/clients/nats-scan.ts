import { randomUUID } from "node:crypto";
import { z } from "zod";
import type { NatsMessage } from "./nats.ts";
import type { JetStream } from "./nats-jetstream.ts";

const batchSize = 256;
/** A consumer whose process is gone is forgotten after this. */
const inactiveMs = 10_000;

export interface Scan {
  readonly stream: string;
  readonly filter: string;
  /** Number of the message to begin with, or `new` for what is yet to come; default the first. */
  readonly from?: number | "new";
  /** Default all there are when it begins. */
  readonly most?: number;
  /** Headers without data. */
  readonly headersOnly?: boolean;
}

/** Where a message stands in its stream. */
export interface StreamPosition {
  readonly sequence: number;
  /** When the server took it, in milliseconds since the epoch. */
  readonly writtenAtMs: number;
}

const created = z.object({
  name: z.string(),
  num_pending: z.int(),
  delivered: z.object({ stream_seq: z.int() }),
});

/** A consumer of no long life; resolves to its name and how many messages it has to give. */
export async function openReader(
  jetStream: JetStream,
  { stream, filter, from, headersOnly = false }: Scan,
): Promise<z.output<typeof created>> {
  const name = `read-${randomUUID()}`;
  const config = {
    name,
    filter_subject: filter,
    ack_policy: "none",
    replay_policy: "instant",
    ...beginningOf(from),
    headers_only: headersOnly,
    inactive_threshold: inactiveMs * 1_000_000,
    mem_storage: true,
    num_replicas: 1,
  };
  const request = { stream_name: stream, config };
  return jetStream.api(`CONSUMER.CREATE.${stream}.${name}.${filter}`, request, created);
}

function beginningOf(from: Scan["from"]): object {
  if (from === undefined) return { deliver_policy: "all" };
  if (from === "new") return { deliver_policy: "new" };
  return { deliver_policy: "by_start_sequence", opt_start_seq: Math.max(1, from) };
}

/**
 * What lies in the stream under the filter, in order, in batches. What is written while it is read comes as well: an entry
 * that is replaced moves to the end, where it must not be missed.
 */
export async function* scan(jetStream: JetStream, options: Scan): AsyncGenerator<readonly NatsMessage[]> {
  const { name, num_pending } = await openReader(jetStream, options);
  const { stream, most = Number.POSITIVE_INFINITY } = options;
  try {
    for (let left = num_pending === 0 ? 0 : most; left > 0; ) {
      const wanted = Math.min(left, batchSize);
      const batch = await pullOnce(jetStream, { stream, consumer: name, batch: wanted });
      yield batch;
      left = batch.length < wanted ? 0 : left - batch.length;
    }
  } finally {
    await jetStream.api(`CONSUMER.DELETE.${stream}.${name}`, undefined, z.unknown()).catch(() => undefined);
  }
}

/** What the server has to give at once; rejects when the connection is lost or nothing is heard. */
async function pullOnce(
  jetStream: JetStream,
  { stream, consumer, batch }: { readonly stream: string; readonly consumer: string; readonly batch: number },
): Promise<readonly NatsMessage[]> {
  const { connection } = jetStream;
  const messages: NatsMessage[] = [];
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const inbox = connection.newInbox();
  const subscription = connection.subscribe(inbox, (message) => {
    if (message.reply?.startsWith("$JS.ACK.") === true) messages.push(message);
    else return resolve();
    if (messages.length >= batch) resolve();
  });
  using _ = connection.watch(() => reject(connection.unreachable()));
  try {
    const subject = jetStream.subjectOf(`CONSUMER.MSG.NEXT.${stream}.${consumer}`);
    const wasSent = connection.publish(subject, JSON.stringify({ batch, no_wait: true }), { reply: inbox });
    if (!wasSent) throw connection.unreachable();
    await connection.within(promise);
    return messages;
  } finally {
    void subscription.end();
  }
}

/** What the server says of a message in the place where it would be acknowledged. */
export function positionOf({ reply = "" }: NatsMessage): StreamPosition {
  // $JS.ACK.[domain.account.]stream.consumer.deliveries.stream sequence.consumer sequence.time.pending[.random]
  const tokens = reply.split(".");
  const first = tokens.length >= 11 ? 6 : 4;
  const [, sequence, , time] = tokens.slice(first);
  return { sequence: Number(sequence), writtenAtMs: Number(time) / 1_000_000 };
}
