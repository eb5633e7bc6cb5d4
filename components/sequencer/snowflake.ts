import { hostname } from "node:os";
import { setTimeout as delay } from "node:timers/promises";
import { z } from "zod";
import { type CallContext, type OpenContext, throwIfAborted } from "../component.ts";
import { RuntimeError } from "../error.ts";
import { sequenceExhausted } from "./exhausted.ts";
import { defineSequencer, type ReserveIds, type Sequencer } from "./sequencer.ts";
import { type NoId, type SnowflakeClock, SnowflakeClocks, workerIds } from "./snowflake-clock.ts";

/**
 * Ids of the time, a worker and a count, with no server. None comes twice as long as no two processes have the same worker
 * id at a time, and the clock is not set back while there is none.
 */
export const snowflakeSequencer = defineSequencer({
  type: "snowflake",
  capabilities: ["durable"],
  config: z.strictObject({
    workerId: z
      .int()
      .min(0)
      .max(workerIds - 1)
      .optional()
      .describe(
        "What tells the ids of this process from those of all others, 0 to 1023: two that run at once must not have the same. Default the number at the end of the host's name, such as 3 of orders-3 in a StatefulSet",
      ),
    epoch: z.iso
      .datetime()
      .default("2024-01-01T00:00:00Z")
      .describe(
        "The time from which ids count milliseconds, for 69 years; default 2024-01-01T00:00:00Z. It must never change, and be the same for all",
      ),
    longestWaitMs: z
      .int()
      .min(0)
      .max(10_000)
      .default(100)
      .describe(
        "A clock that went back by no more than this is waited for; when it went back further, no ids are given until it is where it was. In milliseconds; default 100",
      ),
  }),
  async open({ workerId = workerOf(hostname()), epoch, longestWaitMs }, context) {
    const { name, share } = context;
    if (workerId === undefined) {
      const message = `sequencer '${name}' has no workerId and the host's name '${hostname()}' does not end in a number below ${workerIds}; give each sidecar a workerId of its own`;
      throw new RuntimeError("FAILED_PRECONDITION", "WORKER_ID_MISSING", message);
    }
    const epochMs = Date.parse(epoch);
    const clocks = share?.(SnowflakeClocks) ?? new SnowflakeClocks();
    return new SnowflakeSequencer(context, { clock: clocks.of(workerId, epochMs), epochMs, longestWaitMs });
  },
});

interface SnowflakeParts {
  readonly clock: SnowflakeClock;
  readonly epochMs: number;
  readonly longestWaitMs: number;
}

class SnowflakeSequencer implements Sequencer {
  readonly #context: OpenContext;
  readonly #parts: SnowflakeParts;
  #isRefusing = false;

  constructor(context: OpenContext, parts: SnowflakeParts) {
    this.#context = context;
    this.#parts = parts;
  }

  async reserve({ key, count }: ReserveIds, call: CallContext): Promise<bigint> {
    if (count !== 1) throw new RangeError("ids of a snowflake are not consecutive: they can be taken one by one only");
    const { clock, epochMs } = this.#parts;
    for (;;) {
      throwIfAborted(call);
      const id = clock.next(Date.now() - epochMs);
      if (typeof id === "bigint") {
        this.#tell(undefined);
        return id;
      }
      await delay(this.#waitFor(id, key), undefined, { signal: call.signal }).catch(() => throwIfAborted(call));
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {}

  /** How long to wait for the next id in milliseconds; throws when it is not worth waiting. */
  #waitFor(no: NoId, key: string): number {
    const { name } = this.#context;
    switch (no.why) {
      case "all ids of this millisecond are taken":
        return 1;
      case "the clock went back": {
        const { byMs } = no;
        if (byMs <= this.#parts.longestWaitMs) return byMs;
        const message = `the clock of this machine went back by ${byMs} ms; sequencer '${name}' gives no ids until it is where it was`;
        this.#tell(message);
        throw new RuntimeError("UNAVAILABLE", "CLOCK_WENT_BACK", message);
      }
      case "the clock is out of the range of ids":
        throw sequenceExhausted(name, key);
    }
  }

  /** Once each time that it changes. */
  #tell(why: string | undefined): void {
    if (this.#isRefusing === (why !== undefined)) return;
    this.#isRefusing = why !== undefined;
    const { reachability, log } = this.#context;
    if (why === undefined) reachability.up();
    else {
      reachability.down(why);
      log.warn({}, why);
    }
  }
}

/** The worker id at the end of a host's name, if there is one. */
export function workerOf(host: string): number | undefined {
  const [, digits] = /-(\d{1,4})$/.exec(host) ?? [];
  const number = Number(digits);
  return number < workerIds ? number : undefined;
}
