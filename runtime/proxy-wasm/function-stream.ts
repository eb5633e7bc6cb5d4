import type { AnswerSink, AnswerSource } from "../plugin/answer.ts";
import type {
  BodyBuffer,
  Caller,
  Direction,
  FilterAction,
  HeaderMap,
  LocalReply,
  PropertyValue,
  StreamFilter,
  StreamHost,
  StreamMap,
} from "../plugin/contract.ts";
import type { PluginError } from "../plugin/plugin-error.ts";
import { StreamContext } from "./context.ts";
import { KeptBody } from "./kept-body.ts";
import type { RootContext } from "./root-context.ts";

/** Bytes of a request, and of an answer, that are kept for the guest. */
const maxBodyBytes = 1 << 20;

/**
 * A request for a guest that is a function as Layotto has them (it exports `proxy_get_id`): the guest is shown the headers and
 * the whole body, in whose place stands the query string when there is none, and what it writes to the buffer of the response
 * body is the answer. Callbacks of the response are not made.
 */
export class FunctionStream implements StreamFilter, StreamHost {
  readonly #outer: StreamHost;
  readonly #inner: StreamContext;
  readonly #request = new KeptBody();
  readonly #answer = new KeptBody();
  /** The part that the guest is shown, or was shown last. */
  #part: "headers" | "body" = "headers";
  #hasEnded = false;
  #isAnswered = false;
  #isTooLarge = false;

  constructor(root: RootContext, host: StreamHost) {
    this.#outer = host;
    this.#inner = new StreamContext(root, this);
  }

  requestHeaders(endOfStream: boolean): FilterAction {
    if (endOfStream) this.#end(queryOf(this.#outer.headers("request-headers")?.get(":path") ?? ""));
    return this.#after(this.#inner.requestHeaders(false));
  }

  requestBody(endOfStream: boolean): FilterAction {
    this.#keep();
    if (!endOfStream) return "continue";
    this.#end("");
    return this.#showBody();
  }

  requestTrailers(): FilterAction {
    this.#end("");
    return this.#showBody();
  }

  responseHeaders(): FilterAction {
    return "continue";
  }

  responseBody(): FilterAction {
    return "continue";
  }

  responseTrailers(): FilterAction {
    return "continue";
  }

  end(): void {
    this.#inner.end();
  }

  get caller(): Caller | undefined {
    return this.#outer.caller;
  }

  headers(map: StreamMap): HeaderMap | undefined {
    return this.#outer.headers(map);
  }

  body(direction: Direction): BodyBuffer | undefined {
    if (direction === "request") return this.#part === "body" ? this.#request : undefined;
    return this.#isAnswered ? undefined : this.#answer;
  }

  resume(direction: Direction): void {
    if (direction === "request" && this.#after("continue") === "continue") this.#outer.resume("request");
  }

  settle(action: "continue" | "pause"): void {
    const next = this.#after(action);
    if (next !== "suspended") this.#outer.settle(next);
  }

  respond(reply: LocalReply): void {
    this.#isAnswered = true;
    this.#outer.respond(reply);
  }

  reset(): void {
    this.#outer.reset();
  }

  failed(error: PluginError): void {
    this.#outer.failed(error);
  }

  property(path: readonly string[]): PropertyValue | undefined {
    return this.#outer.property(path);
  }

  setProperty(path: readonly string[], value: Uint8Array): boolean {
    return this.#outer.setProperty(path, value);
  }

  clearRoute(): void {
    this.#outer.clearRoute();
  }

  answer(source: AnswerSource): AnswerSink | undefined {
    return this.#outer.answer(source);
  }

  /** What follows when the guest has answered so. */
  #after(action: FilterAction): FilterAction {
    if (action !== "continue" || this.#isAnswered) return action;
    if (this.#part === "body") return this.#reply(200, "", this.#answer.bytes);
    return this.#hasEnded ? this.#showBody() : "continue";
  }

  #showBody(): FilterAction {
    if (this.#isTooLarge) return this.#reply(413, "request_payload_too_large", new Uint8Array(0));
    this.#part = "body";
    return this.#after(this.#inner.requestBody(true));
  }

  /** Takes what has come out of the stream: nothing lies behind it. */
  #keep(): void {
    const body = this.#outer.body("request");
    if (body === undefined) return;
    this.#isTooLarge ||= this.#request.length + body.length > maxBodyBytes;
    if (!this.#isTooLarge) this.#request.splice(this.#request.length, 0, body.read(0, body.length));
    body.splice(0, body.length, new Uint8Array(0));
  }

  #end(substitute: string): void {
    this.#hasEnded = true;
    if (this.#request.length === 0) this.#request.splice(0, 0, Buffer.from(substitute, "latin1"));
  }

  #reply(status: number, details: string, body: Uint8Array): FilterAction {
    this.respond({ status, details, headers: [], body: new Uint8Array(body) });
    return "pause";
  }
}

function queryOf(path: string): string {
  const at = path.indexOf("?");
  return at === -1 ? "" : path.slice(at + 1);
}
