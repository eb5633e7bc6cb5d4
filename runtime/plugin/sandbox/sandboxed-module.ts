/** Changes with everything that the rewriter does to a module: what it wrote is kept on disks, and used while this is the same. */
export const rewriterVersion = 1;

/** The limits a module was rewritten for. */
export interface SandboxLimits {
  /** Most linear memory in bytes; a multiple of 64 KiB. */
  readonly memoryBytes: number;
  /** Most entries of each table. */
  readonly tableEntries: number;
  /** Instructions that instantiation (the start function) may use; the initial value of the fuel counter. */
  readonly startFuel: number;
  /** For a core module of a component, which may use memories, tables and globals of its neighbours; default: it stands alone. */
  readonly partOf?: "component";
}

/** A module that was checked, capped, metered and compiled. */
export interface SandboxedModule {
  readonly module: WebAssembly.Module;
  /** `sha256:` and the hex digest of the original bytes. */
  readonly digest: string;
  readonly limits: SandboxLimits;
  /** Bytes before and after. */
  readonly originalBytes: number;
  readonly rewrittenBytes: number;
  /** Where its code lay in the original. */
  readonly codeMap: Uint8Array;
  /** Which of the texts that the compiler was told to look for are among its data; absent when nobody looked. */
  readonly texts?: readonly string[];
  /** Of a part of a component: how much of the fuel of a call it may use by itself; default all. */
  readonly fuelShare?: number;
}

/**
 * Names of the functions that the rewriter adds to a module's exports; a module that already has one is refused.
 * Fuel counts instructions; below zero the guest traps at its next checkpoint and at every one after it.
 */
export const fuelExports = {
  /** (f64) -> (): sets the fuel left. Negative stops the guest for good until it is refilled. */
  set: "outrigger_fuel_set",
  /** () -> f64: the fuel left. */
  get: "outrigger_fuel_get",
} as const;

export interface FuelGauge {
  set(fuel: number): void;
  get(): number;
}

/** The fuel functions of an instance of a sandboxed module. */
export function fuelGauge(instance: WebAssembly.Instance): FuelGauge {
  const set = instance.exports[fuelExports.set];
  const get = instance.exports[fuelExports.get];
  if (typeof set !== "function" || typeof get !== "function")
    throw new TypeError("not an instance of a sandboxed module");
  return { set: set as (fuel: number) => void, get: get as () => number };
}
