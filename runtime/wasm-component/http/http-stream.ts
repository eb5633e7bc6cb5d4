import type { AnswerSink, AnswerSource, FilterAction, StreamFilter, StreamHost } from "../../plugin/contract.ts";
import { PluginError } from "../../plugin/plugin-error.ts";
import type { Guest } from "../provider.ts";
import type { BodyFlow, BodyTarget } from "./body-flow.ts";
import { type ErrorCode, statusOfError } from "./error-code.ts";
import type { Field } from "./fields.ts";
import { BodyFeed, type BodySource } from "./incoming-body.ts";
import type { Handle } from "./incoming-handler.ts";
import { IncomingRequest } from "./incoming-request.ts";
import { type Answering, type OutgoingResponse, ResponseOutparam } from "./outgoing-response.ts";

const noBytes = new Uint8Array(0);
const clientGone: ErrorCode = { tag: "connection-terminated" };

/**
 * A request that a guest handles in one call: the call begins with its head, and both bodies pass while it runs. It may work on
 * after its answer, and after the client has gone, when its streams are closed, until its deadline.
 */
export class HttpStream implements StreamFilter, Answering, AnswerSource, BodySource, BodyTarget {
  readonly #guest: Guest;
  readonly #handle: Handle;
  readonly #host: StreamHost;
  readonly #ended: () => void;
  readonly #feed = new BodyFeed(this);
  /** `new`: the guest was not called yet. `over`: its call has ended. */
  #call: "new" | "running" | "over" = "new";
  #isAnswered = false;
  #sink: AnswerSink | undefined;
  #body: BodyFlow | undefined;
  /** The request is held back by a callback that has not ended. */
  #isHeld = false;

  constructor(guest: Guest, handle: Handle, host: StreamHost, ended: () => void) {
    this.#guest = guest;
    this.#handle = handle;
    this.#host = host;
    this.#ended = ended;
  }

  requestHeaders(endOfStream: boolean): FilterAction {
    if (endOfStream) this.#feed.finish();
    this.#call = "running";
    this.#guest
      .call("handle", () => this.#enter())
      .then(
        () => this.#returned(),
        (error: unknown) => this.#failed(error),
      );
    return endOfStream ? "pause" : "hold";
  }

  requestBody(endOfStream: boolean): FilterAction {
    const body = this.#host.body("request");
    if (body !== undefined && body.length > 0) {
      // What was read is of the chunks that came, to which nobody writes.
      if (!this.#feed.isDiscarding) this.#feed.push(body.read(0, body.length));
      body.splice(0, body.length, noBytes);
    }
    if (endOfStream) this.#feed.finish();
    else if (this.#feed.isFull) {
      this.#isHeld = true;
      return "suspended";
    }
    return "watermark";
  }

  requestTrailers(): FilterAction {
    this.#feed.finish(this.#host.headers("request-trailers")?.entries());
    return "pause";
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
    this.#isHeld = false;
    this.#isAnswered = true;
    this.#feed.fail(clientGone, "the client has gone");
    this.#body?.close();
    if (this.#call !== "new") return;
    this.#call = "over";
    this.#ended();
  }

  respond(response: OutgoingResponse): void {
    const { status, head, body } = response.message();
    if (!this.#isAnswered) this.#sink = this.#host.answer(this);
    this.#isAnswered = true;
    this.#body = body?.flow;
    if (this.#sink === undefined) {
      this.#body?.close();
      return;
    }
    const isBodiless = status === 204 || status === 304 || this.#isHead;
    if (isBodiless) this.#body?.ignoreLength();
    try {
      this.#sink.head(head, body === undefined);
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      this.#body?.close();
      this.#sink.reset(`the plugin's response is not valid: ${error.message}`);
      return;
    }
    this.#body?.attach(this);
  }

  refuse(error: ErrorCode): void {
    const told = typeof error.val === "string" ? `: ${error.val}` : "";
    this.#reply(statusOfError(error), `the plugin answered with the error ${error.tag}${told}`);
  }

  data(chunk: Uint8Array, endOfStream: boolean): void {
    this.#sink?.data(chunk, endOfStream);
  }

  trailers(trailers: readonly Field[]): void {
    this.#sink?.trailers(trailers);
  }

  broken(reason: string): void {
    this.#sink?.reset(reason);
  }

  pause(): void {
    this.#body?.pause();
  }

  resume(): void {
    this.#body?.resume();
  }

  reset(): void {
    this.#body?.close();
  }

  wantsMore(): void {
    if (!this.#isHeld) return;
    this.#isHeld = false;
    this.#host.settle("watermark");
  }

  unwanted(): void {
    // What is left of the request is thrown away as it comes.
  }

  get #isHead(): boolean {
    return this.#host.headers("request-headers")?.get(":method") === "HEAD";
  }

  #enter(): void | Promise<void> {
    const head = this.#host.headers("request-headers");
    if (head === undefined) throw new TypeError("the stream has no head");
    const { host } = this.#guest;
    return this.#handle(new IncomingRequest(host, head, this.#feed), new ResponseOutparam(this));
  }

  #returned(): void {
    this.#call = "over";
    if (!this.#isAnswered) this.#reply(500, "the plugin ended without an answer");
    else this.#body?.abandon();
    this.#feed.unwanted();
    this.#ended();
  }

  /** A guest that is gone has told its stream. */
  #failed(error: unknown): void {
    this.#call = "over";
    this.#body?.close();
    if (!(error instanceof PluginError)) this.#reply(500, "the plugin failed");
    this.#feed.unwanted();
    this.#ended();
  }

  #reply(status: number, message: string): void {
    if (this.#isAnswered) return;
    this.#isAnswered = true;
    this.#host.respond({
      status,
      details: "",
      headers: [["content-type", "text/plain; charset=utf-8"]],
      body: Buffer.from(`${message}\n`),
    });
    if (!this.#isHeld) return;
    this.#isHeld = false;
    this.#host.settle("pause");
  }
}
