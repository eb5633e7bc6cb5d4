import { setImmediate } from "node:timers/promises";
import type { Manifest } from "../manifest.ts";
import { PluginError } from "../plugin-error.ts";
import { type StreamTaker, SyntheticRequest } from "../synthetic-request.ts";

/** Failures that say something of the plugin, not of what it waits for. */
const telling: ReadonlySet<string> = new Set(["trap", "fuel", "memory", "budget"]);

export interface WarmUpTerms {
  /** How many, for each pool. */
  readonly requests: number;
  /** Ends it: it rejects with the reason. */
  readonly signal?: AbortSignal | undefined;
  /** Longest time that all of it may take; default 10 seconds. */
  readonly withinMs?: number;
}

const defaultWithinMs = 10_000;

/**
 * Gives each pool that many requests that nobody made, one after the other, so that its code and its caches are warm; between two
 * of them the event loop turns. What the pool does to them is ignored, unless it fails: then it rejects with PluginError, as when
 * its time is over.
 */
export async function warmUp(takers: Iterable<StreamTaker>, manifest: Manifest, terms: WarmUpTerms): Promise<void> {
  const { name, version, kind } = manifest;
  const { requests, signal, withinMs = defaultWithinMs } = terms;
  const time = AbortSignal.timeout(withinMs);
  const over = signal === undefined ? time : AbortSignal.any([time, signal]);
  for (const taker of takers) {
    for (let count = 0; count < requests; count++) {
      const error = await new SyntheticRequest().run(taker, kind, over);
      if (error !== undefined && telling.has(error.fault)) {
        const message = `plugin '${name}' cannot be deployed: it failed while it was warmed up: ${error.message}`;
        throw new PluginError(name, version, error.fault, message, { cause: error });
      }
      await setImmediate();
      signal?.throwIfAborted();
      if (!time.aborted) continue;
      const many = `rollout.warmUp of ${requests} requests for each configuration in use`;
      const message = `plugin '${name}' cannot be deployed: its ${many} takes more than ${withinMs / 1_000} s; ask for fewer`;
      throw new PluginError(name, version, "deadline", message);
    }
  }
}
