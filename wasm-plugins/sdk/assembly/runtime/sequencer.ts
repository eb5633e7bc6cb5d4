import {
  GetNextIdRequest,
  GetNextIdResponse,
  SequencerOptions,
  SequencerOptions_AutoIncrement,
} from "../gen/spec/proto/runtime/v1/runtime";
import { failure, Result, success } from "../status";
import { callRuntime } from "./call";

/** Numbers that no other caller gets. */
export namespace sequencer {
  /** The next id of a sequence: growing, with gaps. */
  export function next(store: string, key: string): Result<i64> {
    return take(store, key, SequencerOptions_AutoIncrement.WEAK);
  }

  /** The next id of a sequence: the one before plus one, across all callers. */
  export function nextStrong(store: string, key: string): Result<i64> {
    return take(store, key, SequencerOptions_AutoIncrement.STRONG);
  }
}

function take(store: string, key: string, increment: SequencerOptions_AutoIncrement): Result<i64> {
  const request = new GetNextIdRequest();
  const options = new SequencerOptions();
  options.increment = increment;
  request.storeName = store;
  request.key = key;
  request.options = options;
  const answer = callRuntime<GetNextIdResponse>("GetNextId", request);
  return answer.ok ? success<i64>(answer.value.nextId) : failure<i64>(answer.code, answer.message);
}
