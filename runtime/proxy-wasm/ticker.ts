import type { RootContext } from "./root-context.ts";

/** No guest ticks more often than this, whatever it asks for: each tick may use a whole budget. */
const shortestPeriodMs = 10;
const longestPeriodMs = 0x7fffffff;

/** Calls `proxy_on_tick` of a root context: the period begins anew when a tick has ended, so ticks never pile up. */
export class Ticker {
  readonly #root: RootContext;
  #periodMs = 0;
  #timer: NodeJS.Timeout | undefined;
  #started = false;

  constructor(root: RootContext) {
    this.#root = root;
  }

  /** 0 ends the ticks. */
  setPeriod(periodMs: number): void {
    this.#periodMs = periodMs === 0 ? 0 : Math.min(Math.max(periodMs, shortestPeriodMs), longestPeriodMs);
    this.#arm();
  }

  /** Ticks that were asked for while the guest started begin now. */
  start(): void {
    this.#started = true;
    this.#arm();
  }

  stop(): void {
    this.#started = false;
    clearTimeout(this.#timer);
  }

  #arm(): void {
    clearTimeout(this.#timer);
    if (this.#started && this.#periodMs > 0) this.#timer = setTimeout(() => this.#fire(), this.#periodMs);
  }

  #fire(): void {
    const root = this.#root;
    const { tick } = root.vm.callbacks;
    if (tick === undefined) return;
    root.vm.take(async () => {
      await root.vm.enter(root, tick, root.id);
      this.#arm();
    });
  }
}
