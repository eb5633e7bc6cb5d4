import type { SetState, StateStore } from "../../components/state/state-store.ts";
import { callWith } from "../conformance/backend.ts";

/** A write of the text; `changes` are laid over it. */
export const setOf = (key: string, value = "x", changes: Partial<SetState> = {}): SetState => ({
  key,
  value: Buffer.from(value),
  concurrency: "last-write",
  consistency: "strong",
  ...changes,
});

/** The text under the key; undefined when there is none. */
export async function textAt(store: StateStore, key: string): Promise<string | undefined> {
  const entry = await store.get({ key, consistency: "strong" }, callWith());
  return entry && Buffer.from(entry.value).toString();
}
