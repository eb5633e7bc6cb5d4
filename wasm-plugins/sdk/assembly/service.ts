import { Action } from "./abi-types";
import { FilterOf } from "./filter";
import { Headers } from "./headers";
import { Json, parseJson } from "./json";
import { request } from "./message";
import { Plugin } from "./plugin";
import { Result } from "./status";
import { decodeText, encodeText } from "./text";
import { decodePath, queryValue } from "./url";

/** A whole request, as a service gets it. */
export class Request {
  private constructor(
    /** Upper-case. */
    readonly method: string,
    /** As on the wire, without the query. */
    readonly path: string,
    /** What follows the question mark, as on the wire. */
    readonly query: string,
    readonly headers: Headers,
    readonly body: Uint8Array,
  ) {}

  /** The request of the stream whose callback runs. */
  static received(body: Uint8Array): Request {
    const headers = request.headers.all();
    const whole = headers.getOr(":path", "/");
    const mark = whole.indexOf("?");
    return new Request(
      headers.getOr(":method", "GET"),
      mark < 0 ? whole : whole.substring(0, mark),
      mark < 0 ? "" : whole.substring(mark + 1),
      headers,
      body,
    );
  }

  /** The parts of the path between the slashes, decoded: `/a/b%20c` gives `a` and `b c`. */
  segments(): string[] {
    return decodePath(this.path);
  }

  /** A value of the query, decoded, or null. */
  queryValue(name: string): string | null {
    return queryValue(this.query, name);
  }

  /** The body as text. */
  text(): string {
    return decodeText(this.body);
  }

  /** The body read as JSON; INVALID_ARGUMENT tells what is wrong with it and where. */
  json(): Result<Json> {
    return parseJson(this.text());
  }
}

/** A whole response, as a service gives it. */
export class Response {
  readonly headers: Headers = new Headers();

  constructor(
    readonly status: u32,
    readonly body: Uint8Array = new Uint8Array(0),
  ) {}

  /** A response of text. */
  static text(status: u32, text: string): Response {
    return new Response(status, encodeText(text)).header("content-type", "text/plain; charset=utf-8");
  }

  /** A response of JSON. */
  static json(status: u32, value: Json): Response {
    return new Response(status, encodeText(value.toString())).header("content-type", "application/json");
  }

  /** Sets a header. */
  header(name: string, value: string): Response {
    this.headers.set(name, value);
    return this;
  }
}

/**
 * An answer to each request, with a configuration that `P` holds: override `handle`. It is called once the whole request is there; the host limits how much
 * that may be. With `suspends: true` in the manifest it may wait for the runtime.
 */
export abstract class ServiceOf<P extends Plugin> extends FilterOf<P> {
  private answered: bool = false;

  /** Answers; null when the answer comes later through `respond`, from the callback of a call. */
  abstract handle(request: Request): Response | null;

  onRequestHeaders(endOfStream: bool): Action {
    return endOfStream ? this.answer(new Uint8Array(0)) : Action.Continue;
  }

  onRequestBody(size: i32, endOfStream: bool): Action {
    return endOfStream ? this.answer(this.request.body.bytes()) : Action.Pause;
  }

  onRequestTrailers(): Action {
    return this.answered ? Action.Continue : this.answer(this.request.body.bytes());
  }

  private answer(body: Uint8Array): Action {
    this.answered = true;
    const answer = this.handle(Request.received(body));
    if (answer !== null) this.respond(answer.status, answer.headers, answer.body);
    return Action.Pause;
  }
}

/** An answer to each request, without a configuration: override `handle`. */
export abstract class Service extends ServiceOf<Plugin> {}
