// What the standard library of AssemblyScript asks of a host, answered over the ABI. asconfig.json puts these in the
// place of its own imports.
import { log } from "./log";
import { clock } from "./clock";

/** Logs why, and ends the instance. The host serves later requests with a new one. */
export function abort(message: string | null = null, file: string | null = null, line: u32 = 0, column: u32 = 0): void {
  const reason = message === null ? "abort" : message;
  const place = file === null ? "" : " at " + file + ":" + line.toString() + ":" + column.toString();
  log.critical(reason + place);
  unreachable();
}

/** `trace` of the standard library, for a quick look while developing. */
export function trace(
  message: string, n: i32 = 0, a0: f64 = 0, a1: f64 = 0, a2: f64 = 0, a3: f64 = 0, a4: f64 = 0,
): void {
  let line = message;
  if (n > 0) line += " " + a0.toString();
  if (n > 1) line += ", " + a1.toString();
  if (n > 2) line += ", " + a2.toString();
  if (n > 3) line += ", " + a3.toString();
  if (n > 4) line += ", " + a4.toString();
  log.trace(line);
}

/** Seeds Math.random: good enough to spread load, not for secrets. */
export function seed(): f64 {
  return reinterpret<f64>(clock.nanoseconds());
}

/** The console, in the log of the host. */
export namespace console {
  export function assert<T>(condition: T, message: string = ""): void {
    if (!condition) writeError("assertion failed: " + message);
  }
  export function log(message: string = ""): void {
    info(message);
  }
  export function debug(message: string = ""): void {
    writeDebug(message);
  }
  export function info(message: string = ""): void {
    writeInfo(message);
  }
  export function warn(message: string = ""): void {
    writeWarn(message);
  }
  export function error(message: string = ""): void {
    writeError(message);
  }
}

function writeDebug(message: string): void {
  log.debug(message);
}
function writeInfo(message: string): void {
  log.info(message);
}
function writeWarn(message: string): void {
  log.warn(message);
}
function writeError(message: string): void {
  log.error(message);
}
