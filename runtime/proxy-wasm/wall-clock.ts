/** Further apart than this, the system's clock was set or drifted, and the fine clock is set to it again. */
const toleranceMs = 2;

/** The time of day in nanoseconds, finer than Date.now() and true to it within two milliseconds. */
export class WallClock {
  #offsetMs = performance.timeOrigin;

  now(): bigint {
    const coarse = Date.now();
    let fine = this.#offsetMs + performance.now();
    if (Math.abs(fine - coarse) > toleranceMs) {
      this.#offsetMs += coarse - fine;
      fine = coarse;
    }
    return BigInt(Math.round(fine * 1000)) * 1000n;
  }
}
