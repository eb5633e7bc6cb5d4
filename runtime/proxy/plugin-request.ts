import type { PluginUse } from "../plugin/contract.ts";
import type { Log } from "../telemetry/log.ts";
import type { ChainLog } from "./chain-log.ts";
import { type Failure, inside, noBytes, type ResponseSink } from "./exchange.ts";
import { responseTimeout } from "./failures.ts";
import { FilterChain } from "./filter-chain.ts";
import { HeaderList, statusOf } from "./headers.ts";
import { Stream } from "./stream.ts";

/** A request that no client made. */
export interface PluginRequest {
  readonly path: string;
  /** With lower-case names, as they are on the wire; the length is added. */
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body: Uint8Array;
}

export interface PluginRequestTerms {
  /** Whom the request is for. */
  readonly authority: string;
  /** Longest time to the end of the answer. */
  readonly timeoutMs: number;
  /** Ends the request; the promise rejects with its reason. */
  readonly signal: AbortSignal;
  readonly log: Log;
}

/** What the plugin answered, or the proxy in its place. */
export interface PluginAnswer {
  readonly status: number;
  readonly headers: HeaderList;
  /** Cut off at 64 KiB. */
  readonly body: Uint8Array;
  /** How the answer came about, as in the access log: `plugin_response`, `via_plugin`, `response_timeout`. */
  readonly details: string;
  /** The plugin let the request pass, and filled nothing in. */
  readonly isBlank: boolean;
  /** Why the plugin failed over it, in a sentence; undefined when it did not. The log is not told: whoever asked has more to say. */
  readonly failure: string | undefined;
}

const maxAnswerBytes = 64 * 1024;
/** Brokers take messages that are as large; a plugin is shown the whole of one. */
const maxRequestBytes = 64 * 1024 ** 2;

/**
 * Posts a request to the service as if a client had, through the chain that requests of clients take, and collects the answer.
 * The plugin finds `sidecar` as the property `outrigger.origin`, which no client and no other plugin can bring about.
 * Rejects when the signal aborts, the plugin resets the stream, or its answer cannot be sent.
 */
export async function postToPlugin(
  use: PluginUse,
  { path, headers, body }: PluginRequest,
  { authority, timeoutMs, signal, log }: PluginRequestTerms,
): Promise<PluginAnswer> {
  signal.throwIfAborted();
  const head = HeaderList.of([
    [":method", "POST"],
    [":scheme", "http"],
    [":authority", authority],
    [":path", path],
    ["user-agent", "outrigger"],
    ...headers,
    ["content-length", String(body.length)],
  ]);
  const { promise, resolve, reject } = Promise.withResolvers<PluginAnswer>();
  const answer = new CollectedAnswer();
  const failures = new CollectedFailures(log);
  const stream = new Stream(inside, head, "");
  const chain = new FilterChain({
    stream,
    choice: { filters: [], target: { kind: "service", use }, deadlines: undefined },
    unroutedFilters: 0,
    choose: undefined,
    client: answer,
    maxBufferBytes: maxRequestBytes,
    maxBodyBytes: undefined,
    log: failures,
    finished: () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", abort);
      const { failure } = answer;
      if (signal.aborted) reject(signal.reason);
      else if (failure === undefined) resolve(answer.whole(stream.details, failures.last));
      else reject(new Error(`plugin '${use.plugin}' gave no answer to POST ${path}: ${failure.message}`));
    },
  });
  const timer = setTimeout(() => chain.fail(responseTimeout), timeoutMs);
  const abort = (): void => chain.request.reset();
  signal.addEventListener("abort", abort, { once: true });
  chain.start(body.length === 0);
  if (body.length > 0) chain.request.data(body, true);
  return promise;
}

class CollectedAnswer implements ResponseSink {
  readonly #chunks: Uint8Array[] = [];
  #length = 0;
  #headers = HeaderList.of();
  failure: Failure | undefined;

  head(headers: HeaderList): void {
    this.#headers = headers;
  }

  data(chunk: Uint8Array): void {
    const room = maxAnswerBytes - this.#length;
    if (room <= 0) return;
    // A chunk may be a view of what is written to later.
    const kept = Uint8Array.from(chunk.subarray(0, room));
    this.#chunks.push(kept);
    this.#length += kept.length;
  }

  trailers(): void {}

  reset(failure: Failure): void {
    this.failure = failure;
  }

  pause(): void {}

  resume(): void {}

  whole(details: string, failure: string | undefined): PluginAnswer {
    const headers = this.#headers;
    const status = statusOf(headers) ?? 0;
    const body = this.#chunks.length === 0 ? noBytes : Buffer.concat(this.#chunks, this.#length);
    const isUntouched = headers.entries().every(([name]) => name === ":status" || name === "content-length");
    const isBlank = details === "via_plugin" && status === 200 && body.length === 0 && isUntouched;
    return { status, headers, body, details, isBlank, failure };
  }
}

class CollectedFailures implements ChainLog {
  readonly #log: Log;
  last: string | undefined;

  constructor(log: Log) {
    this.#log = log;
  }

  warn(fields: object, message: string): void {
    this.last = message;
    this.#log.debug(fields, message);
  }

  debug(fields: object, message: string): void {
    this.warn(fields, message);
  }
}
