import type { AnswerSink, AnswerSource } from "../plugin/answer.ts";
import type {
  BodyBuffer,
  Caller,
  Direction,
  FilterAction,
  HeaderMap,
  LocalReply,
  PluginUse,
  PropertyValue,
  SettledAction,
  StreamFilter,
  StreamHost,
  StreamMap,
} from "../plugin/contract.ts";
import { PluginError } from "../plugin/plugin-error.ts";
import { attributeOf } from "./attributes.ts";
import type { ChunkedBody } from "./body-buffer.ts";
import { noBytes } from "./exchange.ts";
import {
  gathers,
  type Half,
  hasRoom,
  isFull,
  keepBody,
  newHalf,
  nextStep,
  restoreBody,
  type Step,
  showBody,
  showHead,
} from "./half.ts";
import type { HeaderList } from "./headers.ts";
import type { PluginAnswer } from "./plugin-answer.ts";
import type { Stream } from "./stream.ts";

/** What a slot needs of the chain it sits in. */
export interface SlotChain {
  readonly stream: Stream;
  readonly maxBufferBytes: number;
  /** The direction is over: nothing of it is shown or passed on any more. */
  closed(direction: Direction): boolean;
  passHead(slot: FilterSlot, direction: Direction, endOfStream: boolean): void;
  passData(slot: FilterSlot, direction: Direction, chunk: Uint8Array, endOfStream: boolean): void;
  passTrailers(slot: FilterSlot, direction: Direction): void;
  bodyChanged(direction: Direction): void;
  hold(direction: Direction): void;
  release(direction: Direction): void;
  overflowed(slot: FilterSlot, direction: Direction): void;
  /** False when it is too late for a reply. */
  respond(slot: FilterSlot, reply: LocalReply): boolean;
  resetBy(slot: FilterSlot): void;
  failedClosed(slot: FilterSlot, error: PluginError): void;
  failedOpen(slot: FilterSlot, error: PluginError): void;
  /** The destination is to be chosen anew before the request goes there. */
  clearRoute(): void;
  /** Undefined when it is too late for an answer. */
  answerBy(slot: FilterSlot, source: AnswerSource): PluginAnswer | undefined;
}

/** A use that is looked up when a request comes to it; rejects with PluginError when there is none. */
export type LateUse = () => PluginUse | Promise<PluginUse>;

/** What a plugin of kind service fills while it takes the request. */
export interface ServiceAnswer {
  readonly headers: HeaderList;
  readonly body: ChunkedBody;
}

/**
 * One filter on one exchange: keeps what its callbacks have not let pass, and is the host that the guest reaches. What the
 * guest asks for in the middle of a callback is done when that callback has ended.
 */
export class FilterSlot implements StreamHost {
  readonly index: number;
  /** Of a service only. */
  readonly filled: ServiceAnswer | undefined;
  readonly #chain: SlotChain;
  readonly #source: PluginUse | LateUse;
  #use: PluginUse | undefined;
  #filter: StreamFilter | undefined;
  /** `opening` and `suspended` wait for somebody else; nothing is shown meanwhile, as during `running`. */
  #phase: "new" | "opening" | "idle" | "running" | "suspended" | "bypassed" | "ended" = "new";
  #shown: { readonly half: Half; readonly step: Step } | undefined;
  readonly #request = newHalf("request");
  readonly #response = newHalf("response");
  /** What the service gives piece by piece. */
  #answer: PluginAnswer | undefined;
  #reply: LocalReply | undefined;
  #resetWanted = false;
  #failure: PluginError | undefined;

  constructor(index: number, chain: SlotChain, source: PluginUse | LateUse, filled?: ServiceAnswer) {
    this.index = index;
    this.#chain = chain;
    this.#source = source;
    this.filled = filled;
  }

  /** Name of the plugin; empty as long as it is not known. */
  get plugin(): string {
    return this.#use?.plugin ?? "";
  }

  arriveHead(direction: Direction, endOfStream: boolean): void {
    const half = this.#half(direction);
    half.head = "arrived";
    half.headOnly = endOfStream;
    if (endOfStream) half.end = "arrived";
    this.#pump(half);
  }

  arriveData(direction: Direction, chunk: Uint8Array, endOfStream: boolean): void {
    const half = this.#half(direction);
    half.incoming.append(chunk);
    if (endOfStream) half.end = "arrived";
    this.#pump(half);
    if (half.incoming.length > 0 || half.hold !== undefined) this.#throttle(half);
  }

  arriveTrailers(direction: Direction): void {
    const half = this.#half(direction);
    half.trailers = "arrived";
    this.#pump(half);
  }

  /** The exchange is over, whatever happened. */
  end(): void {
    const alive = this.#phase === "idle" || this.#phase === "running" || this.#phase === "suspended";
    if (alive) {
      try {
        this.#filter?.end();
      } catch (error) {
        this.#chain.failedOpen(this, asPluginError(error, this.plugin, "threw when its stream ended"));
      }
    }
    this.#phase = "ended";
    this.#filter = undefined;
    for (const half of [this.#request, this.#response]) {
      half.body.clear();
      half.kept = undefined;
      half.incoming.clear();
    }
  }

  /** Maps and attributes stay readable after the end: a guest that suspends logs when its turn comes. */
  headers(map: StreamMap): HeaderMap | undefined {
    const { stream } = this.#chain;
    switch (map) {
      case "request-headers":
        return stream.request;
      case "request-trailers":
        return this.#request.trailers === "awaited" ? undefined : stream.requestTrailers;
      case "response-headers":
        if (this.filled !== undefined) return stream.response ?? this.filled.headers;
        return this.#responseVisible() ? stream.response : undefined;
      case "response-trailers":
        return this.#responseVisible() && this.#response.trailers !== "awaited" ? stream.responseTrailers : undefined;
    }
  }

  body(direction: Direction): BodyBuffer | undefined {
    if (this.#phase === "ended") return undefined;
    if (direction === "response" && this.filled !== undefined) return this.filled.body;
    const half = this.#half(direction);
    const visible = (this.#shown?.half === half && this.#shown.step === "body") || half.hold === "body";
    return visible ? half.body : undefined;
  }

  resume(direction: Direction): void {
    const half = this.#half(direction);
    if (this.#phase === "running" || this.#phase === "suspended") half.resumed = true;
    else if (this.#phase === "idle") this.#release(half);
  }

  settle(action: SettledAction): void {
    if (this.#phase !== "suspended") return;
    this.#finish(action);
    this.#pump(this.#request);
    this.#pump(this.#response);
  }

  respond(reply: LocalReply): void {
    // The body may be a view of the guest's memory.
    const kept = { ...reply, body: Uint8Array.from(reply.body) };
    if (this.#phase === "running" || this.#phase === "suspended") this.#reply ??= kept;
    else if (this.#phase === "idle") this.#chain.respond(this, kept);
  }

  reset(): void {
    if (this.#phase === "running" || this.#phase === "suspended") this.#resetWanted = true;
    else if (this.#phase === "idle") this.#chain.resetBy(this);
  }

  failed(error: PluginError): void {
    if (this.#phase === "running") this.#failure ??= error;
    else if (this.#phase === "idle" || this.#phase === "suspended") this.#fail(error);
  }

  property(path: readonly string[]): PropertyValue | undefined {
    return attributeOf(this.#chain.stream, path);
  }

  setProperty(path: readonly string[], value: Uint8Array): boolean {
    return this.#chain.stream.keep(path, value);
  }

  get caller(): Caller | undefined {
    return this.#chain.stream.caller;
  }

  clearRoute(): void {
    this.#chain.clearRoute();
  }

  answer(source: AnswerSource): AnswerSink | undefined {
    const isAlive = this.#phase === "idle" || this.#phase === "running" || this.#phase === "suspended";
    if (!isAlive || this.filled === undefined) return undefined;
    this.#answer = this.#chain.answerBy(this, source);
    return this.#answer;
  }

  #half(direction: Direction): Half {
    return direction === "request" ? this.#request : this.#response;
  }

  #responseVisible(): boolean {
    return this.#response.head !== "awaited" || this.#chain.closed("response");
  }

  /** Shows the filter what it may be shown now, and passes on what it lets go. */
  #pump(half: Half): void {
    while (!this.#chain.closed(half.direction)) {
      if (this.#skips(half)) {
        this.#passAll(half);
        break;
      }
      if (this.#phase === "new") {
        this.#open();
        continue;
      }
      const step = this.#phase === "idle" ? nextStep(half) : undefined;
      if (step === undefined) break;
      this.#show(half, step);
    }
    this.#unthrottle(half);
  }

  #skips(half: Half): boolean {
    if (this.#phase === "bypassed") return true;
    // A service has no part in its response, nor has a filter in that of a request it never saw.
    return half === this.#response && (this.filled !== undefined || this.#phase === "new");
  }

  #open(): void {
    const use = typeof this.#source === "function" ? this.#source() : this.#source;
    if (!(use instanceof Promise)) {
      this.#openOn(use);
      return;
    }
    this.#phase = "opening";
    use.then(
      (found) => this.#opened(found),
      (error: unknown) => this.#fail(asPluginError(error, "", "could not be found")),
    );
  }

  #opened(use: PluginUse): void {
    if (this.#phase !== "opening") return;
    this.#openOn(use);
    this.#pump(this.#request);
    this.#pump(this.#response);
  }

  #openOn(use: PluginUse): void {
    this.#use = use;
    this.#phase = "running";
    try {
      this.#filter = use.open(this);
      if (this.#phase === "running") this.#phase = "idle";
    } catch (error) {
      this.#fail(asPluginError(error, use.plugin, "could not begin a stream"));
      return;
    }
    // A guest may answer, or die, while its context is made.
    this.#doWanted();
  }

  #show(half: Half, step: Step): void {
    const filter = this.#filter;
    if (filter === undefined) return;
    this.#phase = "running";
    this.#shown = { half, step };
    let action: FilterAction = "continue";
    try {
      action = half.direction === "request" ? this.#showRequest(filter, step) : this.#showResponse(filter, step);
    } catch (error) {
      this.#failure ??= asPluginError(error, this.plugin, "threw in a callback");
    }
    if (action === "suspended" && this.#failure === undefined && this.#phase === "running") this.#phase = "suspended";
    else this.#finish(action === "suspended" ? "continue" : action);
  }

  #showRequest(filter: StreamFilter, step: Step): FilterAction {
    const half = this.#request;
    if (step === "headers") return filter.requestHeaders(showHead(half));
    if (step === "trailers") half.trailers = "shown";
    return step === "body" ? filter.requestBody(showBody(half)) : filter.requestTrailers();
  }

  #showResponse(filter: StreamFilter, step: Step): FilterAction {
    const half = this.#response;
    if (step === "headers") return filter.responseHeaders(showHead(half));
    if (step === "trailers") half.trailers = "shown";
    return step === "body" ? filter.responseBody(showBody(half)) : filter.responseTrailers();
  }

  /** A callback ended. */
  #finish(action: SettledAction): void {
    const shown = this.#shown;
    this.#shown = undefined;
    // An answer that is whole ends the stream, and may do so in the middle of a callback.
    if (this.#phase === "ended") return;
    this.#phase = "idle";
    const answered = this.#reply !== undefined;
    if (this.#doWanted() || shown === undefined) return;
    if (answered && action !== "continue") {
      // Too late for its answer, and what it wanted to stop must not go on either.
      this.#chain.resetBy(this);
      return;
    }
    const { half, step } = shown;
    const { resumed } = half;
    half.resumed = false;
    const other = half === this.#request ? this.#response : this.#request;
    if (!this.#chain.closed(half.direction)) {
      if (action === "continue" || resumed) this.#letPass(half, step);
      else this.#keep(half, step, action);
    }
    if (!other.resumed) return;
    other.resumed = false;
    this.#release(other);
  }

  /** Does what the guest, or its end, asked for during a callback; whether that decides the exchange. */
  #doWanted(): boolean {
    const failure = this.#failure;
    const reply = this.#reply;
    this.#reply = undefined;
    if (failure !== undefined) this.#fail(failure);
    else if (this.#resetWanted) this.#chain.resetBy(this);
    else return reply !== undefined && this.#chain.respond(this, reply);
    return true;
  }

  #keep(half: Half, step: Step, action: SettledAction): void {
    half.hold = step;
    if (step === "headers") half.headAction = action;
    else if (action === "watermark") keepBody(half);
    else restoreBody(half);
    this.#throttle(half);
  }

  #letPass(half: Half, step: Step): void {
    half.hold = undefined;
    if (half.head !== "passed") this.#passHead(half);
    if (step === "headers") return;
    this.#passBody(half);
    if (step === "trailers") this.#passTrailers(half);
  }

  #release(half: Half): void {
    if (half.hold === undefined || this.#chain.closed(half.direction)) return;
    this.#letPass(half, half.hold);
    this.#pump(half);
  }

  #passHead(half: Half): void {
    half.head = "passed";
    if (half.headOnly) half.end = "passed";
    this.#chain.passHead(this, half.direction, half.headOnly);
  }

  /** Passes on what was shown of the body, and its end when that was shown. */
  #passBody(half: Half): void {
    restoreBody(half);
    const ends = half.end === "shown";
    if (ends) half.end = "passed";
    if (half.body.changed) this.#chain.bodyChanged(half.direction);
    const chunks = half.body.take();
    let left = chunks.length;
    for (const chunk of chunks) {
      left -= 1;
      this.#chain.passData(this, half.direction, chunk, ends && left === 0);
    }
    if (ends && chunks.length === 0) this.#chain.passData(this, half.direction, noBytes, true);
  }

  #passTrailers(half: Half): void {
    half.trailers = "passed";
    this.#chain.passTrailers(this, half.direction);
  }

  /** Passes on whatever is here as if there were no filter. */
  #passAll(half: Half): void {
    if (half.head === "awaited") return;
    half.hold = undefined;
    if (half.head !== "passed") this.#passHead(half);
    showBody(half);
    this.#passBody(half);
    if (half.trailers === "arrived" || half.trailers === "shown") this.#passTrailers(half);
  }

  /** Holds the source back where much waits here; ends the exchange where more does than may. */
  #throttle(half: Half): void {
    if (this.#chain.closed(half.direction)) return;
    const { maxBufferBytes } = this.#chain;
    const gathered = gathers(half) ? half.incoming.length : half.body.length;
    if (gathered > maxBufferBytes && half.hold !== undefined) this.#chain.overflowed(this, half.direction);
    else if (!half.throttled && isFull(half, maxBufferBytes)) {
      half.throttled = true;
      this.#chain.hold(half.direction);
    }
  }

  #unthrottle(half: Half): void {
    if (!half.throttled || !(hasRoom(half, this.#chain.maxBufferBytes) || this.#chain.closed(half.direction))) return;
    half.throttled = false;
    this.#chain.release(half.direction);
  }

  /** The plugin is out of this exchange; its fail policy decides how the exchange goes on. */
  #fail(error: PluginError): void {
    if (this.#phase === "ended" || this.#phase === "bypassed") return;
    this.#phase = "bypassed";
    this.#filter = undefined;
    this.#shown = undefined;
    // A service that has given its whole answer may still have been at work.
    if (this.#answer?.isOver === true) {
      this.#chain.failedOpen(this, error);
      return;
    }
    if (this.filled !== undefined || this.#use?.fail !== "open") {
      this.#chain.failedClosed(this, error);
      return;
    }
    this.#chain.failedOpen(this, error);
    this.#pump(this.#request);
    this.#pump(this.#response);
  }
}

function asPluginError(error: unknown, plugin: string, what: string): PluginError {
  if (error instanceof PluginError) return error;
  return new PluginError(plugin, "", "trap", `plugin '${plugin}' ${what}: ${String(error)}`, { cause: error });
}
