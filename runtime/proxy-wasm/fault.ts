import { messageOf } from "../../components/thrown.ts";
import { PluginError, type PluginFault } from "../plugin/plugin-error.ts";
import { guestFrames } from "./backtrace.ts";
import type { Meter } from "./meter.ts";
import type { ModuleProgram } from "./module-program.ts";

const longestOutcry = 200;

/** A PluginError about the program: `plugin 'orders' 1.2.0 ` and the rest of the sentence. */
export function pluginError(program: ModuleProgram, fault: PluginFault, rest: string, cause?: unknown): PluginError {
  const message = `plugin '${program.name}' ${program.version} ${rest}`;
  return new PluginError(program.name, program.version, fault, message, cause === undefined ? {} : { cause });
}

/** What it means for a program that another one brought down the VM in which both ran. */
export function sharedFault(program: ModuleProgram, error: PluginError): PluginError {
  return pluginError(program, "shared", `lost its VM, which it shares: ${error.message}`, error);
}

/** What ended a callback that threw, or that came back with its fuel below zero. `outcry` is an error that it had logged, if any. */
export function faultOf(
  program: ModuleProgram,
  meter: Meter,
  where: string,
  fuel: number,
  cause: unknown,
  outcry = "",
): PluginError {
  const line = firstLine(outcry);
  const said = line === "" || meter.stopped?.includes(line) ? "" : `, after it logged '${line}'`;
  if (meter.stopped !== undefined) {
    const fault = meter.phase === "allocating" ? "memory" : "trap";
    return pluginError(program, fault, `was stopped in ${where}: ${meter.stopped}${said}`, cause);
  }
  const place = placeOf(cause, program.module.codeMap);
  if (meter.left < 0)
    return pluginError(program, "fuel", `used up its ${fuel} units of fuel in ${where}${place}`, cause);
  if (cause instanceof RangeError)
    return pluginError(program, "trap", `overflowed its stack in ${where}${place}`, cause);
  return pluginError(program, "trap", `trapped in ${where}: ${reasonOf(cause)}${said}${place}`, cause);
}

/** Which functions of the guest it was in. */
function placeOf(cause: unknown, codeMap: Uint8Array): string {
  const [innermost, ...callers] = guestFrames(cause, codeMap);
  if (innermost === undefined) return "";
  return callers.length === 0 ? `, in ${innermost}` : `, in ${innermost}, called by ${callers.join(", ")}`;
}

function reasonOf(cause: unknown): string {
  if (cause instanceof WebAssembly.Exception) return "an exception of the guest was not caught";
  return messageOf(cause);
}

function firstLine(text: string): string {
  const [line = ""] = text.trim().split("\n", 1);
  return line.length > longestOutcry ? `${line.slice(0, longestOutcry)}…` : line;
}
