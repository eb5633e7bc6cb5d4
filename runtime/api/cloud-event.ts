/** CloudEvents 1.0 in the structured JSON format (https://github.com/cloudevents/spec, JSON format sections 2 and 3). */
import { randomUUID } from "node:crypto";
import { RuntimeError } from "../../components/error.ts";

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
 * event already is completed, not wrapped. Throws INVALID_ARGUMENT when it, or JSON data, cannot be parsed.
 */
export function wrapEvent(
  data: Uint8Array,
  contentType: string,
  metadata: Readonly<Record<string, string>>,
  source: EventSource,
): Uint8Array {
  const given = isCloudEvent(contentType) ? parseObject(data) : undefined;
  const event: Record<string, unknown> = {
    specversion: "1.0",
    id: randomUUID(),
    source: source.appId,
    type: defaultType,
    time: new Date().toISOString(),
    ...(source.traceparent === undefined ? {} : { traceparent: source.traceparent }),
    ...(given ?? dataAttributes(data, contentType)),
    topic: source.topic,
    pubsubname: source.pubsubName,
  };
  for (const [name, value] of Object.entries(metadata)) {
    const attribute = /^cloudevent\.([a-z0-9]{1,20})$/.exec(name)?.[1];
    if (attribute !== undefined && attribute !== "data" && attribute !== "specversion") event[attribute] = value;
  }
  const ttl = metadata["ttlInSeconds"];
  if (ttl !== undefined) event["expiration"] = new Date(Date.now() + secondsOf(ttl) * 1000).toISOString();
  return encode(event);
}

function dataAttributes(data: Uint8Array, contentType: string): Record<string, unknown> {
  const datacontenttype = contentType === "" ? "application/octet-stream" : contentType;
  if (isJson(datacontenttype)) return { datacontenttype, data: parseJson(data, "the data, which is said to be JSON,") };
  if (isText(datacontenttype)) return { datacontenttype, data: Buffer.from(data).toString("utf8") };
  return { datacontenttype, data_base64: Buffer.from(data).toString("base64") };
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
  const event = isCloudEvent(message.contentType) ? tryParseObject(message.data) : undefined;
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
  const expiresAtMs = Date.parse(textOf(rest["expiration"]));
  return {
    id: textOf(id) || message.id,
    source: textOf(from),
    type: textOf(type) || defaultType,
    specVersion: textOf(specversion) || "1.0",
    dataContentType,
    data: dataOf(data, data_base64, dataContentType),
    topic,
    pubsubName,
    metadata: Object.fromEntries(Object.entries(rest).map(([name, value]) => [name, textOf(value)])),
    ...(Number.isNaN(expiresAtMs) ? {} : { expiresAtMs }),
  };
}

function dataOf(data: unknown, base64: unknown, contentType: string): Uint8Array {
  if (typeof base64 === "string") return new Uint8Array(Buffer.from(base64, "base64"));
  if (data === undefined) return new Uint8Array();
  return typeof data === "string" && !isJson(contentType) ? new TextEncoder().encode(data) : encode(data);
}

const textOf = (value: unknown): string =>
  typeof value === "string" ? value : value === undefined || value === null ? "" : JSON.stringify(value);
const encode = (value: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(value));

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

function parseJson(data: Uint8Array, what: string): unknown {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(data));
  } catch (cause) {
    throw new RuntimeError(
      "INVALID_ARGUMENT",
      "DATA_MALFORMED",
      `${what} cannot be parsed; correct it, or its content type`,
      { cause },
    );
  }
}

function parseObject(data: Uint8Array): Record<string, unknown> {
  const value = parseJson(data, "the event, which is said to be a CloudEvent,");
  if (isRecord(value) && [value["id"], value["source"], value["type"]].every((one) => typeof one === "string"))
    return value;
  throw new RuntimeError("INVALID_ARGUMENT", "EVENT_MALFORMED", "the CloudEvent lacks id, source or type");
}

function tryParseObject(data: Uint8Array): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(Buffer.from(data).toString("utf8"));
    return isRecord(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);
