import { setTimeout as delay } from "node:timers/promises";
import type { OpenContext } from "../component.ts";
import { messageOf } from "../thrown.ts";
import { backOffMs } from "./back-off.ts";

export interface ServerWatchOptions extends Pick<OpenContext, "log" | "reachability"> {
  /** Who is watched, for the log: `the Postgres of 'orders'`. */
  readonly server: string;
  /** Rejects while the server is away, with a sentence that says so. */
  probe(signal: AbortSignal): Promise<unknown>;
}

/** Finds out whether a server that seems lost is, and tells when it is gone and when it is back, once each. */
export class ServerWatch implements AsyncDisposable {
  readonly #options: ServerWatchOptions;
  readonly #stopping = new AbortController();
  #watching: Promise<void> | undefined;

  constructor(options: ServerWatchOptions) {
    this.#options = options;
  }

  /** The server did not serve a call: asks it at once, and again until it answers. */
  suspect(): void {
    if (this.#watching !== undefined || this.#stopping.signal.aborted) return;
    this.#watching = this.#watch().finally(() => {
      this.#watching = undefined;
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping.abort();
    await this.#watching;
  }

  async #watch(): Promise<void> {
    const { server, log, reachability } = this.#options;
    const { signal } = this.#stopping;
    for (let attempt = 1; !signal.aborted; attempt++) {
      try {
        await this.#options.probe(signal);
        if (attempt === 1) return;
        reachability.up();
        log.info({}, `${server} is back`);
        return;
      } catch (error) {
        if (signal.aborted) return;
        if (attempt === 1) {
          const why = messageOf(error);
          reachability.down(why);
          log.warn({ why }, `${server} cannot be reached; it is tried again`);
        }
      }
      await delay(backOffMs(attempt), undefined, { signal }).catch(() => undefined);
    }
  }
}
