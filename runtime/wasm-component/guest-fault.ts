import type { PluginProgram } from "../plugin/contract.ts";
import { PluginError, type PluginFault } from "../plugin/plugin-error.ts";
import { type GuestMeter, GuestStopped } from "./guest-meter.ts";

/** A PluginError about the program: `plugin 'orders' 1.2.0 ` and the rest of the sentence. */
export function pluginError(program: PluginProgram, fault: PluginFault, rest: string, cause?: unknown): PluginError {
  const message = `plugin '${program.name}' ${program.version} ${rest}`;
  return new PluginError(program.name, program.version, fault, message, cause === undefined ? {} : { cause });
}

/** What ended a guest in `where`: what it threw, its fuel and its memory say why. */
export function faultOf(
  program: PluginProgram,
  meter: GuestMeter,
  where: string,
  fuel: number,
  cause: unknown,
): PluginError {
  if (cause instanceof GuestStopped && cause.fault === "memory")
    return pluginError(program, "memory", `was stopped in ${where}: ${cause.message}`, cause);
  if (meter.isOut) return pluginError(program, "fuel", `used up its ${fuel} units of fuel in ${where}`, cause);
  if (cause instanceof RangeError && cause.message.includes("call stack"))
    return pluginError(program, "trap", `overflowed its stack in ${where}`, cause);
  const { memoryBytes } = program.module.limits;
  if (cause instanceof WebAssembly.RuntimeError && isFull(meter, memoryBytes))
    return pluginError(
      program,
      "memory",
      `trapped in ${where} with its ${sizeText(memoryBytes)} of memory full`,
      cause,
    );
  return pluginError(program, "trap", `trapped in ${where}: ${reasonOf(cause)}`, cause);
}

/** A guest asks for more than is left before it gives up: hardly any ends with all of it in use. */
function isFull(meter: GuestMeter, memoryBytes: number): boolean {
  return (meter.memory?.buffer.byteLength ?? 0) > memoryBytes * 0.9;
}

const sizeText = (bytes: number): string => `${Math.round(bytes / 1024 ** 2)} MiB`;

function reasonOf(cause: unknown): string {
  if (cause instanceof WebAssembly.Exception) return "an exception of the guest was not caught";
  if (!(cause instanceof Error)) return String(cause);
  // The generated code follows the guest's own addresses and lengths; the engine's words for those say nothing of them.
  if (cause instanceof RangeError) return `what it passed lies outside of its memory or is too long (${cause.message})`;
  return cause.message.replace(/^wasm trap: /, "");
}
