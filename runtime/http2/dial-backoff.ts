const growth = 1.6;
/** The share by which a wait is longer or shorter, so that many clients do not dial in step. */
const jitter = 0.2;

/** When to dial again after failures: waits that grow from `firstMs` to `longestMs`, with jitter. */
export class DialBackoff {
  readonly #firstMs: number;
  readonly #longestMs: number;
  #nextMs: number;
  #dialAtMs = 0;
  #reason = "";

  constructor(firstMs: number, longestMs: number) {
    this.#firstMs = firstMs;
    this.#longestMs = longestMs;
    this.#nextMs = firstMs;
  }

  get mayDial(): boolean {
    return this.#dialAtMs === 0 || performance.now() >= this.#dialAtMs;
  }

  /** Why the last dial failed. */
  get reason(): string {
    return this.#reason;
  }

  failed(reason: string): void {
    this.#reason = reason;
    this.#dialAtMs = performance.now() + this.#nextMs * (1 + jitter * (2 * Math.random() - 1));
    this.#nextMs = Math.min(this.#nextMs * growth, this.#longestMs);
  }

  succeeded(): void {
    this.#dialAtMs = 0;
    this.#nextMs = this.#firstMs;
  }
}
