import { z } from "zod";
import { type CallContext, throwIfAborted } from "../component.ts";
import { RuntimeError } from "../error.ts";
import { largestId, sequenceExhausted } from "./exhausted.ts";
import { defineSequencer, type ReserveIds, type Sequencer } from "./sequencer.ts";

/** Bytes that a sequence takes beside its key. */
const sequenceBytes = 96;

/** Sequences that begin again at 1 when the process does. */
export const memorySequencer = defineSequencer({
  type: "memory",
  capabilities: ["consecutive"],
  config: z.strictObject({
    maxBytes: z
      .int()
      .positive()
      .default(64 * 1024 ** 2)
      .describe(
        "Most bytes of all keys together; default 64 MiB. A new key over it is refused, since none is forgotten",
      ),
  }),
  open: async ({ maxBytes }, { name }) => new MemorySequencer(name, maxBytes),
});

class MemorySequencer implements Sequencer {
  readonly #name: string;
  readonly #maxBytes: number;
  readonly #last = new Map<string, bigint>();
  #bytes = 0;

  constructor(name: string, maxBytes: number) {
    this.#name = name;
    this.#maxBytes = maxBytes;
  }

  async reserve({ key, count }: ReserveIds, call: CallContext): Promise<bigint> {
    throwIfAborted(call);
    const before = this.#last.get(key) ?? this.#begin(key);
    const last = before + BigInt(count);
    if (last > largestId) throw sequenceExhausted(this.#name, key);
    this.#last.set(key, last);
    return before + 1n;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#last.clear();
  }

  #begin(key: string): bigint {
    const bytes = sequenceBytes + 2 * key.length;
    if (this.#bytes + bytes > this.#maxBytes) {
      const message = `sequencer '${this.#name}' has ${this.#last.size} keys and no room for another; raise maxBytes`;
      throw new RuntimeError("RESOURCE_EXHAUSTED", "SEQUENCER_FULL", message);
    }
    this.#bytes += bytes;
    return 0n;
  }
}
