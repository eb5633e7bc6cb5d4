import { setTimeout as delay } from "node:timers/promises";
import type { Binding, BindingEvent } from "../../components/binding/binding.ts";
import { RuntimeError } from "../../components/error.ts";
import type { Log } from "../telemetry/log.ts";
import { settledWithin } from "./settled-within.ts";
import { unlessAborted } from "./unless-aborted.ts";

/** Resolves when the application has done with the event; a rejection asks for another try. The signal aborts when the outcome no longer counts. */
export type BindingEventHandler = (event: BindingEvent, signal: AbortSignal) => Promise<void>;

/** What became of one delivery, for the metric. */
export type BindingEventOutcome = "success" | "retry" | "returned" | "lost";

export interface BindingDeliveryOptions {
  readonly binding: string;
  /** Tries of one event before it is given up. */
  readonly maxAttempts: number;
  /** Events that the handler has at once; the others wait in the source. */
  readonly maxInFlight: number;
  /** Whether the source brings an event again that is given up. */
  readonly redelivers: boolean;
  /** How long events that the handler has may take once this ends. */
  readonly drainMs: number;
  readonly log: Log;
  count(outcome: BindingEventOutcome): void;
}

const firstRetryMs = 100;
const longestRetryMs = 10_000;

/**
 * The events of one input binding. Each is tried, with back-off, until the handler takes it or the tries are used up; then it
 * goes back to its source. Disposing takes no further event, and gives back what the handler does not settle in time.
 */
export class BindingDelivery implements AsyncDisposable {
  readonly #options: BindingDeliveryOptions;
  readonly #handler: BindingEventHandler;
  readonly #closing = new AbortController();
  readonly #handling = new Set<Promise<void>>();
  readonly #waiting: (() => void)[] = [];
  #inFlight = 0;
  #source: AsyncDisposable | undefined;
  #closed: Promise<void> | undefined;

  private constructor(options: BindingDeliveryOptions, handler: BindingEventHandler) {
    this.#options = options;
    this.#handler = handler;
  }

  /** Resolves once the binding listens. */
  static async open(
    listen: NonNullable<Binding["listen"]>,
    options: BindingDeliveryOptions,
    handler: BindingEventHandler,
  ): Promise<BindingDelivery> {
    const delivery = new BindingDelivery(options, handler);
    delivery.#source = await listen((event, signal) => delivery.#deliver(event, signal));
    return delivery;
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    this.#closing.abort();
    await settledWithin(this.#handling, this.#options.drainMs);
    await this.#source?.[Symbol.asyncDispose]();
  }

  async #deliver(event: BindingEvent, signal: AbortSignal): Promise<void> {
    await this.#enter(signal);
    try {
      await this.#tryOften(event, signal);
    } finally {
      this.#leave();
    }
  }

  /** Waits until there is room for one more event. */
  async #enter(signal: AbortSignal): Promise<void> {
    if (this.#inFlight >= this.#options.maxInFlight) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#waiting.push(resolve);
      try {
        // The place of the one that left is handed over, so the count stays.
        return await unlessAborted(promise, signal);
      } catch (error) {
        const index = this.#waiting.indexOf(resolve);
        if (index === -1) this.#leave();
        else this.#waiting.splice(index, 1);
        throw error;
      }
    }
    this.#inFlight++;
  }

  #leave(): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#inFlight--;
    else next();
  }

  /** Resolves when the event is done, rejects when it goes back to its source. */
  async #tryOften(event: BindingEvent, signal: AbortSignal): Promise<void> {
    const { maxAttempts, count } = this.#options;
    for (let attempt = 1, waitMs = firstRetryMs; ; attempt++, waitMs = Math.min(2 * waitMs, longestRetryMs)) {
      if (this.#closing.signal.aborted) return givenBack(signal);
      const failure = await this.#attempt(event, signal);
      if (failure === undefined) return count("success");
      if (attempt >= maxAttempts) throw this.#givenUp(failure);
      count("retry");
      const waited = delay(waitMs * (0.5 + Math.random() / 2), undefined, { signal: this.#closing.signal });
      await waited.catch(() => undefined);
    }
  }

  /** One try; why it failed, or undefined. */
  async #attempt(event: BindingEvent, signal: AbortSignal): Promise<Error | undefined> {
    const handling = unlessAborted(this.#handler(event, signal), signal);
    this.#handling.add(handling);
    try {
      await handling;
      return undefined;
    } catch (error) {
      signal.throwIfAborted();
      const { binding, log } = this.#options;
      log.debug({ err: error, binding }, "an event of a binding was not taken and is tried again");
      return error instanceof Error ? error : new Error(String(error));
    } finally {
      this.#handling.delete(handling);
    }
  }

  #givenUp(cause: Error): RuntimeError {
    const { binding, redelivers, maxAttempts, log, count } = this.#options;
    count(redelivers ? "returned" : "lost");
    const fields = { binding, attempts: maxAttempts, err: cause };
    if (redelivers) log.warn(fields, "an event of a binding was tried in vain; it goes back to its source");
    else log.error(fields, "an event of a binding was tried in vain and is lost");
    const message = `the application did not take an event of '${binding}' in ${maxAttempts} tries: ${cause.message}`;
    return new RuntimeError("ABORTED", "EVENT_NOT_TAKEN", message, { cause });
  }
}

/** Rejects once the source has stopped: rejected earlier, it would bring the event here again. */
function givenBack(signal: AbortSignal): Promise<never> {
  return unlessAborted(new Promise<never>(() => undefined), signal);
}
