import { turn } from "../turn.ts";

/** Longer than a start of what was started before. */
const workMs = 4;

/** Lets the event loop turn between the steps of long work, and goes on at once while the work is short. */
export class Pace {
  #since = performance.now();

  /** Resolves when the next step may begin. */
  async step(): Promise<void> {
    if (performance.now() - this.#since < workMs) return;
    await turn();
    this.#since = performance.now();
  }
}
