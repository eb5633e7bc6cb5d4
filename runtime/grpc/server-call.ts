import { RuntimeError } from "../../components/error.ts";
import { errorCode } from "../http2/error-code.ts";
import type { Http2Stream, StreamReceiver } from "../http2/stream-contract.ts";
import { type ContextOwner, ServedCallContext } from "./call-context.ts";
import { answered, cancelled, deadlineExceeded } from "./call-end.ts";
import type { Era } from "./calls-in-flight.ts";
import { decompress } from "./compression.ts";
import type { Deadline, Expiring } from "./deadlines.ts";
import { MessageReader, type MessageSink } from "./message-reader.ts";
import type { Pairs } from "./metadata-fields.ts";
import type { RequestHead } from "./request-head.ts";
import { RequestQueue } from "./request-queue.ts";
import {
  failedAtOnce,
  failedTrailers,
  headWith,
  metadataFields,
  okHead,
  okTrailers,
  okTrailersWith,
} from "./response-sections.ts";
import type { ServedMethod } from "./served-method.ts";
import type { Handler, ResponseStream } from "./service.ts";
import { asRuntimeError, failedStatus } from "./status.ts";
import { statusCode } from "./status-code.ts";

/** A caller's own timer runs ahead of ours by the way of the request, which is not known: about this much. */
const timerLeadMs = (timeoutMs: number): number => 2 + Math.min(timeoutMs / 20, 50);
const taken = Promise.resolve();

/**
 * One call, from its head to its trailers: reads the requests, runs the handler, sends what it answers, and ends early when
 * the caller gives up or the deadline passes. bench:grpc keeps it honest.
 */
export class ServerCall implements StreamReceiver, MessageSink, Expiring, ContextOwner {
  readonly #method: ServedMethod;
  readonly #stream: Http2Stream;
  readonly #head: RequestHead;
  readonly #context: ServedCallContext;
  readonly #reader: MessageReader;
  readonly #beganAtMs: number;
  #deadline: Deadline | undefined = undefined;
  /** The request of a method that takes one. */
  #request: Buffer | undefined = undefined;
  #isCompressed = false;
  /** The requests of a method that takes a stream. */
  #requests: RequestQueue | undefined = undefined;
  /** While responses wait for the peer's window. */
  #untilDrained: PromiseWithResolvers<void> | undefined = undefined;
  #trailing: readonly string[] | undefined = undefined;
  #isBlocked = false;
  #isHeadSent = false;
  #isOver = false;
  #era: Era | undefined = undefined;
  /** Why it ended, when it was not by its own answer. */
  #end: RuntimeError | undefined = undefined;

  constructor(method: ServedMethod, stream: Http2Stream, head: RequestHead) {
    const { together } = method;
    const now = performance.now();
    this.#method = method;
    this.#stream = stream;
    this.#head = head;
    this.#beganAtMs = now;
    this.#context = new ServedCallContext(this, stream, head, now, together.appId, together.log);
    this.#reader = new MessageReader(together.maxMessageBytes, this);
  }

  /** Begins after the head; `endStream` when nothing follows it. */
  begin(endStream: boolean): void {
    const { handler, together, takesStream } = this.#method;
    const { timeoutMs } = this.#head;
    if (timeoutMs >= 0) this.#deadline = together.deadlines.keep(this, timeoutMs, this.#beganAtMs);
    if (handler.kind === "bidi") together.conversations.add(this);
    else this.#era = together.calls.began();
    if (takesStream) {
      this.#requests = new RequestQueue(this.#stream, (flag, bytes) => this.#decode(flag === 1, bytes));
      this.#serve();
    }
    if (endStream) this.#requested();
  }

  headers(): void {
    // A server hears the head of a request before there is a call.
  }

  data(bytes: Buffer, start: number, end: number, endStream: boolean): void {
    if (this.#isOver) return;
    try {
      if (start < end) this.#reader.push(bytes, start, end);
    } catch (error) {
      this.end(asRuntimeError(error));
      return;
    }
    if (endStream && !this.#isOver) this.#requested();
  }

  trailers(): void {
    if (!this.#isOver) this.#requested();
  }

  fault(): void {
    const { timeoutMs } = this.#head;
    const isLate = timeoutMs >= 0 && performance.now() - this.#beganAtMs + timerLeadMs(timeoutMs) >= timeoutMs;
    if (!this.#isOver) this.end(isLate ? deadlineExceeded() : cancelled());
  }

  drained(): void {
    this.#isBlocked = false;
    this.#untilDrained?.resolve();
    this.#untilDrained = undefined;
  }

  message(flag: number, bytes: Buffer, start: number, end: number): boolean {
    if (this.#isOver) return false;
    const message = bytes.subarray(start, end);
    if (this.#requests !== undefined) {
      this.#requests.push(flag, message);
      return true;
    }
    if (this.#request !== undefined) {
      this.end(wrongCount(`more than one request came for ${this.#method.path}, which takes one`));
      return false;
    }
    this.#request = message;
    this.#isCompressed = flag === 1;
    return true;
  }

  expire(): void {
    this.#deadline = undefined;
    this.end(deadlineExceeded());
  }

  /** Ends the call from outside, whatever its handler does. Without effect once it has been answered. */
  end(reason: RuntimeError): void {
    if (this.#isOver) return;
    this.#end = reason;
    this.#context.abort(reason);
    // A status would wait behind what the caller does not read.
    if (this.#isBlocked) this.#breakOff(reason);
    else this.#fail(reason);
  }

  sendMetadata(pairs: Pairs): void {
    if (this.#isHeadSent || this.#isOver) return;
    const head = headWith(pairs);
    this.#isHeadSent = true;
    this.#stream.sendHeaders(head, false);
  }

  setTrailingMetadata(pairs: Pairs): void {
    this.#trailing = metadataFields(pairs);
  }

  /** The caller has said all it has to say. */
  #requested(): void {
    if (this.#reader.isAmid) {
      this.end(new RuntimeError("INTERNAL", "MESSAGE_TRUNCATED", "the request ends within a message"));
    } else if (this.#requests !== undefined) this.#requests.end();
    else if (this.#request === undefined) this.end(wrongCount(`no request came for ${this.#method.path}`));
    else this.#serve();
  }

  /** Runs the handler. Reactions in place of `await`: an async function of this size would cost more than the engine. */
  #serve(): void {
    try {
      const { handler } = this.#method;
      if (handler.kind === "unary" && !this.#isCompressed) {
        handler.handle(this.#only(), this.#context).then(
          (response) => this.#answer(response),
          (error: unknown) => this.#failed(error),
        );
      } else void this.#serveOther(handler).catch((error: unknown) => this.#failed(error));
    } catch (error) {
      this.#failed(error);
    }
  }

  async #serveOther(handler: Handler): Promise<void> {
    switch (handler.kind) {
      case "unary":
        this.#answer(await handler.handle(await this.#only(), this.#context));
        break;
      case "server-stream":
        await handler.handle(await this.#only(), this.#responses());
        this.#complete();
        break;
      case "client-stream":
        this.#answer(await handler.handle(this.#requestsRead(), this.#context));
        break;
      case "bidi":
        await handler.handle({ ...this.#responses(), requests: this.#requestsRead() });
        this.#complete();
        break;
    }
  }

  /** The one request, decoded; a promise of it when it is compressed. */
  #only(): unknown {
    const bytes = this.#request ?? noBytes;
    this.#request = undefined;
    return this.#decode(this.#isCompressed, bytes);
  }

  #requestsRead(): RequestQueue {
    this.#requests ??= new RequestQueue(this.#stream, (flag, bytes) => this.#decode(flag === 1, bytes));
    return this.#requests;
  }

  #decode(isCompressed: boolean, bytes: Buffer): unknown {
    const { codec, together } = this.#method;
    if (!isCompressed) return codec.decode(bytes);
    return decompress(bytes, this.#head.encoding, together.maxMessageBytes).then((plain) => codec.decode(plain));
  }

  #responses(): ResponseStream<unknown> {
    return {
      call: this.#context,
      draining: this.#method.together.draining,
      write: (response) => this.#write(response),
    };
  }

  #write(response: unknown): Promise<void> {
    if (this.#isOver) return Promise.reject(this.#end ?? answered());
    try {
      const bytes = this.#method.codec.encode(response);
      this.#sendHead();
      if (this.#stream.sendMessage(0, bytes, false)) return taken;
    } catch (error) {
      return Promise.reject(error);
    }
    this.#isBlocked = true;
    if (this.#untilDrained === undefined) {
      this.#untilDrained = Promise.withResolvers();
      // A handler need not wait for what it writes last.
      this.#untilDrained.promise.catch(() => undefined);
    }
    return this.#untilDrained.promise;
  }

  #answer(response: unknown): void {
    if (this.#isOver) return;
    try {
      const bytes = this.#method.codec.encode(response);
      this.#sendHead();
      if (!this.#stream.sendMessage(0, bytes, false)) this.#isBlocked = true;
      this.#complete();
    } catch (error) {
      this.#failed(error);
    }
  }

  #complete(): void {
    if (this.#isOver) return;
    this.#sendHead();
    this.#close(statusCode.OK);
    this.#stream.sendHeaders(this.#trailing === undefined ? okTrailers : okTrailersWith(this.#trailing), true);
    this.#leave();
  }

  #fail(error: unknown): void {
    const status = failedStatus(error);
    this.#close(status.code);
    const section = this.#isHeadSent ? failedTrailers : failedAtOnce;
    this.#stream.sendHeaders(section(status, this.#trailing), true);
    this.#leave();
  }

  #breakOff({ code }: RuntimeError): void {
    this.#close(statusCode[code]);
    this.#stream.reset(errorCode.CANCEL);
  }

  #sendHead(): void {
    if (this.#isHeadSent) return;
    this.#isHeadSent = true;
    this.#stream.sendHeaders(okHead, false);
  }

  /** Nothing that is left of the call may wait. */
  #close(code: number): void {
    const { meter, together, handler } = this.#method;
    this.#isOver = true;
    meter.observe(code, performance.now() - this.#beganAtMs);
    if (this.#deadline !== undefined) together.deadlines.drop(this.#deadline);
    if (handler.kind === "bidi") together.conversations.delete(this);
    else if (this.#era !== undefined) together.calls.ended(this.#era);
    if (this.#requests === undefined && this.#untilDrained === undefined) return;
    const reason = this.#end ?? answered();
    this.#requests?.fail(reason);
    this.#untilDrained?.reject(reason);
    this.#untilDrained = undefined;
  }

  /** The caller need not go on when it has its answer (RFC 9113, section 8.1). */
  #leave(): void {
    const stream = this.#stream;
    if (!stream.isOpen || stream.isReceived) return;
    stream.resume();
    // A reset would drop what waits for the window.
    if (!this.#isBlocked) stream.reset(errorCode.NO_ERROR);
  }

  /** The handler failed, or what it answered cannot be sent. */
  #failed(error: unknown): void {
    if (this.#isOver) return;
    const { code, cause } = asRuntimeError(error);
    if (code === "INTERNAL" || code === "UNKNOWN") {
      const { together, path } = this.#method;
      together.log.error({ err: cause ?? error, method: path }, "a call failed");
    }
    this.#fail(error);
  }
}

const noBytes = Buffer.alloc(0);
const wrongCount = (text: string): RuntimeError => new RuntimeError("UNIMPLEMENTED", "REQUEST_COUNT", text);
