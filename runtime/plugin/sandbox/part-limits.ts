import { bytesPerPage, readLayout } from "./module-layout.ts";
import { SandboxError } from "./sandbox-error.ts";
import type { SandboxLimits } from "./sandboxed-module.ts";

/** A core module of a component. */
export interface PartBytes {
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** How many instances the component makes of it. */
  readonly instances: number;
}

/** As many tables as a module by itself may have. */
const mostTables = 64;

/** What a part may use at least of the fuel of a call. */
const leastFuelShare = 1 / 128;

/**
 * How much of the fuel that a call has left each part may use by itself. Every instance counts its own, and what they use together
 * is only looked at when the host is called or the call ends: until then it is two and a half times what was left, at most. The
 * largest may use all, all others as much together, in proportion to their size, and none has less than a 128th.
 */
export function fuelShares(parts: readonly PartBytes[]): number[] {
  // What there is no instance of uses nothing.
  const sizes = parts.map(({ bytes, instances }) => (instances === 0 ? 0 : bytes.length));
  const largest = sizes.indexOf(Math.max(...sizes));
  const others = parts.reduce(
    (sum, { instances }, index) => sum + (sizes[index] ?? 0) * instances,
    -(sizes[largest] ?? 0),
  );
  return sizes.map((size, index) => {
    const share = index === largest && (parts[index]?.instances ?? 0) <= 1 ? 1 : size / Math.max(1, others);
    return Math.min(1, Math.max(leastFuelShare, share));
  });
}

/**
 * What each part of a component may have, so that together they stay within the limits: every memory gets its minimum, and of
 * what is left a share in proportion to it. The small memories of adapters so leave nearly all to the program. Throws SandboxError.
 */
export function shareLimits(parts: readonly PartBytes[], limits: SandboxLimits): SandboxLimits[] {
  const layouts = parts.map(({ bytes, instances }) => ({ ...readLayout(bytes, limits), instances }));
  const tables = layouts.reduce((sum, { tables, instances }) => sum + tables.length * instances, 0);
  if (tables > mostTables)
    throw new SandboxError(`the component has ${tables} tables together, and the limit is ${mostTables}`);
  const minima = layouts.map(({ memory }) => (memory === undefined || memory.isImported ? 0 : memory.minimum));
  // A memory without a minimum counts as a page, so that it can grow at all.
  const weights = layouts.map(({ memory, instances }, index) =>
    memory === undefined || memory.isImported ? 0 : Math.max(1, minima[index] ?? 0) * instances,
  );
  const least = layouts.reduce((sum, { instances }, index) => sum + (minima[index] ?? 0) * instances, 0);
  const pages = Math.floor(limits.memoryBytes / bytesPerPage);
  if (least > pages)
    throw new SandboxError(
      `the memories of the component have ${least * bytesPerPage} bytes at least together, and the limit is ${limits.memoryBytes}`,
    );
  const weight = weights.reduce((sum, one) => sum + one, 0);
  const fuel = fuelShares(parts);
  return layouts.map(({ instances }, index) => {
    const share =
      weight === 0 || instances === 0 ? 0 : Math.floor(((pages - least) * (weights[index] ?? 0)) / weight / instances);
    const startFuel = Math.floor(limits.startFuel * (fuel[index] ?? 1));
    return { ...limits, startFuel, memoryBytes: ((minima[index] ?? 0) + share) * bytesPerPage };
  });
}
