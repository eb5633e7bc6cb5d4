import type { z } from "zod";
import type { CallContext, ComponentDefinition } from "../component.ts";

export interface ReserveIds {
  readonly key: string;
  /** How many consecutive ids to take; at least 1, and 1 of a sequencer that is not `consecutive`. */
  readonly count: number;
}

/** Sequences of growing ids that never give the same id twice. */
export interface Sequencer extends AsyncDisposable {
  /** Takes the next `count` consecutive ids of the key and resolves to the first of them. */
  reserve(request: ReserveIds, call: CallContext): Promise<bigint>;
}

/**
 * `durable`: a sequence goes on behind its last id after the component was opened again. `consecutive`: ids begin with 1 and
 * leave none out, so that several may be reserved together. `shared`: all who have it open with the same settings, in any
 * process, count together.
 */
export type SequencerCapability = "durable" | "consecutive" | "shared";

export const defineSequencer = <Schema extends z.ZodObject>(
  definition: ComponentDefinition<Sequencer, Schema, SequencerCapability>,
): ComponentDefinition<Sequencer, Schema, SequencerCapability> => definition;
