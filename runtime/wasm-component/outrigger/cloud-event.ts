/** Events as they lie at a broker, told to a guest without their envelope (CloudEvents 1.0, JSON format, section 3). */
import type { Pairs } from "./pairs.ts";

/** The record `event` of the world. */
export interface GuestEvent {
  readonly id: string;
  readonly pubsub: string;
  readonly topic: string;
  readonly source: string;
  readonly type: string;
  readonly contentType: string;
  readonly data: Uint8Array;
  readonly time: string | undefined;
  readonly extensions: Pairs;
}

/** What a broker delivered. */
export interface Delivery {
  readonly pubsub: string;
  readonly topic: string;
  readonly contentType: string;
  readonly data: Uint8Array;
}

const decoder = new TextDecoder();

/** The event in the delivery; one without an envelope has its bytes as data, and no id. */
export function guestEvent({ pubsub, topic, contentType, data }: Delivery): GuestEvent {
  const envelope = mediaType(contentType) === "application/cloudevents+json" ? objectIn(data) : undefined;
  if (envelope === undefined)
    return { id: "", pubsub, topic, source: "", type: "", contentType, data, time: undefined, extensions: [] };
  const { id, source, type, time, datacontenttype, data: json, data_base64, ...others } = envelope;
  const dataType = textOf(datacontenttype) || "application/json";
  return {
    id: textOf(id),
    pubsub,
    topic,
    source: textOf(source),
    type: textOf(type),
    contentType: dataType,
    data: bytesOf(json, data_base64, dataType),
    time: typeof time === "string" ? time : undefined,
    extensions: Object.entries(others)
      .filter(([name]) => !known.has(name))
      .map(([name, value]) => [name, textOf(value)]),
  };
}

/** Attributes that the guest is told otherwise, or that say nothing. */
const known: ReadonlySet<string> = new Set(["specversion", "topic", "pubsubname"]);

function bytesOf(json: unknown, base64: unknown, type: string): Uint8Array {
  if (typeof base64 === "string") return Buffer.from(base64, "base64");
  if (json === undefined) return new Uint8Array(0);
  const isJson = /^application\/(json|.+\+json)$/.test(mediaType(type));
  return Buffer.from(typeof json === "string" && !isJson ? json : JSON.stringify(json));
}

function objectIn(bytes: Uint8Array): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(decoder.decode(bytes));
    return typeof value === "object" && value !== null && !Array.isArray(value) ? { ...value } : undefined;
  } catch {
    return undefined;
  }
}

const mediaType = (contentType: string): string => (contentType.split(";", 1)[0] ?? "").trim().toLowerCase();

function textOf(value: unknown): string {
  if (typeof value === "string") return value;
  return value === undefined || value === null ? "" : JSON.stringify(value);
}
