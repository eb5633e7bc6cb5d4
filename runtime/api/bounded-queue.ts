/**
 * A queue between a producer that cannot wait and one consumer that iterates. What was pushed is given in order; `end`
 * finishes the iteration after it, `fail` ends it at once.
 */
export class BoundedQueue<T> implements AsyncIterable<T> {
  readonly #capacity: number;
  #waiting: { readonly item: T; readonly weight: number }[] = [];
  #weight = 0;
  #outcome: { readonly error?: Error } | undefined;
  #wake: () => void = () => undefined;

  /** Holds items of at most `capacity` weight in all. */
  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  /** False when there is no room, or the queue has ended; a single item always fits into an empty queue. */
  push(item: T, weight = 1): boolean {
    if (this.#outcome !== undefined) return false;
    if (this.#waiting.length > 0 && this.#weight + weight > this.#capacity) return false;
    this.#waiting.push({ item, weight });
    this.#weight += weight;
    this.#wake();
    return true;
  }

  end(): void {
    this.#outcome ??= {};
    this.#wake();
  }

  fail(error: Error): void {
    this.#outcome ??= { error };
    this.#wake();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T, void> {
    for (;;) {
      if (this.#outcome?.error !== undefined) throw this.#outcome.error;
      const next = this.#waiting.shift();
      if (next !== undefined) {
        this.#weight -= next.weight;
        yield next.item;
      } else if (this.#outcome !== undefined) {
        return;
      } else {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
    }
  }
}
