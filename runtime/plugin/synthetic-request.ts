import type { AnswerSink } from "./answer.ts";
import type { HeaderMap, LocalReply, PluginProgram, StreamFilter, StreamHost, StreamMap } from "./contract.ts";
import { PluginError } from "./plugin-error.ts";

/** What takes streams: a pool of instances, or one of them. */
export interface StreamTaker {
  open(host: StreamHost): StreamFilter;
}

/**
 * A request without a body, as a probe would make it, and the answer of an upstream that has nothing to say. It has seen what a
 * filter does with it when the callback has ended that shows it, or, when it waits for more, what the filter does after a pause.
 */
export class SyntheticRequest implements StreamHost {
  readonly #request = new SyntheticHeaders([
    [":method", "GET"],
    [":scheme", "http"],
    [":authority", "localhost"],
    [":path", "/"],
    ["user-agent", "outrigger-warm-up"],
    ["accept", "*/*"],
  ]);
  readonly #response = new SyntheticHeaders([
    [":status", "200"],
    ["content-length", "0"],
  ]);
  readonly #waitsFor: "callbacks" | "resumption";
  #hasResponse = false;
  /** The guest has nothing more to do with what it was shown. */
  #isContinued = false;
  #isResumed = false;
  #isAnswered = false;
  #failure: PluginError | undefined;
  #settled = Promise.withResolvers<void>();
  /** The whole answer was given, or none will be. */
  readonly #ended = Promise.withResolvers<void>();

  constructor(waitsFor: "callbacks" | "resumption" = "callbacks") {
    this.#waitsFor = waitsFor;
  }

  /** Resolves to what failed; the request ends when a service has answered it, or when it is over, at the latest. */
  async run(taker: StreamTaker, kind: PluginProgram["kind"], over: AbortSignal): Promise<PluginError | undefined> {
    const stop = (): void => {
      this.#ended.resolve();
      this.settle("pause");
    };
    if (over.aborted) return undefined;
    over.addEventListener("abort", stop);
    try {
      return await this.#run(taker, kind);
    } finally {
      over.removeEventListener("abort", stop);
    }
  }

  async #run(taker: StreamTaker, kind: PluginProgram["kind"]): Promise<PluginError | undefined> {
    let filter: StreamFilter;
    try {
      filter = taker.open(this);
    } catch (error) {
      if (error instanceof PluginError) return error;
      throw error;
    }
    const passed = await this.#passes(() => filter.requestHeaders(true));
    if (passed && kind === "filter" && !this.#isAnswered) {
      this.#hasResponse = true;
      await this.#passes(() => filter.responseHeaders(true));
    }
    if (kind === "service" && !this.#isContinued) await this.#ended.promise;
    if (this.#failure === undefined) filter.end();
    return this.#failure;
  }

  headers(map: StreamMap): HeaderMap | undefined {
    if (map === "request-headers") return this.#request;
    return map === "response-headers" && this.#hasResponse ? this.#response : undefined;
  }

  body(): undefined {
    return undefined;
  }

  resume(): void {
    this.#isResumed = true;
    this.#goOn();
  }

  settle(action: string): void {
    this.#isContinued = action === "continue";
    if (!this.#isContinued) this.#isAnswered = true;
    this.#settled.resolve();
  }

  respond(_reply: LocalReply): void {
    this.reset();
  }

  reset(): void {
    this.#isAnswered = true;
    this.#goOn();
    this.#ended.resolve();
  }

  failed(error: PluginError): void {
    this.#failure ??= error;
    this.#settled.resolve();
    this.#ended.resolve();
  }

  property(): undefined {
    return undefined;
  }

  setProperty(): boolean {
    return true;
  }

  clearRoute(): void {}

  /** Takes the answer, and keeps nothing of it. */
  answer(): AnswerSink {
    this.#isAnswered = true;
    this.#goOn();
    const over = (): void => this.#ended.resolve();
    const end = (_part: unknown, endOfStream: boolean): void => {
      if (endOfStream) over();
    };
    return { head: end, data: end, trailers: over, reset: over, giveUp: over };
  }

  async #passes(show: () => string): Promise<boolean> {
    this.#settled = Promise.withResolvers<void>();
    this.#isResumed = false;
    const action = show();
    this.#isContinued = action === "continue";
    const isAwaited = action === "suspended" || (action === "pause" && this.#waitsFor === "resumption");
    if (isAwaited && this.#failure === undefined) await this.#settled.promise;
    return this.#failure === undefined && (action !== "pause" || this.#isResumed);
  }

  /** A callback that is suspended settles by itself. */
  #goOn(): void {
    if (this.#waitsFor === "resumption") this.#settled.resolve();
  }
}

type Field = readonly [name: string, value: string];

class SyntheticHeaders implements HeaderMap {
  #fields: readonly Field[];

  constructor(fields: readonly Field[]) {
    this.#fields = fields;
  }

  get size(): number {
    return this.#fields.length;
  }

  get(name: string): string | undefined {
    return this.#fields.find(([known]) => known === name)?.[1];
  }

  set(name: string, value: string): void {
    this.remove(name);
    this.add(name, value);
  }

  add(name: string, value: string): void {
    this.#fields = [...this.#fields, [name, value]];
  }

  remove(name: string): void {
    this.#fields = this.#fields.filter(([known]) => known !== name);
  }

  entries(): readonly Field[] {
    return this.#fields;
  }

  replaceAll(fields: readonly Field[]): void {
    this.#fields = [...fields];
  }
}
