import { setImmediate } from "node:timers/promises";
import type { AnswerSink } from "../answer.ts";
import type { HeaderMap, LocalReply, StreamFilter, StreamHost, StreamMap } from "../contract.ts";
import type { Manifest } from "../manifest.ts";
import { PluginError } from "../plugin-error.ts";

/** What takes streams: a pool of instances. */
export interface StreamTaker {
  open(host: StreamHost): StreamFilter;
}

/** Failures that say something of the plugin, not of what it waits for. */
const telling: ReadonlySet<string> = new Set(["trap", "fuel", "memory", "budget"]);

export interface WarmUpTerms {
  /** How many, for each pool. */
  readonly requests: number;
  /** Ends it: it rejects with the reason. */
  readonly signal?: AbortSignal | undefined;
  /** Longest time that all of it may take; default 10 seconds. */
  readonly withinMs?: number;
}

const defaultWithinMs = 10_000;

/**
 * Gives each pool that many requests that nobody made, one after the other, so that its code and its caches are warm; between two
 * of them the event loop turns. What the pool does to them is ignored, unless it fails: then it rejects with PluginError, as when
 * its time is over.
 */
export async function warmUp(takers: Iterable<StreamTaker>, manifest: Manifest, terms: WarmUpTerms): Promise<void> {
  const { name, version, kind } = manifest;
  const { requests, signal, withinMs = defaultWithinMs } = terms;
  const time = AbortSignal.timeout(withinMs);
  const over = signal === undefined ? time : AbortSignal.any([time, signal]);
  for (const taker of takers) {
    for (let count = 0; count < requests; count++) {
      const error = await new SyntheticRequest().run(taker, kind, over);
      if (error !== undefined && telling.has(error.fault)) {
        const message = `plugin '${name}' cannot be deployed: it failed while it was warmed up: ${error.message}`;
        throw new PluginError(name, version, error.fault, message, { cause: error });
      }
      await setImmediate();
      signal?.throwIfAborted();
      if (!time.aborted) continue;
      const many = `rollout.warmUp of ${requests} requests for each configuration in use`;
      const message = `plugin '${name}' cannot be deployed: its ${many} takes more than ${withinMs / 1_000} s; ask for fewer`;
      throw new PluginError(name, version, "deadline", message);
    }
  }
}

/** A request without a body, as a probe would make it, and the answer of an upstream that has nothing to say. */
class SyntheticRequest implements StreamHost {
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
  #hasResponse = false;
  #isAnswered = false;
  #failure: PluginError | undefined;
  #settled = Promise.withResolvers<void>();

  /** Resolves to what failed; the request ends when it is over, at the latest. */
  async run(taker: StreamTaker, kind: Manifest["kind"], over: AbortSignal): Promise<PluginError | undefined> {
    const stop = (): void => this.settle("pause");
    over.addEventListener("abort", stop);
    try {
      return await this.#run(taker, kind);
    } finally {
      over.removeEventListener("abort", stop);
    }
  }

  async #run(taker: StreamTaker, kind: Manifest["kind"]): Promise<PluginError | undefined> {
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

  resume(): void {}

  settle(action: string): void {
    if (action !== "continue") this.#isAnswered = true;
    this.#settled.resolve();
  }

  respond(_reply: LocalReply): void {
    this.#isAnswered = true;
  }

  reset(): void {
    this.#isAnswered = true;
  }

  failed(error: PluginError): void {
    this.#failure ??= error;
    this.#settled.resolve();
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
    const end = (_part: unknown, endOfStream: boolean): void => {
      if (endOfStream) this.#ended();
    };
    const over = (): void => this.#ended();
    return { head: end, data: end, trailers: over, reset: over, giveUp: over };
  }

  #ended(): void {
    this.#settled.resolve();
  }

  async #passes(show: () => string): Promise<boolean> {
    this.#settled = Promise.withResolvers<void>();
    const action = show();
    if (action === "suspended" && this.#failure === undefined) await this.#settled.promise;
    return this.#failure === undefined && action !== "pause";
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
