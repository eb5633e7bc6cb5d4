import { payForCall } from "../charge.ts";
import type { ImportedInterface } from "../provider.ts";
import { Pollable } from "./pollable.ts";
import type { Waitable, Waiter } from "./waiting.ts";

const nanosecondsPerMs = 1_000_000n;
const longestTimerMs = 2 ** 31 - 1;
const utc = { utcOffset: 0, name: "UTC", inDaylightSavingTime: false };

/** `wasi:clocks`. */
export const clockImports: readonly ImportedInterface[] = [
  {
    name: "wasi:clocks/monotonic-clock",
    versions: "0.2",
    waiting: [],
    make: (host) => {
      const start = process.hrtime.bigint();
      return {
        now: () => {
          payForCall(host);
          return process.hrtime.bigint() - start;
        },
        resolution: () => 1n,
        subscribeInstant: (when: bigint) => new Pollable(host, new Alarm(start + when)),
        subscribeDuration: (duration: bigint) => new Pollable(host, new Alarm(process.hrtime.bigint() + duration)),
      };
    },
  },
  {
    name: "wasi:clocks/wall-clock",
    versions: "0.2",
    waiting: [],
    make: (host) => ({
      now: () => {
        payForCall(host);
        const ms = Date.now();
        return { seconds: BigInt(Math.floor(ms / 1000)), nanoseconds: (ms % 1000) * 1_000_000 };
      },
      resolution: () => ({ seconds: 0n, nanoseconds: 1_000_000 }),
    }),
  },
  {
    name: "wasi:clocks/timezone",
    versions: "0.2",
    waiting: [],
    make: () => ({ display: () => utc, utcOffset: () => 0 }),
  },
];

/** A moment to come. There is a timer for it only while a guest waits. */
class Alarm implements Waitable {
  readonly #due: bigint;
  #waiter: Waiter | undefined;
  #timer: NodeJS.Timeout | undefined;

  /** `due` is a reading of `process.hrtime`. */
  constructor(due: bigint) {
    this.#due = due;
  }

  get isReady(): boolean {
    return process.hrtime.bigint() >= this.#due;
  }

  get waiter(): Waiter | undefined {
    return this.#waiter;
  }

  set waiter(waiter: Waiter | undefined) {
    this.#waiter = waiter;
    clearTimeout(this.#timer);
    if (waiter !== undefined) this.#arm();
  }

  #arm(): void {
    const leftMs = Number((this.#due - process.hrtime.bigint()) / nanosecondsPerMs) + 1;
    this.#timer = setTimeout(() => this.#ring(), Math.max(1, Math.min(leftMs, longestTimerMs)));
  }

  #ring(): void {
    if (this.isReady) this.#waiter?.wake();
    else this.#arm();
  }
}
