import pino from "pino";
import { GatheredLines, type LateLine } from "./gathered-lines.ts";

export type LogLevel = "trace" | "debug" | "info" | "warn" | "error" | "silent";
export type Log = pino.Logger;

/** Bytes of lines that may wait for a reader of stderr who is slower than the log; beyond them lines are dropped. */
const maxWaitingBytes = 16 * 1024 ** 2;

/** A logger that writes one JSON object a line to stderr, or to `destination`. Secrets by these names never reach it. */
export function createLog(options: { level: LogLevel; destination?: pino.DestinationStream }): Log {
  const { level, destination } = options;
  const settings: pino.LoggerOptions = {
    level,
    base: null,
    timestamp: pino.stdTimeFunctions.isoTime,
    redact: {
      paths: ["token", "password", "authorization", "*.token", "*.password", "*.authorization"],
      censor: "[redacted]",
    },
  };
  return destination === undefined ? toStderr(settings) : pino(settings, destination);
}

/** Where the lines of a log go. */
export interface LineDestination extends pino.DestinationStream {
  /** Takes a line that is made when lines are handed on together; absent where each goes on at once. */
  writeLate?(line: LateLine): void;
}

/** For those who write whole lines of their own. */
export function destinationOf(log: Log): LineDestination {
  const destination: unknown = Reflect.get(log, pino.symbols.streamSym);
  if (!isDestination(destination)) throw new TypeError("the log has no destination");
  return destination;
}

const isDestination = (value: unknown): value is LineDestination =>
  typeof value === "object" && value !== null && "write" in value && typeof value.write === "function";

/** Writes without waiting for the reader, and tells how much was dropped once the reader has caught up. */
function toStderr(settings: pino.LoggerOptions): Log {
  const stderr = pino.destination({ dest: 2, sync: false, maxLength: maxWaitingBytes });
  const lines = new GatheredLines({
    later: (text) => void stderr.write(text),
    now(text) {
      stderr.flushSync();
      pino.destination({ dest: 2, sync: true }).write(text);
    },
  });
  const destination: LineDestination & { flushSync(): void } = {
    write: (line) => lines.write(line),
    writeLate: (line) => lines.writeLate(line),
    // After a line of level fatal.
    flushSync: () => lines.flushSync(),
  };
  const log = pino(settings, destination);
  let dropped = 0;
  stderr.on("drop", (text) => {
    dropped += text.split("\n").length - 1;
  });
  stderr.on("drain", () => {
    if (dropped === 0) return;
    const count = dropped;
    dropped = 0;
    log.warn({ lines: count }, `${count} lines of the log were dropped: they came faster than stderr was read`);
    lines.flush();
  });
  return log;
}
