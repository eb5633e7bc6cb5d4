import { write } from "outrigger:runtime/log@0.1.0";
import { describe } from "./describe.ts";

const line = (level: Parameters<typeof write>[0]) => {
  return (...values: readonly unknown[]): void => write(level, values.map(describe).join(" "));
};

/** The part of `console` that is of use without a terminal; each call is a line in the plugin's log. */
export const pluginConsole = {
  trace: line("trace"),
  debug: line("debug"),
  log: line("info"),
  info: line("info"),
  warn: line("warn"),
  error: line("error"),
  assert(condition: unknown, ...values: readonly unknown[]): void {
    if (!condition) pluginConsole.error("assertion failed", ...values);
  },
};
