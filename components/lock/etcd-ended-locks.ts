/** Locks whose end is awaited at a time; of others nobody knows here, and the server ends them. */
const mostAwaited = 100_000;
/** Locks that are removed together. */
const together = 64;
/** What a timer can be set to. */
const longestMs = 2 ** 31 - 1;

interface Awaited {
  readonly resource: string;
  /** When the lock was given; a later one is another's. */
  readonly revision: bigint;
}

/** Has the locks that were given here removed when their leases have ended, in the order in which they do. */
export class EndedLocks implements Disposable {
  readonly #remove: (resource: string, revision: bigint) => Promise<void>;
  readonly #timers = new Map<string, NodeJS.Timeout>();
  #ended: Awaited[] = [];
  #isRemoving = false;
  #isDisposed = false;

  /** `remove` does nothing when the lock was renewed or given anew, and never rejects. */
  constructor(remove: (resource: string, revision: bigint) => Promise<void>) {
    this.#remove = remove;
  }

  /** The lock has just been given or renewed for `leaseMs`. */
  expect(resource: string, revision: bigint, leaseMs: number): void {
    this.forget(resource);
    if (this.#isDisposed || leaseMs > longestMs || this.#timers.size >= mostAwaited) return;
    const timer = setTimeout(() => {
      this.#timers.delete(resource);
      this.#ended.push({ resource, revision });
      if (!this.#isRemoving) void this.#removeEnded();
    }, leaseMs).unref();
    this.#timers.set(resource, timer);
  }

  /** The lock has been given back. */
  forget(resource: string): void {
    clearTimeout(this.#timers.get(resource));
    this.#timers.delete(resource);
  }

  [Symbol.dispose](): void {
    this.#isDisposed = true;
    for (const timer of this.#timers.values()) clearTimeout(timer);
    this.#timers.clear();
    this.#ended = [];
  }

  async #removeEnded(): Promise<void> {
    this.#isRemoving = true;
    while (this.#ended.length > 0) {
      const now = this.#ended.splice(0, together);
      await Promise.all(now.map(({ resource, revision }) => this.#remove(resource, revision)));
    }
    this.#isRemoving = false;
  }
}
