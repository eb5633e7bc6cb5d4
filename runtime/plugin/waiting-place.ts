import type { PluginInstance } from "./contract.ts";
import type { PluginError } from "./plugin-error.ts";

/** What waits for an instance of a pool. */
export interface Waiter {
  /** An instance is there. */
  begin(instance: PluginInstance): void;
  /** None will be. */
  fail(error: PluginError): void;
  /** Goes on waiting in another queue, with the time that is left. */
  move(queue: Set<Waiter>): void;
}

export interface WaitingTerms {
  readonly queue: Set<Waiter>;
  readonly deadlineMs: number;
  /** Makes the error that a waiter fails with when its time is up. */
  readonly expired: () => PluginError;
}

/** A place in a queue, for a limited time. */
export class WaitingPlace {
  readonly #waiter: Waiter;
  readonly #timer: NodeJS.Timeout;
  #queue: Set<Waiter>;

  constructor(waiter: Waiter, { queue, deadlineMs, expired }: WaitingTerms) {
    this.#waiter = waiter;
    this.#queue = queue;
    this.#timer = setTimeout(() => waiter.fail(expired()), deadlineMs);
    queue.add(waiter);
  }

  move(queue: Set<Waiter>): void {
    this.#queue.delete(this.#waiter);
    this.#queue = queue;
    queue.add(this.#waiter);
  }

  leave(): void {
    clearTimeout(this.#timer);
    this.#queue.delete(this.#waiter);
  }
}
