import { Json, parseJson } from "./json";
import { Plugin } from "./plugin";
import { property } from "./property";
import { Request, Response, ServiceOf } from "./service";
import { Result, success } from "./status";
import { decodeText, encodeText } from "./text";
import { decodePath } from "./url";

/** An event of a topic that the manifest subscribes to. */
export class TopicEvent {
  readonly pubsub: string;
  readonly topic: string;
  private readonly envelope: Json;

  /** Of the request that brought it. */
  constructor(readonly request: Request) {
    this.pubsub = request.headers.getOr("x-outrigger-pubsub", "");
    const topic = decodePath(request.headers.getOr("x-outrigger-topic", ""));
    this.topic = topic.length > 0 ? topic[0] : "";
    const isEvent = request.headers.getOr("content-type", "").startsWith("application/cloudevents+json");
    const read = isEvent ? request.json() : success(Json.null());
    this.envelope = read.ok ? read.value : Json.null();
  }

  /** Whether it was published raw: it has data only. */
  get isRaw(): bool {
    return !this.envelope.isObject;
  }

  /** An attribute of the event that is text, such as `id`, `source`, `type` or `time`; empty when it has none. */
  attribute(name: string): string {
    return this.envelope.get(name).text;
  }

  /** The same at each delivery; empty for raw ones. */
  get id(): string {
    return this.attribute("id");
  }

  /** Media type of the data. */
  get contentType(): string {
    if (this.isRaw) return this.request.headers.getOr("content-type", "");
    const type = this.attribute("datacontenttype");
    return type.length > 0 ? type : "application/json";
  }

  /** The data. Of JSON, the same value: spaces are gone, and digits that a double cannot hold. */
  bytes(): Uint8Array {
    if (this.isRaw) return this.request.body;
    if (this.envelope.has("data_base64")) return decodeBase64(this.attribute("data_base64"));
    return encodeText(this.text());
  }

  /** The data as text. */
  text(): string {
    if (this.isRaw) return this.request.text();
    if (this.envelope.has("data_base64")) return decodeText(this.bytes());
    const data = this.envelope.get("data");
    return data.isText && !this.contentType.includes("json") ? data.text : data.toString();
  }

  /** The data as JSON; INVALID_ARGUMENT tells what is wrong with it and where. */
  json(): Result<Json> {
    const isValue = !this.isRaw && this.envelope.has("data") && this.contentType.includes("json");
    return isValue ? success(this.envelope.get("data")) : parseJson(this.text());
  }
}

/** A tick of a schedule of the manifest. */
export class Tick {
  readonly schedule: string;
  /** When it was due, such as `2030-01-31T12:00:00.000Z`. */
  readonly time: string;

  /** Of the request that brought it. */
  constructor(readonly request: Request) {
    this.schedule = request.headers.getOr("x-outrigger-schedule", "");
    this.time = request.headers.getOr("x-outrigger-scheduled-time", "");
  }

  /** The schedule's `data`. */
  text(): string {
    return this.request.text();
  }
}

/** What a service says of an event or a tick. */
export namespace outcome {
  /** It is done. */
  export function success(): Response {
    return said("SUCCESS");
  }
  /** It is to come again, after a while; a tick does not. */
  export function retry(): Response {
    return said("RETRY");
  }
  /** It is of no use; it goes to the dead-letter topic, if there is one. */
  export function drop(): Response {
    return said("DROP");
  }
}

/**
 * An answer to each event, tick and request, with a configuration that `P` holds: override what the service has a use for. A
 * client's request is never taken for an event.
 */
export abstract class EventServiceOf<P extends Plugin> extends ServiceOf<P> {
  /** Takes an event; null when the answer comes later through `respond`. By default it is dropped. */
  onEvent(event: TopicEvent): Response | null {
    return Response.text(404, "nothing here takes events of " + event.topic);
  }

  /** Takes a tick. */
  onTick(tick: Tick): Response | null {
    return Response.text(404, "nothing here takes ticks of " + tick.schedule);
  }

  /** Answers a client's request. */
  onRequest(request: Request): Response | null {
    return Response.text(404, "there is nothing at " + request.path);
  }

  handle(request: Request): Response | null {
    const headers = request.headers;
    const isEvent = headers.get("x-outrigger-topic") !== null;
    if (!isEvent && headers.get("x-outrigger-schedule") === null) return this.onRequest(request);
    if (property.textOr("outrigger.origin", "") != "sidecar") return this.onRequest(request);
    return isEvent ? this.onEvent(new TopicEvent(request)) : this.onTick(new Tick(request));
  }
}

/** An answer to each event, tick and request, without a configuration. */
export abstract class EventService extends EventServiceOf<Plugin> {}

function said(status: string): Response {
  return Response.json(200, Json.object().set("status", status));
}

const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

function decodeBase64(text: string): Uint8Array {
  const bytes = new Uint8Array(((text.length + 3) / 4) * 3);
  let size = 0;
  let bits: u32 = 0;
  let held = 0;
  for (let i = 0; i < text.length; i++) {
    const value = alphabet.indexOf(text.charAt(i));
    if (value < 0) continue; // padding
    bits = (bits << 6) | <u32>value;
    held += 6;
    if (held < 8) continue;
    held -= 8;
    bytes[size++] = <u8>(bits >> held);
  }
  return bytes.subarray(0, size);
}
