import type { AnswerSink, AnswerSource } from "../answer.ts";
import type {
  BodyBuffer,
  Caller,
  Direction,
  FilterAction,
  HeaderMap,
  LocalReply,
  PropertyValue,
  SettledAction,
  StreamFilter,
  StreamHost,
  StreamMap,
} from "../contract.ts";
import type { PluginError } from "../plugin-error.ts";

/** `left`: its client did not wait for the guest, which had not failed so far. */
export type StreamOutcome = "served" | "failed" | "left";

/** Told how a stream ended, and how long it took; no time for a connection, whose length is its client's affair. */
export type StreamEnded = (outcome: StreamOutcome, ms: number | undefined) => void;

/** Envoy's flag of a client that has gone, among those of `response.flags`. */
const clientGone = 0x4000n;
const flagsPath = ["response", "flags"];

/** Codes of gRPC that tell of a server's failure, as statuses of 500 and more do. */
const failedCalls: ReadonlySet<string> = new Set(["2", "4", "12", "13", "14", "15"]);

/**
 * A stream during a trial, between the data plane and the guest: passes everything on, and looks at how it ends. One that ends
 * while the guest holds it has failed, for whoever ended it waited for the guest; how long a client does that is its own affair.
 */
export class MeasuredStream implements StreamFilter, StreamHost {
  readonly #host: StreamHost;
  readonly #ended: StreamEnded;
  readonly #startedAt = performance.now();
  #filter: StreamFilter | undefined;
  #hasFailed = false;
  #isOver = false;
  /** What the guest was shown last: of which message, whether its head, and whether its end. */
  #shown: Direction = "request";
  #isHead = false;
  #isEnd = false;
  #isAnswered = false;
  /** Whether the guest keeps a message from going on of which it waits for nothing more. */
  #holdsRequest = false;
  #holdsResponse = false;
  #hasResponse = false;

  private constructor(host: StreamHost, ended: StreamEnded) {
    this.#host = host;
    this.#ended = ended;
  }

  /** Begins the stream where `pool` says; throws what it throws, and then nothing is measured. */
  static open(pool: { open(host: StreamHost): StreamFilter }, host: StreamHost, ended: StreamEnded): StreamFilter {
    const stream = new MeasuredStream(host, ended);
    stream.#filter = pool.open(stream);
    return stream;
  }

  requestHeaders(endOfStream: boolean): FilterAction {
    this.#show("request", true, endOfStream);
    return this.#callbackEnded(this.#filter?.requestHeaders(endOfStream) ?? "continue");
  }

  requestBody(endOfStream: boolean): FilterAction {
    this.#show("request", false, endOfStream);
    return this.#callbackEnded(this.#filter?.requestBody(endOfStream) ?? "continue");
  }

  requestTrailers(): FilterAction {
    this.#show("request", false, true);
    return this.#callbackEnded(this.#filter?.requestTrailers() ?? "continue");
  }

  responseHeaders(endOfStream: boolean): FilterAction {
    this.#hasResponse = true;
    this.#show("response", true, endOfStream);
    return this.#callbackEnded(this.#filter?.responseHeaders(endOfStream) ?? "continue");
  }

  responseBody(endOfStream: boolean): FilterAction {
    this.#show("response", false, endOfStream);
    return this.#callbackEnded(this.#filter?.responseBody(endOfStream) ?? "continue");
  }

  responseTrailers(): FilterAction {
    this.#show("response", false, true);
    return this.#callbackEnded(this.#filter?.responseTrailers() ?? "continue");
  }

  end(): void {
    try {
      this.#filter?.end();
    } finally {
      const isLeft = !this.#hasFailed && this.#isHeld && this.#isClientGone;
      if (this.#isHeld || this.#responseTellsOfFailure()) this.#hasFailed = true;
      this.#over(isLeft ? "left" : undefined);
    }
  }

  get caller(): Caller | undefined {
    return this.#host.caller;
  }

  headers(map: StreamMap): HeaderMap | undefined {
    return this.#host.headers(map);
  }

  body(direction: Direction): BodyBuffer | undefined {
    return this.#host.body(direction);
  }

  resume(direction: Direction): void {
    this.#hold(direction, false);
    this.#host.resume(direction);
  }

  settle(action: SettledAction): void {
    this.#callbackEnded(action);
    this.#host.settle(action);
  }

  respond(reply: LocalReply): void {
    this.#isAnswered = true;
    this.#holdsResponse = false;
    this.#hasResponse = true;
    if (reply.status >= 500 || failedCalls.has(String(reply.grpcStatus))) this.#hasFailed = true;
    this.#host.respond(reply);
  }

  reset(): void {
    this.#hasFailed = true;
    this.#host.reset();
  }

  failed(error: PluginError): void {
    this.#hasFailed = true;
    this.#host.failed(error);
    this.#over();
  }

  property(path: readonly string[]): PropertyValue | undefined {
    return this.#host.property(path);
  }

  setProperty(path: readonly string[], value: Uint8Array): boolean {
    return this.#host.setProperty(path, value);
  }

  clearRoute(): void {
    this.#host.clearRoute();
  }

  answer(source: AnswerSource): AnswerSink | undefined {
    const sink = this.#host.answer(source);
    if (sink === undefined) return undefined;
    return {
      head: (headers, endOfStream) => {
        // The stream may end within the call.
        this.#isAnswered = true;
        this.#hasResponse = true;
        sink.head(headers, endOfStream);
      },
      data: (chunk, endOfStream) => sink.data(chunk, endOfStream),
      trailers: (trailers) => sink.trailers(trailers),
      reset: (reason) => {
        this.#hasFailed = true;
        sink.reset(reason);
      },
      giveUp: (reason) => sink.giveUp(reason),
    };
  }

  #show(direction: Direction, isHead: boolean, isEnd: boolean): void {
    this.#shown = direction;
    this.#isHead = isHead;
    this.#isEnd = isEnd;
    this.#isAnswered = false;
  }

  #callbackEnded<Action extends FilterAction>(action: Action): Action {
    this.#hold(this.#shown, !this.#isAnswered && this.#keeps(action));
    return action;
  }

  /** Whether the guest, and not who sends the rest of the message, is waited for. */
  #keeps(action: FilterAction): boolean {
    switch (action) {
      case "continue":
        return false;
      case "suspended":
        return true;
      case "pause":
      case "buffer":
        return this.#isHead || this.#isEnd;
      default:
        return this.#isEnd;
    }
  }

  #hold(direction: Direction, isHeld: boolean): void {
    if (direction === "request") this.#holdsRequest = isHeld;
    else this.#holdsResponse = isHeld;
  }

  /** Whether the guest is what the client waits for; one that has a response waits for nothing of its request. */
  get #isHeld(): boolean {
    return this.#holdsResponse || (this.#holdsRequest && !this.#hasResponse);
  }

  get #isClientGone(): boolean {
    const flags = this.#host.property(flagsPath);
    return typeof flags === "bigint" && (flags & clientGone) !== 0n;
  }

  #responseTellsOfFailure(): boolean {
    const head = this.#host.headers("response-headers");
    if (Number(head?.get(":status") ?? 0) >= 500) return true;
    // A call without messages has its code in the head.
    const code = this.#host.headers("response-trailers")?.get("grpc-status") ?? head?.get("grpc-status");
    return code !== undefined && failedCalls.has(code);
  }

  #over(outcome: StreamOutcome = this.#hasFailed ? "failed" : "served"): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#ended(outcome, performance.now() - this.#startedAt);
  }
}
