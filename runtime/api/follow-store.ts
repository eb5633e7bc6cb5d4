import { setTimeout as delay } from "node:timers/promises";
import type { OpenedStore, StoreSet } from "./stores.ts";

/** What is wanted of a store for as long as somebody wants it, whichever store has the name. */
export interface Following<S> {
  readonly stores: StoreSet<S>;
  readonly name: string;
  /** Begins on that store; `isMoved` when it went on elsewhere before. */
  begin(opened: OpenedStore<S>, isMoved: boolean): Promise<AsyncDisposable>;
  /** Told when a store cannot be gone on with; it is tried again. */
  failed(error: unknown): void;
}

const firstRetryMs = 100;
const longestRetryMs = 5_000;

/**
 * Begins, and begins anew on the store that takes the place of the one it began on; while none has the name, nothing goes on.
 * Rejects when the first store cannot be begun on. Disposing ends it.
 */
export async function followStore<S>(following: Following<S>): Promise<AsyncDisposable> {
  const followed = new FollowedStore(following);
  await followed.begin();
  return followed;
}

class FollowedStore<S> implements AsyncDisposable {
  readonly #following: Following<S>;
  readonly #watch: Disposable;
  readonly #ending = new AbortController();
  #store: S | undefined;
  #current: AsyncDisposable | undefined;
  #turn: Promise<void> = Promise.resolve();
  #retry = new AbortController();

  constructor(following: Following<S>) {
    this.#following = following;
    this.#watch = following.stores.watch(following.name, () => this.#changed());
  }

  async begin(): Promise<void> {
    try {
      await this.#inTurn(() => this.#move(false));
    } catch (error) {
      this.#watch[Symbol.dispose]();
      throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#watch[Symbol.dispose]();
    this.#ending.abort();
    this.#retry.abort();
    await this.#turn;
    await this.#leave();
  }

  /** Resolves when nothing of this is left on the store that was replaced. */
  async #changed(): Promise<void> {
    this.#retry.abort();
    this.#retry = new AbortController();
    const { signal } = this.#retry;
    if (!(await this.#tryToMove())) void this.#moveLater(signal);
  }

  async #moveLater(signal: AbortSignal): Promise<void> {
    for (let waitMs = firstRetryMs; ; waitMs = Math.min(2 * waitMs, longestRetryMs)) {
      await delay(waitMs, undefined, { signal }).catch(() => undefined);
      if (signal.aborted || (await this.#tryToMove())) return;
    }
  }

  async #tryToMove(): Promise<boolean> {
    try {
      await this.#inTurn(() => this.#move(true));
      return true;
    } catch (error) {
      this.#following.failed(error);
      return false;
    }
  }

  async #move(isMoved: boolean): Promise<void> {
    const { stores, name, begin } = this.#following;
    if (this.#ending.signal.aborted) return;
    const opened = isMoved && !stores.names().includes(name) ? undefined : stores.find(name);
    if (opened !== undefined && opened.store === this.#store) return;
    let next: AsyncDisposable | undefined;
    try {
      next = opened && (await begin(opened, isMoved));
    } finally {
      await this.#leave();
    }
    this.#current = next;
    this.#store = opened?.store;
  }

  async #leave(): Promise<void> {
    const left = this.#current;
    this.#current = undefined;
    this.#store = undefined;
    await left?.[Symbol.asyncDispose]();
  }

  #inTurn(work: () => Promise<void>): Promise<void> {
    const result = this.#turn.then(work);
    this.#turn = result.catch(() => undefined);
    return result;
  }
}
