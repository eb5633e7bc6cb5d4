import { randomUUID } from "node:crypto";
import type { NatsConnection, NatsHeaders, NatsMessage } from "../clients/nats.ts";
import type { PublishMessage, ReceivedMessage } from "./pubsub.ts";

/** The header by which JetStream knows a message that it has already. */
const idHeader = "Nats-Msg-Id";
const typeHeader = "Content-Type";
/** The metadata as JSON in ASCII, and the content type where it is not ASCII itself. */
const metadataHeader = "Outrigger-Metadata";
/** Whitespace around a value is no part of it. */
const plain = /^[!-~]([ -~]*[!-~])?$/;

/** The headers under which a message travels, with an id of its own. */
export function headersOf(connection: NatsConnection, { contentType, metadata }: PublishMessage): NatsHeaders {
  const isPlain = plain.test(contentType);
  const rest = isPlain ? { metadata } : { contentType, metadata };
  return connection.headers({
    [idHeader]: randomUUID(),
    ...(isPlain ? { [typeHeader]: contentType } : {}),
    [metadataHeader]: inAscii(JSON.stringify(rest)),
  });
}

/** Bytes that the headers take; all of them are ASCII. */
export function headerBytesOf(headers: NatsHeaders): number {
  let bytes = "NATS/1.0\r\n\r\n".length;
  for (const [name, values] of headers) {
    for (const value of values) bytes += `${name}: ${value}\r\n`.length;
  }
  return bytes;
}

/** A message as it came, also of a publisher that is not one of us; `sequence` is its number in a stream. */
export function receivedOf(message: NatsMessage, topic: string, sequence?: number): ReceivedMessage {
  const { headers } = message;
  const noted = notedIn(headers?.get(metadataHeader) ?? "");
  const id = headers?.get(idHeader) || (sequence === undefined ? randomUUID() : String(sequence));
  return {
    id,
    topic,
    data: new Uint8Array(message.data),
    contentType: noted.contentType ?? (headers?.get(typeHeader) || "application/octet-stream"),
    metadata: noted.metadata,
  };
}

interface Noted {
  readonly contentType?: string;
  readonly metadata: Readonly<Record<string, string>>;
}

/** What others wrote into the header in place of it counts as nothing. */
function notedIn(header: string): Noted {
  try {
    const { contentType, metadata }: { contentType?: unknown; metadata?: unknown } = JSON.parse(header);
    const entries = Object.entries(metadata ?? {}).filter(
      (entry): entry is [string, string] => typeof entry[1] === "string",
    );
    return { ...(typeof contentType === "string" ? { contentType } : {}), metadata: Object.fromEntries(entries) };
  } catch {
    return { metadata: {} };
  }
}

const inAscii = (json: string): string =>
  json.replace(/[^ -~]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`);
