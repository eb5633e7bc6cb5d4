import type { AnswerSink, AnswerSource } from "../../plugin/answer.ts";
import type { FilterAction, StreamFilter, StreamHost } from "../../plugin/contract.ts";
import { PluginError } from "../../plugin/plugin-error.ts";
import type { CallClient, Guest } from "../provider.ts";
import { requestName } from "../request-name.ts";
import type { BodyFlow, BodyTarget } from "./body-flow.ts";
import { ClientPatience } from "./client-patience.ts";
import { type ErrorCode, statusOfError } from "./error-code.ts";
import type { Field } from "./fields.ts";
import { BodyFeed, type BodySource } from "./incoming-body.ts";
import type { Handle } from "./incoming-handler.ts";
import { IncomingRequest } from "./incoming-request.ts";
import { type Answering, type OutgoingResponse, ResponseOutparam } from "./outgoing-response.ts";

const noBytes = new Uint8Array(0);
/** Other hosts make an instance for each request, and some engines can do no more with one. */
const oneRequestHint =
  "; it was not the first call of that instance: a guest that takes one only needs 'isolation: stream' in its manifest";
const clientGone: ErrorCode = { tag: "connection-terminated" };

/**
 * A request that a guest handles in one call: the call begins with its head, and both bodies pass while it runs. The guest may
 * work on after its answer until its deadline, which begins anew with every byte that moves. When the client has gone before the
 * answer was whole, its streams are closed and it is let go of soon. What a client does, or leaves undone, is no crash of the guest.
 */
export class HttpStream implements StreamFilter, Answering, AnswerSource, BodySource, BodyTarget, CallClient {
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
  /** Made when the client is waited for. */
  #patience: ClientPatience | undefined;
  /** Bytes of the answer since the client held it back last. */
  #sent = 0;
  /** The request is held back by a callback that has not ended. */
  #isHeld = false;
  /** The client does not take what there is of the answer. */
  #isPaused = false;
  /** The exchange has ended. */
  #isEnded = false;
  /** The guest gave an answer that cannot be sent: what follows is its own doing. */
  #isBroken = false;

  constructor(guest: Guest, handle: Handle, host: StreamHost, ended: () => void) {
    this.#guest = guest;
    this.#handle = handle;
    this.#host = host;
    this.#ended = ended;
  }

  requestHeaders(endOfStream: boolean): FilterAction {
    if (endOfStream) this.#feed.finish();
    else this.#patience = new ClientPatience(this.#guest.host.program.deadlineMs, performance.now());
    this.#call = "running";
    this.#guest
      .call("handle", () => this.#enter(), this)
      .then(
        () => this.#returned(),
        (error: unknown) => this.#failed(error),
      );
    return endOfStream ? "pause" : "hold";
  }

  requestBody(endOfStream: boolean): FilterAction {
    const body = this.#host.body("request");
    if (body !== undefined && body.length > 0) {
      this.#guest.moved();
      if (!endOfStream) this.#minds(body.length, this.#feed.isAwaited);
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
    if (this.#call === "running" && !this.#isBroken) {
      if (!this.#isAnswerWhole) this.#guest.unwanted("soon");
      else if (!this.#feed.isReady) this.#guest.unwanted("deadline");
    }
    this.#isEnded = true;
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
    if (status === 204 || status === 304 || this.#isHead) this.#body?.discard();
    try {
      this.#sink.head(head, body === undefined);
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      this.#body?.close();
      this.#cutOff(`the response of ${this.#plugin} is not valid: ${error.message}`);
      return;
    }
    this.#guest.moved();
    this.#body?.attach(this);
  }

  refuse(error: ErrorCode): void {
    const told = typeof error.val === "string" ? `: ${error.val}` : "";
    this.#fail(statusOfError(error), `${this.#plugin} answered with the error ${error.tag}${told}`);
  }

  data(chunk: Uint8Array, endOfStream: boolean): void {
    this.#guest.moved();
    this.#sent += chunk.length;
    this.#sink?.data(chunk, endOfStream);
  }

  trailers(trailers: readonly Field[]): void {
    this.#sink?.trailers(trailers);
  }

  broken(reason: string): void {
    this.#cutOff(reason);
  }

  pause(): void {
    this.#isPaused = true;
    this.#patience ??= new ClientPatience(this.#guest.host.program.deadlineMs, 0);
    this.#patience.excuse(performance.now());
    this.#body?.pause();
  }

  resume(): void {
    this.#isPaused = false;
    this.#guest.moved();
    this.#minds(this.#sent, true);
    this.#sent = 0;
    this.#body?.resume();
  }

  reset(): void {
    this.#body?.close();
  }

  wantsMore(): void {
    if (!this.#isHeld) return;
    this.#isHeld = false;
    this.#patience?.excuse(performance.now());
    this.#host.settle("watermark");
  }

  unwanted(): void {
    // What is left of the request is thrown away as it comes.
  }

  /** True when the guest waits for its client, or only the middle of its answer is late. */
  excusesLateness(): boolean {
    if (this.#isEnded || this.#isAnswerWhole) return false;
    const { deadlineMs } = this.#guest.host.program;
    const within = `within the ${deadlineMs} ms of the plugin's limits.deadline`;
    const awaitsRequest = this.#feed.isAwaited && !this.#isHeld;
    if (!awaitsRequest && !this.#isPaused) {
      if (this.#sink === undefined) return false;
      this.#cutOff(`nothing of the response of ${this.#plugin} came ${within}`);
      return true;
    }
    this.#giveUp(
      `the client ${this.#isPaused ? "took nothing of the response" : "sent nothing of the request"} ${within}`,
    );
    return true;
  }

  /** The client did something: it is given up when it was waited for too long, all in all. */
  #minds(bytes: number, wasWaitedFor: boolean): void {
    const patience = this.#patience;
    if (patience === undefined || this.#isEnded) return;
    const now = performance.now();
    if (!wasWaitedFor) patience.excuse(now);
    if (patience.allows(bytes, now) || this.#isAnswerWhole) return;
    this.#guest.unwanted("soon");
    this.#giveUp(
      "the client kept the plugin waiting for too long: ten times its limits.deadline, and 2 ms for each byte",
    );
  }

  #giveUp(sentence: string): void {
    if (this.#sink === undefined) this.#reply(408, sentence);
    else this.#sink.giveUp(sentence);
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
    if (!this.#isAnswered) {
      const sentence = `${this.#plugin} ended without an answer: response-outparam.set takes a response, or an error`;
      this.#fail(500, sentence, this.#guest.counters.calls > 1 ? oneRequestHint : "");
    } else this.#body?.abandon();
    this.#feed.unwanted();
    this.#ended();
  }

  /** A guest that is gone has told its stream. */
  #failed(error: unknown): void {
    this.#call = "over";
    this.#body?.close();
    if (!(error instanceof PluginError)) this.#fail(500, `${this.#plugin} failed`);
    this.#feed.unwanted();
    this.#ended();
  }

  get #plugin(): string {
    return `plugin '${this.#guest.host.program.name}'`;
  }

  get #isAnswerWhole(): boolean {
    return this.#isAnswered && (this.#sink === undefined || this.#body === undefined || this.#body.isWhole);
  }

  /** The guest answers nothing that could be sent: the client gets the sentence, and the plugin's log has it. */
  #fail(status: number, sentence: string, hint = ""): void {
    if (this.#isAnswered) return;
    this.#isBroken = true;
    this.#warn(`${sentence} (the client got ${status})${hint}`);
    this.#reply(status, sentence);
  }

  /** As `#fail`, of an answer that has begun. */
  #cutOff(sentence: string): void {
    if (this.#isEnded || this.#sink === undefined) return;
    this.#isBroken = true;
    this.#warn(`${sentence} (the client was cut off)`);
    this.#sink.reset(sentence);
  }

  #warn(sentence: string): void {
    this.#guest.host.log("warn", `${requestName(this.#host)}: ${sentence}`);
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
