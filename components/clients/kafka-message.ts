import type { IHeaders, KafkaMessage, Message } from "kafkajs";

/** A message as components know it. */
export interface OutgoingMessage {
  readonly data: Uint8Array;
  /** Absent when it is not known. */
  readonly contentType?: string;
  readonly metadata: Readonly<Record<string, string>>;
}

export interface IncomingMessage {
  /** TOPIC-PARTITION-OFFSET. */
  readonly id: string;
  readonly topic: string;
  readonly data: Uint8Array;
  readonly contentType: string;
  readonly metadata: Readonly<Record<string, string>>;
}

/** The header that CloudEvents has for it as well. */
const contentTypeHeader = "content-type";
/** The metadata that holds the key: ours and Dapr's, that of CloudEvents, and what a message that has come says. */
const keyNames = ["partitionKey", "partitionkey", "cloudevent.partitionkey", "key"] as const;

/** With a copy of the data; the metadata becomes headers. */
export function toKafka({ data, contentType, metadata }: OutgoingMessage): Message & { readonly value: Buffer } {
  const keyName = keyNames.find((name) => metadata[name] !== undefined && metadata[name] !== "");
  return {
    value: Buffer.from(data),
    key: keyName === undefined ? null : (metadata[keyName] ?? null),
    headers: { ...metadata, ...(contentType === undefined ? {} : { [contentTypeHeader]: contentType }) },
  };
}

/** With a copy of the data. Of a header that is there several times, the last counts. */
export function fromKafka(message: KafkaMessage, topic: string, partition: number): IncomingMessage {
  const { [contentTypeHeader]: contentType = "application/octet-stream", ...metadata } = textsOf(message.headers ?? {});
  const key = message.key === null || message.key === undefined ? {} : { key: message.key.toString() };
  return {
    id: `${topic}-${partition}-${message.offset}`,
    topic,
    data: Uint8Array.from(message.value ?? []),
    contentType,
    metadata: { ...key, ...metadata },
  };
}

function textsOf(headers: IHeaders): Record<string, string> {
  const texts = Object.entries(headers).map(([name, value]): [string, string] => {
    const last = Array.isArray(value) ? value.at(-1) : value;
    return [name, last === undefined ? "" : last.toString()];
  });
  return Object.fromEntries(texts);
}

/** About what a message takes on the wire. */
export function bytesOf({ data, metadata }: OutgoingMessage): number {
  let bytes = data.byteLength + 64;
  for (const [name, value] of Object.entries(metadata)) bytes += name.length + value.length + 8;
  return bytes;
}
