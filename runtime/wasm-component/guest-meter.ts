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

/** A core instance: it was given fuel, of which its gauge shows what is left. */
interface Part {
  readonly gauge: FuelGauge;
  readonly share: number;
  given: number;
}

/** Little payments are looked at together when they have come to such a part of the budget. */
const looks = 16;

/**
 * The fuel and the memories of all core instances of one component. Each counts its own: what they used together is looked at
 * when the host is called, and the fewer are left of the budget, the less each may still use by itself.
 */
export class GuestMeter {
  readonly #parts: Part[] = [];
  readonly #memories = new Set<WebAssembly.Memory>();
  /** What the call under way may use. */
  #full = 0;
  /** Charged for host calls in the call under way. */
  #paid = 0;
  /** What was left of the budget when each part was given its share. */
  #shared = 0;
  /** Used by the parts until then. */
  #spent = 0;
  /** When so much was paid, it is looked at what was used. */
  #lookAt = 0;

  /** Throws when what was attached has used more than it may together. */
  attach(instance: WebAssembly.Instance, share = 1): void {
    if (fuelExports.set in instance.exports)
      this.#parts.push({ gauge: fuelGauge(instance), share, given: Math.floor(this.#full * share) });
    for (const exported of Object.values(instance.exports))
      if (exported instanceof WebAssembly.Memory) this.#memories.add(exported);
    this.#look();
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
    this.#spent = 0;
    this.#lookAt = fuel / looks;
    this.#share(fuel);
  }

  /** Every core instance traps at its next checkpoint, and at every one after it. */
  halt(): void {
    for (const { gauge } of this.#parts) gauge.set(-1);
  }

  /** Charges work that the host does for the guest. Throws, and halts the guest, when it has no fuel for it. */
  pay(fuel: number): void {
    this.#charge(fuel);
    this.#look();
  }

  /** As `pay`, where it is little and often: all together is looked at from time to time, and when the call ends. */
  payLittle(fuel: number): void {
    this.#charge(fuel);
    if (this.#paid > this.#lookAt) this.#look();
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

  /** Stops the guest when it has used all; gives each part less when less than half is left of what was shared. */
  #look(): void {
    const { used } = this;
    const left = this.#full - used;
    if (left < 0) this.stop("out of fuel");
    this.#lookAt = Math.min(this.#full, this.#paid + this.#full / looks);
    if (left * 2 >= this.#shared || this.#isHalted) return;
    this.#spent = used - this.#paid;
    this.#share(left);
  }

  #share(left: number): void {
    this.#shared = left;
    for (const part of this.#parts) {
      part.given = Math.floor(left * part.share);
      part.gauge.set(part.given);
    }
  }

  get #isHalted(): boolean {
    for (const { gauge } of this.#parts) if (gauge.get() < 0) return true;
    return false;
  }

  /** Whether a core instance has run out or was halted, or all together have used more than one may. */
  get isOut(): boolean {
    return this.#isHalted || this.used > this.#full;
  }

  /** What the call under way has used so far, host calls included. */
  get used(): number {
    let used = this.#paid + this.#spent;
    for (const { gauge, given } of this.#parts) used += given - Math.max(0, gauge.get());
    return used;
  }
}
