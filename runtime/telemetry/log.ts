import pino from "pino";

export type LogLevel = "trace" | "debug" | "info" | "warn" | "error" | "silent";
export type Log = pino.Logger;

/** A logger that writes one JSON object a line to stderr, or to `destination`. Secrets by these names never reach it. */
export function createLog(options: { level: LogLevel; destination?: pino.DestinationStream }): Log {
  return pino(
    {
      level: options.level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      redact: {
        paths: ["token", "password", "authorization", "*.token", "*.password", "*.authorization"],
        censor: "[redacted]",
      },
    },
    options.destination ?? pino.destination({ dest: 2, sync: false }),
  );
}
