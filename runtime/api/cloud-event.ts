/** CloudEvents 1.0 in the structured JSON format (https://github.com/cloudevents/spec, JSON format sections 2 and 3). */
import { randomUUID } from "node:crypto";
import { RuntimeError } from "../../components/error.ts";
import { memberSource } from "./cloud-event-json.ts";

/** An event as it is delivered. */
export interface TopicEvent {
  readonly id: string;
  readonly source: string;
  readonly type: string;
  readonly specVersion: string;
  readonly dataContentType: string;
  readonly data: Uint8Array;
  readonly topic: string;
  readonly pubsubName: string;
  /** Attributes beyond those above (`time`, `subject`, `traceparent`, extensions). */
  readonly metadata: Readonly<Record<string, string>>;
  /** Milliseconds since the epoch; an event is not delivered after it. */
  readonly expiresAtMs?: number;
}

export interface EventSource {
  readonly topic: string;
  readonly pubsubName: string;
  readonly appId: string;
  readonly traceparent?: string | undefined;
}

export const cloudEventType = "application/cloudevents+json";
const defaultType = "outrigger.event.sent";

const isCloudEvent = (contentType: string): boolean => mediaType(contentType) === cloudEventType;
const isJson = (contentType: string): boolean => /^application\/(json|.+\+json)$/.test(mediaType(contentType));
const isText = (contentType: string): boolean => mediaType(contentType).startsWith("text/");
const mediaType = (contentType: string): string => (contentType.split(";", 1)[0] ?? "").trim().toLowerCase();

/**
 * Wraps data into an event. Metadata `cloudevent.NAME` sets an attribute, `ttlInSeconds` an expiry. Data that says it is an
 * event already is completed, not wrapped. JSON data is kept to the letter. Throws INVALID_ARGUMENT when it, or an event,
 * cannot be parsed.
 */
export function wrapEvent(
  data: Uint8Array,
  contentType: string,
  metadata: Readonly<Record<string, string>>,
  source: EventSource,
): Uint8Array {
  const { attributes, json } = isCloudEvent(contentType) ? givenEvent(data) : wrapped(data, contentType);
  const event: Record<string, unknown> = {
    specversion: "1.0",
    id: randomUUID(),
    source: source.appId,
    type: defaultType,
    time: new Date().toISOString(),
    ...(source.traceparent === undefined ? {} : { traceparent: source.traceparent }),
    ...attributes,
    topic: source.topic,
    pubsubname: source.pubsubName,
  };
  for (const [name, value] of Object.entries(metadata)) {
    const attribute = /^cloudevent\.([a-z0-9]{1,20})$/.exec(name)?.[1];
    if (attribute !== undefined && value !== "" && !fixed.has(attribute)) event[attribute] = value;
  }
  const ttl = metadata.ttlInSeconds;
  if (ttl !== undefined) event.expiration = new Date(Date.now() + secondsOf(ttl) * 1000).toISOString();
  const text = JSON.stringify(event);
  return utf8.encode(json === undefined ? text : `${text.slice(0, -1)},"data":${json}}`);
}

/** What no metadata can set: the event's shape and where it was published. */
const fixed: ReadonlySet<string> = new Set(["data", "specversion", "topic", "pubsubname"]);

/** An event in the making: its attributes, and the JSON text of its data unless that is among them as base64. */
interface Draft {
  readonly attributes: Readonly<Record<string, unknown>>;
  readonly json?: string | undefined;
}

function wrapped(data: Uint8Array, contentType: string): Draft {
  const datacontenttype = contentType === "" ? "application/octet-stream" : contentType;
  if (isJson(datacontenttype)) {
    const { text } = parseJson(data, "the data, which is said to be JSON,");
    return { attributes: { datacontenttype }, json: text };
  }
  const text = isText(datacontenttype) ? textIn(data) : undefined;
  if (text !== undefined) return { attributes: { datacontenttype }, json: JSON.stringify(text) };
  return { attributes: { datacontenttype, data_base64: Buffer.from(data).toString("base64") } };
}

/** The text, or undefined when the bytes are not UTF-8, whatever their type says. */
function textIn(data: Uint8Array): string | undefined {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(data);
  } catch {
    return undefined;
  }
}

function givenEvent(bytes: Uint8Array): Draft {
  const { value, text } = parseJson(bytes, "the event, which is said to be a CloudEvent,");
  if (!isRecord(value) || ![value.id, value.source, value.type].every(isFilled)) {
    throw new RuntimeError("INVALID_ARGUMENT", "EVENT_MALFORMED", "the CloudEvent lacks id, source or type");
  }
  const { data: _, ...attributes } = value;
  return { attributes, json: memberSource(text, "data") };
}

/** Reads a delivered message; one that is no event (published raw, or by a stranger) becomes an event with its bytes as data. */
export function unwrapEvent(
  message: {
    readonly id: string;
    readonly data: Uint8Array;
    readonly contentType: string;
    readonly metadata: Readonly<Record<string, string>>;
  },
  source: EventSource,
): TopicEvent {
  const { topic, pubsubName } = source;
  const text = isCloudEvent(message.contentType) ? Buffer.from(message.data).toString("utf8") : "";
  const event = tryParseObject(text);
  if (event === undefined) {
    const { id, data, contentType: dataContentType, metadata } = message;
    return {
      id,
      source: pubsubName,
      type: defaultType,
      specVersion: "1.0",
      dataContentType,
      data,
      topic,
      pubsubName,
      metadata,
    };
  }
  const {
    id,
    source: from,
    type,
    specversion,
    datacontenttype,
    data,
    data_base64,
    topic: _,
    pubsubname: __,
    ...rest
  } = event;
  const dataContentType = textOf(datacontenttype) || "application/json";
  const expiresAtMs = Date.parse(textOf(rest.expiration));
  return {
    id: textOf(id) || message.id,
    source: textOf(from),
    type: textOf(type) || defaultType,
    specVersion: textOf(specversion) || "1.0",
    dataContentType,
    data: dataOf(text, data, data_base64, dataContentType),
    topic,
    pubsubName,
    metadata: Object.fromEntries(Object.entries(rest).map(([name, value]) => [name, textOf(value)])),
    ...(Number.isNaN(expiresAtMs) ? {} : { expiresAtMs }),
  };
}

/** JSON data is given as it was written, so that no number loses its digits. */
function dataOf(event: string, data: unknown, base64: unknown, contentType: string): Uint8Array {
  if (typeof base64 === "string") return new Uint8Array(Buffer.from(base64, "base64"));
  return utf8.encode(typeof data === "string" && !isJson(contentType) ? data : memberSource(event, "data"));
}

const utf8 = new TextEncoder();
const isFilled = (value: unknown): boolean => typeof value === "string" && value !== "";
const textOf = (value: unknown): string =>
  typeof value === "string" ? value : value === undefined || value === null ? "" : JSON.stringify(value);

function secondsOf(text: string): number {
  const seconds = Number(text);
  if (!/^\d{1,10}$/.test(text) || seconds === 0) {
    throw new RuntimeError(
      "INVALID_ARGUMENT",
      "TTL_INVALID",
      `ttlInSeconds is '${text}'; expected a whole number of seconds above 0`,
    );
  }
  return seconds;
}

function parseJson(data: Uint8Array, what: string): { readonly value: unknown; readonly text: string } {
  try {
    const text = new TextDecoder("utf-8", { fatal: true }).decode(data);
    return { value: JSON.parse(text), text };
  } catch (cause) {
    throw new RuntimeError(
      "INVALID_ARGUMENT",
      "DATA_MALFORMED",
      `${what} cannot be parsed; correct it, or its content type`,
      { cause },
    );
  }
}

function tryParseObject(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isRecord(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);
