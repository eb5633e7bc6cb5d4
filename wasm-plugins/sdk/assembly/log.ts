import { proxy_get_log_level, proxy_log } from "./abi";
import { LogLevel } from "./abi-types";
import { lendName, lentName, lentNameSize } from "./lent-text";
import { returnNumber } from "./memory";

/** Lines in the log of the host, marked with the plugin's name there. */
export namespace log {
  /** A line of level trace. */
  export function trace(message: string): void {
    write(LogLevel.Trace, message);
  }
  /** A line of level debug. */
  export function debug(message: string): void {
    write(LogLevel.Debug, message);
  }
  /** A line of level info. */
  export function info(message: string): void {
    write(LogLevel.Info, message);
  }
  /** A line of level warn. */
  export function warn(message: string): void {
    write(LogLevel.Warn, message);
  }
  /** A line of level error. */
  export function error(message: string): void {
    write(LogLevel.Error, message);
  }
  /** A line of level critical. */
  export function critical(message: string): void {
    write(LogLevel.Critical, message);
  }
  /** The lowest level that the host keeps; ask before you build a costly message. */
  export function level(): LogLevel {
    store<u32>(returnNumber, LogLevel.Info);
    proxy_get_log_level(returnNumber);
    return load<u32>(returnNumber);
  }
}

function write(level: LogLevel, message: string): void {
  lendName(message);
  proxy_log(level, lentName, lentNameSize);
}
