import type { FilterAction, StreamFilter, StreamHost } from "./contract.ts";
import { PluginError } from "./plugin-error.ts";

/**
 * A stream that takes an instance once its request is there as a whole, so that a slow client keeps none. The filter is told
 * nothing before: the callback that brings the end of the request is its first.
 */
export class WholeRequest implements StreamFilter {
  readonly #host: StreamHost;
  readonly #open: (host: StreamHost) => StreamFilter;
  #filter: StreamFilter | undefined;

  /** `open` is called at most once, and may throw PluginError. */
  constructor(host: StreamHost, open: (host: StreamHost) => StreamFilter) {
    this.#host = host;
    this.#open = open;
  }

  requestHeaders(endOfStream: boolean): FilterAction {
    if (!endOfStream) return "hold";
    return this.#begin()?.requestHeaders(true) ?? "pause";
  }

  requestBody(endOfStream: boolean): FilterAction {
    if (!endOfStream) return "pause";
    return this.#begin()?.requestBody(true) ?? "pause";
  }

  requestTrailers(): FilterAction {
    return this.#begin()?.requestTrailers() ?? "pause";
  }

  responseHeaders(endOfStream: boolean): FilterAction {
    return this.#filter?.responseHeaders(endOfStream) ?? "continue";
  }

  responseBody(endOfStream: boolean): FilterAction {
    return this.#filter?.responseBody(endOfStream) ?? "continue";
  }

  responseTrailers(): FilterAction {
    return this.#filter?.responseTrailers() ?? "continue";
  }

  end(): void {
    this.#filter?.end();
  }

  #begin(): StreamFilter | undefined {
    try {
      this.#filter ??= this.#open(this.#host);
    } catch (error) {
      if (!(error instanceof PluginError)) throw error;
      this.#host.failed(error);
    }
    return this.#filter;
  }
}
