import type { PluginFault } from "../plugin/plugin-error.ts";
import { type FuelGauge, fuelExports, fuelGauge } from "../plugin/sandbox/sandboxed-module.ts";

/** What ends a guest from inside a host call. Its fuel is negative when it is thrown, so catching it does not help the guest. */
export class GuestStopped extends Error {
  readonly fault: PluginFault;

  constructor(why: string, fault: PluginFault = "fuel") {
    super(why);
    this.fault = fault;
  }
}

/** The fuel and the memories of all core instances of one component. */
export class GuestMeter {
  readonly #gauges: { readonly gauge: FuelGauge; readonly share: number }[] = [];
  readonly #memories = new Set<WebAssembly.Memory>();
  /** What the call under way may use: each core instance began with its share. */
  #full = 0;
  /** Charged for host calls in the call under way. */
  #paid = 0;

  /** Throws when what was attached has used more than it may together. */
  attach(instance: WebAssembly.Instance, share = 1): void {
    if (fuelExports.set in instance.exports) this.#gauges.push({ gauge: fuelGauge(instance), share });
    for (const exported of Object.values(instance.exports))
      if (exported instanceof WebAssembly.Memory) this.#memories.add(exported);
    if (this.used > this.#full) this.stop("out of fuel");
  }

  /** The largest memory. */
  get memory(): WebAssembly.Memory | undefined {
    let largest: WebAssembly.Memory | undefined;
    for (const memory of this.#memories)
      if (largest === undefined || memory.buffer.byteLength > largest.buffer.byteLength) largest = memory;
    return largest;
  }

  refill(fuel: number): void {
    this.#full = fuel;
    this.#paid = 0;
    for (const { gauge, share } of this.#gauges) gauge.set(Math.floor(fuel * share));
  }

  /** Every core instance traps at its next checkpoint, and at every one after it. */
  halt(): void {
    for (const { gauge } of this.#gauges) gauge.set(-1);
  }

  /** Charges work that the host does for the guest. Throws, and halts the guest, when it has no fuel for it. */
  pay(fuel: number): void {
    this.#charge(fuel);
    if (this.used > this.#full) this.stop("out of fuel");
  }

  /** As `pay`, where it is little and often: all together is looked at when the call ends. */
  payLittle(fuel: number): void {
    this.#charge(fuel);
    if (this.#paid > this.#full) this.stop("out of fuel");
  }

  /** Halts the guest, and throws: for what it may not go on after. */
  stop(why: string, fault?: PluginFault): never {
    this.halt();
    throw new GuestStopped(why, fault);
  }

  /** What a guest made up would make all that follows free: nothing is ever paid back. */
  #charge(fuel: number): void {
    if (!Number.isFinite(fuel) || fuel < 0) this.stop("charged what is no amount of fuel");
    this.#paid += fuel;
  }

  /** Whether a core instance has run out or was halted, or all together have used more than one may. */
  get isOut(): boolean {
    let used = this.#paid;
    for (const { gauge, share } of this.#gauges) {
      const left = gauge.get();
      if (left < 0) return true;
      used += Math.floor(this.#full * share) - left;
    }
    return used > this.#full;
  }

  /** What the call under way has used so far, host calls included. */
  get used(): number {
    let used = this.#paid;
    for (const { gauge, share } of this.#gauges) used += Math.floor(this.#full * share) - Math.max(0, gauge.get());
    return used;
  }
}
