import type { HttpReceiver, HttpSender } from "../../plugin/uniform-api.ts";
import type { GuestHost } from "../provider.ts";
import type { BodyFlow, BodyTarget } from "./body-flow.ts";
import { type ErrorCode, errorCodeOf } from "./error-code.ts";
import type { Field } from "./fields.ts";
import { BodyFeed, type BodySource } from "./incoming-body.ts";
import { FutureIncomingResponse, IncomingResponse } from "./incoming-response.ts";
import type { OutgoingRequest, RequestOptions } from "./outgoing-request.ts";

const longestTimerMs = 2 ** 31 - 1;
const nanosecondsPerMs = 1_000_000n;

/** A request of a guest to an upstream, and its answer, both as they come. It ends with the call of the guest that made it. */
export class OutgoingCall implements HttpReceiver, BodySource {
  readonly future: FutureIncomingResponse;
  readonly #host: GuestHost;
  readonly #over: () => void;
  readonly #feed = new BodyFeed(this);
  /** Undefined until the head has gone. */
  #sender: HttpSender | undefined;
  readonly #body: BodyFlow | undefined;
  readonly #betweenBytesMs: number | undefined;
  #connecting: NodeJS.Timeout | undefined;
  #waiting: NodeJS.Timeout | undefined;
  #idle: NodeJS.Timeout | undefined;
  #hasHead = false;
  #isHeld = false;
  #isOver = false;
  #isTold = false;

  /** `over` is called once, when nothing more goes either way, and nothing of the answer waits for the guest. */
  constructor(
    host: GuestHost,
    upstream: string,
    request: OutgoingRequest,
    options: RequestOptions | undefined,
    over: () => void,
  ) {
    const { head, body } = request.message();
    this.#host = host;
    this.#over = over;
    this.#body = body?.flow;
    this.future = new FutureIncomingResponse(host, () => this.unwanted());
    this.#betweenBytesMs = msOf(options?.betweenBytesTimeout());
    // The guest runs on until it first waits: a body that it has finished by then without a byte is none, as clients of GET want it.
    queueMicrotask(() => this.#begin(upstream, head));
    const connectMs = msOf(options?.connectTimeout());
    const firstByteMs = msOf(options?.firstByteTimeout());
    if (connectMs !== undefined) this.#connecting = setTimeout(() => this.#connectLate(), connectMs);
    if (firstByteMs !== undefined) this.#waiting = setTimeout(() => this.#late("HTTP-response-timeout"), firstByteMs);
    host.atEnd(() => {
      this.unwanted();
      this.#feed.queue.dropped();
    });
  }

  #begin(upstream: string, head: readonly Field[]): void {
    if (this.#isOver) return;
    const hasNoBody = this.#body === undefined || this.#body.isEmpty;
    this.#sender = this.#host.services.api.http.request(upstream, head, hasNoBody, this);
    if (!hasNoBody) this.#body?.attach(new RequestTarget(this, this.#sender));
  }

  head(head: readonly Field[], endOfStream: boolean): void {
    if (this.#isOver) return;
    this.#hasHead = true;
    clearTimeout(this.#connecting);
    clearTimeout(this.#waiting);
    if (!endOfStream && this.#betweenBytesMs !== undefined)
      this.#idle = setTimeout(() => this.#late("connection-read-timeout"), this.#betweenBytesMs);
    this.future.settle({ tag: "ok", val: new IncomingResponse(this.#host, head, this.#feed) });
    if (endOfStream) this.#whole(undefined);
  }

  data(chunk: Uint8Array, endOfStream: boolean): void {
    if (this.#isOver) return;
    this.#feed.push(chunk);
    if (endOfStream) {
      this.#whole(undefined);
      return;
    }
    this.#idle?.refresh();
    if (!this.#feed.isFull || this.#isHeld) return;
    this.#isHeld = true;
    clearTimeout(this.#idle);
    this.#sender?.pause();
  }

  trailers(trailers: readonly Field[]): void {
    if (!this.#isOver) this.#whole(trailers);
  }

  failed(details: string, message: string): void {
    this.fail(errorCodeOf(details, message, this.#hasHead), message);
  }

  pause(): void {
    this.#body?.pause();
  }

  resume(): void {
    this.#body?.resume();
  }

  wantsMore(): void {
    if (!this.#isHeld || this.#isOver) return;
    this.#isHeld = false;
    this.#idle?.refresh();
    this.#sender?.resume();
  }

  unwanted(): void {
    if (this.#isOver) return;
    this.#sender?.cancel();
    this.fail({ tag: "connection-terminated" }, "the plugin let go of the request");
  }

  emptied(): void {
    if (!this.#isOver || this.#isTold) return;
    this.#isTold = true;
    this.#over();
  }

  /** No whole answer comes. */
  fail(code: ErrorCode, sentence: string): void {
    if (this.#isOver) return;
    this.#end();
    this.future.settle({ tag: "err", val: code });
    this.#feed.fail(code, sentence);
  }

  #whole(trailers: readonly Field[] | undefined): void {
    this.#end();
    this.#feed.finish(trailers);
  }

  #connectLate(): void {
    if (this.#sender?.isConnected !== true) this.#late("connection-timeout");
  }

  #late(tag: string): void {
    if (this.#isOver) return;
    this.#sender?.cancel();
    this.fail({ tag }, "the upstream took longer than the request allows");
  }

  #end(): void {
    this.#isOver = true;
    clearTimeout(this.#connecting);
    clearTimeout(this.#waiting);
    clearTimeout(this.#idle);
    this.#body?.close();
    if (this.#feed.queue.load === 0) this.emptied();
  }
}

/** Where the body of the request goes. */
class RequestTarget implements BodyTarget {
  readonly #call: OutgoingCall;
  readonly #sender: HttpSender;

  constructor(call: OutgoingCall, sender: HttpSender) {
    this.#call = call;
    this.#sender = sender;
  }

  data(chunk: Uint8Array, endOfStream: boolean): void {
    this.#sender.data(chunk, endOfStream);
  }

  trailers(trailers: readonly Field[]): void {
    this.#sender.trailers(trailers);
  }

  broken(reason: string): void {
    this.#sender.cancel();
    this.#call.fail({ tag: "HTTP-protocol-error" }, reason);
  }
}

function msOf(duration: bigint | undefined): number | undefined {
  return duration === undefined ? undefined : Math.min(Number(duration / nanosecondsPerMs), longestTimerMs);
}
