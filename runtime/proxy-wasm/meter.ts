import { fuelCosts } from "../plugin/sandbox/fuel.ts";
import type { FuelGauge } from "../plugin/sandbox/sandboxed-module.ts";

/** What ends a guest from inside a hostcall. The gauge is negative when it is thrown, so catching it does not help the guest. */
export class GuestStopped extends Error {}

/** Where the guest is; hostcalls that reach out of it are allowed in its callbacks only. */
export type GuestPhase = "instantiating" | "starting" | "callback" | "allocating";

/** Charges a guest's hostcalls to its fuel, and refuses those that its phase does not allow. */
export class Meter {
  phase: GuestPhase = "instantiating";
  /** Why the host stopped the guest; undefined when it was not the host. */
  stopped: string | undefined;
  #gauge: FuelGauge | undefined;

  /** From here on the guest's fuel is known; before, only its `start` function could call the host. */
  attach(gauge: FuelGauge): void {
    this.#gauge = gauge;
  }

  refill(fuel: number): void {
    this.#gauge?.set(fuel);
  }

  /** Fuel left; negative when the guest used it up or was stopped. */
  get left(): number {
    return this.#gauge?.get() ?? 0;
  }

  /** Begins a hostcall that is allowed in callbacks only. */
  hostcall(): void {
    if (this.phase !== "callback") this.stop(`it called the host ${phrases[this.phase]}`);
    this.#spend(fuelCosts.hostcall);
  }

  /** Begins a hostcall that is allowed in any phase: logs, clocks, random bytes, WASI. */
  harmlessHostcall(): void {
    if (this.#gauge === undefined) this.stop(`it called the host ${phrases.instantiating}`);
    this.#spend(fuelCosts.hostcall);
  }

  /** Charges bytes that the host is about to read, copy or write for the guest. */
  bytes(count: number): void {
    this.#spend(count * fuelCosts.hostcallByte);
  }

  /** Charges what the host does per item beyond the bytes: fields, vectors, lines. In units of fuel, about nanoseconds. */
  work(fuel: number): void {
    this.#spend(fuel);
  }

  /** Stops the guest for good, from inside a hostcall. */
  stop(reason: string): never {
    this.stopped ??= reason;
    this.halt();
    throw new GuestStopped(reason);
  }

  /** The guest traps at its next checkpoint, and at every one after it. */
  halt(): void {
    this.#gauge?.set(-1);
  }

  #spend(cost: number): void {
    const gauge = this.#gauge;
    if (gauge === undefined) return;
    const left = gauge.get() - cost;
    gauge.set(left);
    if (left < 0) throw new GuestStopped("out of fuel");
  }
}

const phrases: Record<GuestPhase, string> = {
  instantiating: "from its start function, before it has memory; _initialize or _start may",
  starting: "while it started; only logs, clocks, random bytes and WASI are allowed before its root context exists",
  callback: "in a callback",
  allocating: "from its allocator",
};
