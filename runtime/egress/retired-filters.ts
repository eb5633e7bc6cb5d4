import type { Log } from "../telemetry/log.ts";
import type { UpstreamFilters } from "./upstream-filters.ts";

/** Filters that get no new requests: those under way end on them, and then their plugins are let go. */
export class RetiredFilters {
  readonly #log: Log;
  readonly #filters = new Map<UpstreamFilters, Promise<void>>();

  constructor(log: Log) {
    this.#log = log;
  }

  /** Resolves, and never rejects, when they are let go. */
  add(filters: UpstreamFilters): Promise<void> {
    const retired = filters[Symbol.asyncDispose]()
      .catch((error: unknown) => this.#log.error({ err: error }, "plugins of old filters could not be let go"))
      .finally(() => this.#filters.delete(filters));
    this.#filters.set(filters, retired);
    return retired;
  }

  /** Ends the requests under way with a failure; resolves when the plugins are let go. */
  async end(): Promise<void> {
    for (const filters of this.#filters.keys()) filters.abandon();
    await Promise.all(this.#filters.values());
  }
}
