import { payForBytes } from "../charge.ts";
import type { GuestHost, ImportedInterface } from "../provider.ts";

/** Lines for the plugin's log, each with its context before it. */
export const loggingInterface: ImportedInterface = {
  name: "wasi:logging/logging",
  versions: ["0.1.0-draft"],
  waiting: [],
  make: (host) => ({
    log(level: Parameters<GuestHost["log"]>[0], context: string, message: string) {
      payForBytes(host, context.length + message.length);
      host.log(level, context === "" ? message : `${context}: ${message}`);
    },
  }),
};
