import {
  SequencerOptions_AutoIncrement as AutoIncrement,
  type RuntimeService,
} from "../../../proto/gen/spec/proto/runtime/v1/runtime.ts";
import type { HandlersOf } from "../../grpc/service.ts";
import type { SequencerBlock } from "../sequencer.ts";

/** The sequencer method of Layotto's service; a request without options is WEAK. */
export function sequencerMethods(sequencer: SequencerBlock) {
  return {
    async getNextId({ storeName, key, options }, call) {
      const increment = options?.increment === AutoIncrement.STRONG ? "strong" : "weak";
      return { nextId: await sequencer.next({ store: storeName, key, increment }, call) };
    },
  } satisfies HandlersOf<RuntimeService>;
}
