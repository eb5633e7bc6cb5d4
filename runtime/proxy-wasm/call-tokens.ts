import type { RootContext } from "./root-context.ts";

const maxOdd = 0x7ffffffd;
const maxEven = 0x7ffffffe;

/**
 * The tokens of calls, which are odd, and of gRPC streams, which are even. All root contexts of a VM take theirs here: guests
 * keep what they wait for by token alone.
 */
export class CallTokens {
  readonly #roots: Iterable<RootContext>;
  #lastCall = -1;
  #lastStream = 0;

  constructor(roots: Iterable<RootContext>) {
    this.#roots = roots;
  }

  forCall(): number {
    do this.#lastCall = this.#lastCall >= maxOdd ? 1 : this.#lastCall + 2;
    while (this.#isTaken(this.#lastCall));
    return this.#lastCall;
  }

  forStream(): number {
    do this.#lastStream = this.#lastStream >= maxEven ? 2 : this.#lastStream + 2;
    while (this.#isTaken(this.#lastStream));
    return this.#lastStream;
  }

  #isTaken(token: number): boolean {
    for (const { calls, streams } of this.#roots) if (calls.has(token) || streams.has(token)) return true;
    return false;
  }
}
