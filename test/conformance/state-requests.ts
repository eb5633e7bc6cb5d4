/** Requests of state suites, and how they are refused. */
import assert from "node:assert/strict";
import { RuntimeError } from "../../components/error.ts";
import type { DeleteState, SetState } from "../../components/state/state-store.ts";
import { bytesOf } from "./backend.ts";

/** What a write may say beside its key and value. */
export type Changes = Partial<Omit<SetState, "key" | "value">>;

/** A write that the last writer wins, unless it is changed. */
export function setOf(key: string, value: string | Uint8Array, changes: Changes = {}): SetState {
  const bytes = typeof value === "string" ? bytesOf(value) : value;
  return { key, value: bytes, concurrency: "last-write", consistency: "strong", ...changes };
}

export const deleteOf = (key: string, changes: Partial<DeleteState> = {}): DeleteState => ({
  key,
  concurrency: "last-write",
  ...changes,
});

/** True for the error of a refused etag whose message names the key. */
export const etagMismatch =
  (key: string) =>
  (error: unknown): boolean =>
    error instanceof RuntimeError &&
    error.code === "ABORTED" &&
    error.reason === "ETAG_MISMATCH" &&
    error.message.includes(key);

/** The index of the one that succeeded; all others were refused for their etag. */
export function onlyWinner(outcomes: readonly PromiseSettledResult<void>[], key: string): number {
  const winners = outcomes.flatMap(({ status }, index) => (status === "fulfilled" ? [index] : []));
  assert.equal(winners.length, 1, "exactly one wins");
  for (const outcome of outcomes) if (outcome.status === "rejected") assert.ok(etagMismatch(key)(outcome.reason));
  return winners[0] ?? -1;
}
