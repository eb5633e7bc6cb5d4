import type { Placed } from "../http2/live-set.ts";
import type { AnswerSource } from "../plugin/answer.ts";
import type { Direction, LocalReply, PluginUse } from "../plugin/contract.ts";
import type { PluginError } from "../plugin/plugin-error.ts";
import { ChunkedBody } from "./body-buffer.ts";
import { type EndedChain, FromClient, FromTarget, ToClient, ToTarget } from "./chain-ends.ts";
import { type ChainLog, tellFailure } from "./chain-log.ts";
import { type Choice, changeDeadline, choiceFrom, type Target, wantsChoice } from "./choice.ts";
import type { Expiring } from "./deadline-queue.ts";
import {
  type Failure,
  type Handler,
  noBytes,
  type RequestSink,
  type ResponseFlag,
  type ResponseSink,
} from "./exchange.ts";
import {
  brokenHead,
  bufferExceeded,
  lengthChanged,
  pluginFailed,
  pluginNotFound,
  pluginReset,
  responseTimeout,
  tooLarge,
} from "./failures.ts";
import { FilterSlot, type ServiceAnswer, type SlotChain } from "./filter-slot.ts";
import { faultOfFields, faultOfRequest, faultOfResponse, HeaderList, statusOf } from "./headers.ts";
import { Hold } from "./hold.ts";
import { cleanTrailers } from "./hop-by-hop.ts";
import { formLocalReply, replyTo, sendDirect } from "./local-reply.ts";
import { Outlet } from "./outlet.ts";
import { AnsweringPlugin, PluginAnswer } from "./plugin-answer.ts";
import { serviceAnswer } from "./service-answer.ts";
import type { Stream } from "./stream.ts";

export interface FilterChainOptions {
  readonly stream: Stream;
  readonly choice: Choice;
  /** How many of the filters see requests before their route counts. */
  readonly unroutedFilters: number;
  /** Chooses by the head as it is now. */
  readonly choose: (() => Choice | Failure) | undefined;
  readonly client: ResponseSink;
  /** Most of a body that a filter may hold back; beyond it a request is answered 413, a response replaced by 500. */
  readonly maxBufferBytes: number;
  readonly maxBodyBytes: number | undefined;
  /** Name of the upstream whose own filters these are: a failure is passed on to the client as it is, who answers for it. */
  readonly upstream?: string;
  readonly log: ChainLog;
  /** Called once, last, after the filters have ended. */
  readonly finished: (chain: FilterChain) => void;
}

/**
 * Drives one exchange through its filters: the request in order to the target, the response in reverse to the client.
 * A local reply goes out through the filter that made it and those in front of it; once a response was on its way
 * through the filters and has not reached the client, it goes to the client at once.
 *
 * Filters of every route come first. When they changed the head, the route, and with it the other filters and the target, is
 * chosen by what they made of it. When a later one clears the route, the target is chosen anew, and no filter runs twice.
 */
export class FilterChain implements SlotChain, EndedChain, Placed, Expiring {
  readonly stream: Stream;
  readonly maxBufferBytes: number;
  /** What the listener pushes the rest of the request into. */
  readonly request: RequestSink;
  /** Kept by the set that it is in. */
  place = -1;
  expiresAtMs = 0;
  earlier: Expiring | undefined = undefined;
  later: Expiring | undefined = undefined;
  readonly #options: FilterChainOptions;
  readonly #slots: FilterSlot[];
  #choice: Choice;
  #handler: Handler;
  #routeCleared = false;
  readonly #toTarget: Outlet;
  readonly #toClient: Outlet;
  #target: RequestSink | undefined;
  /** Index of the last slot whose request head arrived. */
  #reached = -1;
  #requestArrived = false;
  #requestClosed = false;
  #response: "awaited" | "entered" | "sent" = "awaited";
  #responseFromTarget = true;
  #over = false;
  readonly #requestHold: Hold;
  readonly #responseHold: Hold;
  #targetHolds = false;
  #clientHolds = false;
  #quietSweeps = 0;

  constructor(options: FilterChainOptions) {
    this.#options = options;
    this.stream = options.stream;
    this.maxBufferBytes = options.maxBufferBytes;
    this.#choice = options.choice;
    this.#slots = options.choice.filters.map((use, index) => new FilterSlot(index, this, use));
    this.#handler = this.#handlerFor(options.choice.target);
    const filtered = this.#slots.length > 0;
    const toTarget = new ToTarget(this);
    this.#toTarget = new Outlet(toTarget, filtered);
    this.#toClient = new Outlet(new ToClient(this), filtered);
    this.#requestHold = new Hold(options.client);
    this.#responseHold = new Hold(toTarget);
    this.request = new FromClient(this);
  }

  /** Begins with the head of the request, `stream.request`. */
  start(endOfStream: boolean): void {
    if (endOfStream) this.#requestEnded();
    this.#forwardHead("request", -1, endOfStream);
  }

  /** Answers in place of the target, or resets the exchange when it is too late for that. */
  fail(failure: Failure): void {
    if (this.#over) return;
    this.#flag(failure.flag);
    this.#failAt(this.#reached, failure);
  }

  /** Called at intervals; returns how many have passed since anything moved. */
  sweep(): number {
    return this.#quietSweeps++;
  }

  closed(direction: Direction): boolean {
    return this.#over || (direction === "request" && this.#requestClosed);
  }

  passHead(slot: FilterSlot, direction: Direction, endOfStream: boolean): void {
    if (!this.closed(direction)) this.#forwardHead(direction, slot.index, endOfStream);
  }

  passData(slot: FilterSlot, direction: Direction, chunk: Uint8Array, endOfStream: boolean): void {
    if (!this.closed(direction)) this.#forwardData(direction, slot.index, chunk, endOfStream);
  }

  passTrailers(slot: FilterSlot, direction: Direction): void {
    if (!this.closed(direction)) this.#forwardTrailers(direction, slot.index);
  }

  clearRoute(): void {
    this.#routeCleared = true;
  }

  bodyChanged(direction: Direction): void {
    (direction === "request" ? this.#toTarget : this.#toClient).changed();
  }

  hold(direction: Direction): void {
    (direction === "request" ? this.#requestHold : this.#responseHold).add();
  }

  release(direction: Direction): void {
    (direction === "request" ? this.#requestHold : this.#responseHold).remove();
  }

  overflowed(slot: FilterSlot, direction: Direction): void {
    this.#failAt(slot.index, bufferExceeded(direction, this.maxBufferBytes, this.#options.upstream));
  }

  respond(slot: FilterSlot, reply: LocalReply): boolean {
    if (this.#over || this.#response === "sent") return false;
    this.stream.plugin = slot.plugin;
    return this.#reply(slot.index, { ...reply, details: reply.details === "" ? "plugin_response" : reply.details });
  }

  answerBy(slot: FilterSlot, source: AnswerSource): PluginAnswer | undefined {
    if (this.#ignoresTarget || this.#response !== "awaited" || this.#target !== undefined) return undefined;
    this.stream.plugin = slot.plugin;
    this.#target = new AnsweringPlugin(source);
    if (this.#responseHold.held) this.#target.pause();
    return new PluginAnswer(new FromTarget(this), this.stream.method);
  }

  resetBy(slot: FilterSlot): void {
    if (this.#over) return;
    this.stream.plugin = slot.plugin;
    this.#flag(pluginReset.flag);
    this.#abort(pluginReset);
  }

  failedClosed(slot: FilterSlot, error: PluginError): void {
    if (this.#over) return;
    this.#tell(slot, error);
    this.stream.plugin = slot.plugin || error.plugin;
    const unknown = error.fault === "missing" && slot.filled !== undefined && slot.plugin === "";
    this.#failAt(slot.index, unknown ? pluginNotFound : pluginFailed(this.stream.plugin, error));
  }

  failedOpen(slot: FilterSlot, error: PluginError): void {
    this.#tell(slot, error);
  }

  requestData(chunk: Uint8Array, endOfStream: boolean): void {
    if (this.closed("request")) return;
    this.#quietSweeps = 0;
    this.stream.bytesReceived += chunk.length;
    if (this.stream.bytesReceived > (this.#options.maxBodyBytes ?? Number.POSITIVE_INFINITY)) {
      this.fail(tooLarge(this.#options.maxBodyBytes));
      return;
    }
    if (endOfStream) this.#requestEnded();
    this.#forwardData("request", -1, chunk, endOfStream);
  }

  requestTrailers(trailers: HeaderList): void {
    if (this.closed("request")) return;
    this.#quietSweeps = 0;
    cleanTrailers(trailers);
    this.stream.requestTrailers = trailers;
    this.#requestEnded();
    this.#forwardTrailers("request", -1);
  }

  clientGone(): void {
    if (this.#over) return;
    this.#flag("DC");
    this.stream.details = "downstream_disconnect";
    this.#finish();
  }

  clientSlow(): void {
    if (this.#clientHolds || this.#over) return;
    this.#clientHolds = true;
    this.#responseHold.add();
  }

  clientReady(): void {
    if (!this.#clientHolds) return;
    this.#quietSweeps = 0;
    this.#clientHolds = false;
    this.#responseHold.remove();
  }

  #answered(): void {
    const { target } = this.#choice;
    this.stream.details = target.kind === "service" ? "via_plugin" : "via_upstream";
    if (target.kind === "service") this.stream.plugin = this.#slots.at(-1)?.plugin;
  }

  /** Nothing that the target says is heard any more. */
  get #ignoresTarget(): boolean {
    return this.#over || !this.#responseFromTarget;
  }

  /** Filters see final responses only. */
  responseInterim(headers: HeaderList): void {
    if (!this.#ignoresTarget && this.#response === "awaited") this.#options.client.interim?.(headers);
  }

  responseHead(headers: HeaderList, endOfStream: boolean): void {
    if (this.#ignoresTarget || this.#response !== "awaited") return;
    this.#quietSweeps = 0;
    this.#answered();
    this.#enterResponse(headers, this.#slots.length, endOfStream);
  }

  responseData(chunk: Uint8Array, endOfStream: boolean): void {
    if (this.#ignoresTarget) return;
    this.#quietSweeps = 0;
    this.#forwardData("response", this.#slots.length, chunk, endOfStream);
  }

  responseTrailers(trailers: HeaderList): void {
    if (this.#ignoresTarget) return;
    cleanTrailers(trailers);
    this.stream.responseTrailers = trailers;
    this.#forwardTrailers("response", this.#slots.length);
  }

  targetFailed(failure: Failure): void {
    if (!this.#ignoresTarget) this.fail(failure);
  }

  targetSlow(): void {
    if (this.#targetHolds || this.#ignoresTarget) return;
    this.#targetHolds = true;
    this.#requestHold.add();
  }

  targetReady(): void {
    if (!this.#targetHolds) return;
    this.#quietSweeps = 0;
    this.#targetHolds = false;
    this.#requestHold.remove();
  }

  #forwardHead(direction: Direction, from: number, endOfStream: boolean): void {
    if (direction === "request") {
      const { unroutedFilters } = this.#options;
      const isDue = wantsChoice(from + 1, unroutedFilters, this.stream, this.#choice, this.#routeCleared);
      if (isDue && !this.#route(from + 1)) return;
      const slot = this.#slots[from + 1];
      if (slot === undefined) this.#toTarget.head(this.stream.request, endOfStream);
      else {
        this.#reached = slot.index;
        slot.arriveHead("request", endOfStream);
      }
      return;
    }
    const slot = this.#slots[from - 1];
    if (slot !== undefined) slot.arriveHead("response", endOfStream);
    else if (this.stream.response !== undefined) this.#toClient.head(this.stream.response, endOfStream);
  }

  #forwardData(direction: Direction, from: number, chunk: Uint8Array, endOfStream: boolean): void {
    const slot = this.#slots[direction === "request" ? from + 1 : from - 1];
    if (slot !== undefined) slot.arriveData(direction, chunk, endOfStream);
    else if (direction === "request") this.#toTarget.data(chunk, endOfStream);
    else this.#toClient.data(chunk, endOfStream);
  }

  #forwardTrailers(direction: Direction, from: number): void {
    const slot = this.#slots[direction === "request" ? from + 1 : from - 1];
    const { requestTrailers, responseTrailers } = this.stream;
    if (slot !== undefined) slot.arriveTrailers(direction);
    else if (direction === "request" && requestTrailers !== undefined) this.#toTarget.trailers(requestTrailers);
    else if (direction === "response" && responseTrailers !== undefined) this.#toClient.trailers(responseTrailers);
  }

  /** Chooses anew what comes from this place on; false when that is a refusal. */
  #route(at: number): boolean {
    this.#routeCleared = false;
    const choice = this.#options.choose?.() ?? this.#choice;
    if ("status" in choice) {
      this.fail(choice);
      return false;
    }
    const { filters, target, deadlines } = this.#choice;
    if (this.#requestArrived) changeDeadline(this, deadlines, choice.deadlines);
    this.#choice = choiceFrom(at, this.#options.unroutedFilters, this.#choice, choice);
    const hasOtherFilters = this.#choice.filters !== filters;
    if (!hasOtherFilters && choice.target === target) return true;
    this.#slots.length = hasOtherFilters ? at : filters.length;
    if (hasOtherFilters) this.#addSlots(choice.filters.slice(at));
    this.#handler = this.#handlerFor(choice.target);
    return true;
  }

  /** A service is the last of the slots. */
  #handlerFor(target: Target): Handler {
    if (target.kind === "handler") return target.handler;
    const answer: ServiceAnswer = { headers: HeaderList.of([[":status", "200"]]), body: new ChunkedBody() };
    this.#slots.push(new FilterSlot(this.#slots.length, this, target.use, answer));
    return serviceAnswer(answer);
  }

  #addSlots(uses: readonly PluginUse[]): void {
    for (const use of uses) this.#slots.push(new FilterSlot(this.#slots.length, this, use));
  }

  sendRequestHead(headers: HeaderList, endOfStream: boolean): void {
    // A plugin answers already.
    if (this.#target !== undefined) return;
    const fault = headers.changed ? faultOfRequest(headers) : undefined;
    if (fault !== undefined) {
      this.fail(brokenHead("request", fault));
      return;
    }
    const target = this.#handler(headers, endOfStream, new FromTarget(this));
    this.#target = target;
    this.stream.upstream = target.facts;
    if (this.#over || !this.#responseFromTarget) target.reset();
    else if (this.#responseHold.held) target.pause();
  }

  sendRequestData(chunk: Uint8Array, endOfStream: boolean): void {
    this.#target?.data(chunk, endOfStream);
  }

  sendRequestTrailers(trailers: HeaderList): void {
    if (trailers.changed && faultOfFields(trailers) !== undefined) this.#target?.data(noBytes, true);
    else this.#target?.trailers(trailers);
  }

  requestMismatched(): void {
    this.fail(lengthChanged("request"));
  }

  holdTarget(): void {
    this.#target?.pause();
  }

  releaseTarget(): void {
    this.#target?.resume();
  }

  sendResponseHead(headers: HeaderList, endOfStream: boolean): void {
    const fault = headers.changed ? faultOfResponse(headers) : undefined;
    if (fault !== undefined) {
      this.fail(brokenHead("response", fault, this.#slots.length === 1 ? this.#slots[0]?.plugin : undefined));
      return;
    }
    this.#response = "sent";
    this.stream.status = statusOf(headers) ?? 0;
    this.#options.client.head(headers, endOfStream);
    if (endOfStream) this.#finish();
  }

  sendResponseData(chunk: Uint8Array, endOfStream: boolean): void {
    if (this.#over) return;
    this.stream.bytesSent += chunk.length;
    this.#options.client.data(chunk, endOfStream);
    if (endOfStream) this.#finish();
  }

  sendResponseTrailers(trailers: HeaderList): void {
    if (this.#over) return;
    const { client } = this.#options;
    if (trailers.changed && faultOfFields(trailers) !== undefined) client.data(noBytes, true);
    else client.trailers(trailers);
    this.#finish();
  }

  responseMismatched(): void {
    this.fail(lengthChanged("response"));
  }

  #failAt(index: number, failure: Failure): void {
    const isPassedOn = this.#options.upstream !== undefined;
    if (isPassedOn || !this.#reply(index, replyTo(failure))) this.#abort(failure);
  }

  /** Sends a local reply out from the slot at `from`; false when a response went out already. */
  #reply(from: number, reply: LocalReply): boolean {
    if (this.#over || this.#response === "sent") return false;
    const direct = this.#response === "entered";
    this.stream.details = reply.details;
    this.#closeRequest();
    const { head, body } = formLocalReply(this.stream.request, reply);
    const silent = body.length === 0 || this.stream.method === "HEAD";
    if (direct) {
      this.#response = "sent";
      sendDirect(this.stream, this.#options.client, head, silent ? undefined : body);
      this.#finish();
      return true;
    }
    this.#enterResponse(head, from + 1, silent);
    if (!silent) this.#forwardData("response", from + 1, body, true);
    return true;
  }

  #enterResponse(headers: HeaderList, from: number, endOfStream: boolean): void {
    this.#response = "entered";
    this.stream.response = headers;
    this.#forwardHead("response", from, endOfStream);
  }

  /** No more of the request is wanted, neither here nor at the target. */
  #closeRequest(): void {
    this.#requestClosed = true;
    this.#responseFromTarget = false;
    this.#target?.reset();
    this.#requestHold.end();
    this.#targetHolds = false;
  }

  #abort(failure: Failure): void {
    if (this.#over) return;
    this.stream.details = failure.details;
    this.#options.client.reset(failure);
    this.#finish();
  }

  #finish(): void {
    if (this.#over) return;
    this.#over = true;
    this.#choice.deadlines?.remove(this);
    // A no-op for a target that has sent all of its response and taken all of the request.
    this.#target?.reset();
    this.#requestHold.end();
    for (const slot of this.#slots) slot.end();
    this.#options.finished(this);
  }

  #requestEnded(): void {
    this.#requestArrived = true;
    if (!this.#over) this.#choice.deadlines?.add(this);
  }

  /** The response took too long. */
  expired(): void {
    this.fail(responseTimeout);
  }

  /** Whether the client has sent all of its request. */
  get requestArrived(): boolean {
    return this.#requestArrived;
  }

  #tell(slot: FilterSlot, error: PluginError): void {
    tellFailure(this.#options.log, slot.plugin, error, this.stream.requestId);
  }

  #flag(flag: ResponseFlag | undefined): void {
    if (flag !== undefined) this.stream.raise(flag);
  }
}
