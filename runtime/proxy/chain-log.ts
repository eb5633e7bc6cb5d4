import type { PluginError } from "../plugin/plugin-error.ts";

/** Where it is told why a plugin failed. */
export interface ChainLog {
  warn(fields: object, message: string): void;
  debug(fields: object, message: string): void;
}

/** Tells the log of a plugin's failure in a request. */
export function tellFailure(log: ChainLog, plugin: string, error: PluginError, requestId: string): void {
  const fields = { plugin: plugin || error.plugin, version: error.version, fault: error.fault };
  // A missing plugin is known from readiness; telling it for each request would only fill the log.
  if (error.fault === "missing" || error.fault === "budget") log.debug(fields, error.message);
  else log.warn({ ...fields, requestId }, error.message);
}
