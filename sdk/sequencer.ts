import {
  SequencerOptions_AutoIncrement as AutoIncrement,
  RuntimeService,
} from "../proto/gen/spec/proto/runtime/v1/runtime.ts";
import type { CallOptions, Channel } from "./channel.ts";

export interface NextId {
  readonly store: string;
  readonly key: string;
  /** `weak` (the default) is unique and quick and may skip ids; `strong` is greater than every strong id before. */
  readonly increment?: "weak" | "strong";
}

/** Ids that are never given twice. */
export class SequencerClient {
  readonly #channel: Channel;

  constructor(channel: Channel) {
    this.#channel = channel;
  }

  async next({ store, key, increment = "weak" }: NextId, options?: CallOptions): Promise<bigint> {
    const sent = increment === "strong" ? AutoIncrement.STRONG : AutoIncrement.WEAK;
    const request = { storeName: store, key, options: { increment: sent }, metadata: {} };
    const { nextId } = await this.#channel.unary(RuntimeService.getNextId, request, options);
    return nextId;
  }
}
