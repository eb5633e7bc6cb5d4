import { z } from "zod";
import type { CallContext } from "../component.ts";
import { defineSequencer, type ReserveIds, type Sequencer } from "./sequencer.ts";

/** Sequences that begin again at 1 when the process does. */
export const memorySequencer = defineSequencer({
  type: "memory",
  config: z.strictObject({}),
  open: async () => new MemorySequencer(),
});

class MemorySequencer implements Sequencer {
  readonly #next = new Map<string, bigint>();

  async reserve({ key, count }: ReserveIds, { signal }: CallContext): Promise<bigint> {
    signal.throwIfAborted();
    const first = this.#next.get(key) ?? 1n;
    this.#next.set(key, first + BigInt(count));
    return first;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#next.clear();
  }
}
