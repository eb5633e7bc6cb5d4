import pino from "pino";

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

/** Writes without waiting for the reader, and tells how much was dropped once the reader has caught up. */
function toStderr(settings: pino.LoggerOptions): Log {
  const destination = pino.destination({ dest: 2, sync: false, maxLength: maxWaitingBytes });
  const log = pino(settings, destination);
  let dropped = 0;
  destination.on("drop", () => dropped++);
  destination.on("drain", () => {
    if (dropped === 0) return;
    const lines = dropped;
    dropped = 0;
    log.warn({ lines }, `${lines} lines of the log were dropped: they came faster than stderr was read`);
  });
  return log;
}
