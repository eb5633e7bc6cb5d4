import { ConnectionError, errorCode } from "./error-code.ts";

const perMs = 1000;

/**
 * Counts frames that cost work and carry nothing: a peer that sends too many of them in a second is asked to calm down
 * (RFC 9113, section 10.5).
 */
export class FloodGuard {
  readonly #maxPerSecond: number;
  #count = 0;
  #sinceMs = 0;

  constructor(maxPerSecond: number) {
    this.#maxPerSecond = maxPerSecond;
  }

  /** Throws ConnectionError when it is one too many. */
  count(what: string): void {
    const now = performance.now();
    if (now - this.#sinceMs > perMs) {
      this.#sinceMs = now;
      this.#count = 0;
    }
    this.#count += 1;
    if (this.#count <= this.#maxPerSecond) return;
    const message = `more than ${this.#maxPerSecond} frames without use in a second, of late ${what}`;
    throw new ConnectionError(errorCode.ENHANCE_YOUR_CALM, message);
  }
}
