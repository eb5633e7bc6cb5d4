import type { CallContext } from "../../components/component.ts";
import { RuntimeError } from "../../components/error.ts";
import type { ReserveIds, Sequencer } from "../../components/sequencer/sequencer.ts";
import { IdSegments } from "./id-segments.ts";
import { storedKey } from "./key-prefix.ts";
import type { OpenedStore, StoreSet } from "./stores.ts";
import { unlessAborted } from "./unless-aborted.ts";

/**
 * `weak`: unique, growing on the whole, given from memory; ids may be skipped. `strong`: each id is taken from the store
 * by itself, so it is greater than every strong id given before. Both are the same where ids are not consecutive.
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

  const segmentsOf = (opened: OpenedStore<Sequencer>, key: string, call: CallContext): IdSegments => {
    const known = segments.get(opened.store) ?? new Map<string, IdSegments>();
    segments.set(opened.store, known);
    const found = known.get(key) ?? new IdSegments((count) => reserve(opened, { key, count }, call));
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
      const isAlone = increment === "strong" || !opened.capabilities.has("consecutive");
      if (isAlone) return opened.store.reserve({ key, count: 1 }, call);
      return unlessAborted(segmentsOf(opened, key, call).next(), call.signal);
    },
  };
}

/** A reservation serves many callers, so none of them can cancel it; it has a time of its own. */
async function reserve(
  { name, store }: OpenedStore<Sequencer>,
  request: ReserveIds,
  { appId, log }: CallContext,
): Promise<bigint> {
  const signal = AbortSignal.timeout(reserveTimeoutMs);
  try {
    return await store.reserve(request, { appId, log, peer: { address: "runtime" }, signal });
  } catch (cause) {
    if (!signal.aborted) throw cause;
    const message = `sequencer '${name}' did not answer within ${reserveTimeoutMs} ms`;
    throw new RuntimeError("UNAVAILABLE", "SEQUENCER_SLOW", message, { cause });
  }
}
