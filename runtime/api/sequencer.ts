import type { CallContext } from "../../components/component.ts";
import type { Sequencer } from "../../components/sequencer/sequencer.ts";
import { IdSegments } from "./id-segments.ts";
import { storedKey } from "./key-prefix.ts";
import type { StoreSet } from "./stores.ts";
import { unlessAborted } from "./unless-aborted.ts";

/**
 * `weak`: unique, growing on the whole, given from memory; ids may be skipped. `strong`: each id is taken from the store
 * by itself, so it is greater than every strong id given before.
 */
export type Increment = "weak" | "strong";

/** The sequencer building block. Ids of one key are never given twice, whichever increments are mixed. */
export interface SequencerBlock {
  next(request: { store: string; key: string; increment: Increment }, call: CallContext): Promise<bigint>;
}

/** Keys of one sequencer whose segments are kept; the one unused for longest goes first. */
const maxKeys = 10_000;
const reserveTimeoutMs = 5_000;

/** The block over the sequencers that are open when a call comes. */
export function createSequencer(stores: StoreSet<Sequencer>): SequencerBlock {
  // By the open store: one that is opened anew under the same name begins with segments of its own.
  const segments = new WeakMap<Sequencer, Map<string, IdSegments>>();

  const segmentsOf = (store: Sequencer, key: string, call: CallContext): IdSegments => {
    const known = segments.get(store) ?? new Map<string, IdSegments>();
    segments.set(store, known);
    const found = known.get(key) ?? new IdSegments((count) => store.reserve({ key, count }, shared(call)));
    known.delete(key);
    known.set(key, found);
    const [oldest] = known.keys();
    if (known.size > maxKeys && oldest !== undefined) known.delete(oldest);
    return found;
  };

  return {
    async next({ store, key: name, increment }, call) {
      const opened = stores.find(store);
      const key = storedKey("sequencer", opened, name, { appId: call.appId, what: "key" });
      if (increment === "strong") return opened.store.reserve({ key, count: 1 }, call);
      return unlessAborted(segmentsOf(opened.store, key, call).next(), call.signal);
    },
  };
}

/** The context of a reservation, which serves many callers: none of them can cancel it. */
function shared({ appId, log }: CallContext): CallContext {
  return { appId, log, peer: { address: "runtime" }, signal: AbortSignal.timeout(reserveTimeoutMs) };
}
