import {
  BulkStateItem,
  DeleteBulkStateRequest,
  DeleteStateRequest,
  Etag,
  ExecuteStateTransactionRequest,
  GetBulkStateRequest,
  GetBulkStateResponse,
  GetStateRequest,
  GetStateResponse,
  SaveStateRequest,
  StateItem,
  StateOptions,
  StateOptions_StateConcurrency,
  TransactionalStateOperation,
} from "../gen/spec/proto/runtime/v1/runtime";
import { failure, Result, Status, success } from "../status";
import { decodeText } from "../text";
import { callRuntime, tellRuntime } from "./call";

/** A value as it was read. */
export class StateValue {
  constructor(
    readonly bytes: Uint8Array,
    /** Names this very value; empty when the key does not exist. */
    readonly etag: string,
  ) {}

  /** Whether the key exists. */
  get exists(): bool {
    return this.etag.length > 0 || this.bytes.length > 0;
  }

  /** The bytes as text. */
  text(): string {
    return decodeText(this.bytes);
  }
}

/** How to write. */
export class SaveOptions {
  /** Write only over the value of this etag; empty means whatever is there. */
  etag: string = "";
  /** Write only when nobody wrote since the etag was read; without an etag, only when the key does not exist. */
  firstWrite: bool = false;
  /** Seconds until the value goes; 0 leaves that to the store. */
  ttlSeconds: i32 = 0;

  /** Write only over the value that was read; when it did not exist, only if it still does not. */
  static over(read: StateValue): SaveOptions {
    const options = new SaveOptions();
    options.etag = read.etag;
    options.firstWrite = true;
    return options;
  }

  /** A value that is gone after so many seconds. */
  static ttl(seconds: i32): SaveOptions {
    const options = new SaveOptions();
    options.ttlSeconds = seconds;
    return options;
  }
}

/** Keys and values in a state store. A conflict with another writer is ABORTED: read again and retry. */
export namespace state {
  /** Reads one key; a key that does not exist is no failure, see `exists`. */
  export function get(store: string, key: string): Result<StateValue> {
    const request = new GetStateRequest();
    request.storeName = store;
    request.key = key;
    const answer = callRuntime<GetStateResponse>("GetState", request);
    if (!answer.ok) return failure<StateValue>(answer.code, answer.message);
    return success(new StateValue(answer.value.data, answer.value.etag));
  }

  /** Reads several keys; each item carries its own error. */
  export function getAll(store: string, keys: string[]): Result<BulkStateItem[]> {
    const request = new GetBulkStateRequest();
    request.storeName = store;
    request.keys = keys;
    const answer = callRuntime<GetBulkStateResponse>("GetBulkState", request);
    return answer.ok ? success(answer.value.items) : failure<BulkStateItem[]>(answer.code, answer.message);
  }

  /** Writes one key. */
  export function save(
    store: string, key: string, value: Uint8Array, options: SaveOptions = new SaveOptions(),
  ): Status {
    return saveAll(store, [item(key, value, options)]);
  }

  /** Writes several keys. */
  export function saveAll(store: string, items: StateItem[]): Status {
    const request = new SaveStateRequest();
    request.storeName = store;
    request.states = items;
    return tellRuntime("SaveState", request);
  }

  /** Removes one key; with an etag, only that very value. */
  export function remove(store: string, key: string, etag: string = ""): Status {
    const request = new DeleteStateRequest();
    request.storeName = store;
    request.key = key;
    if (etag.length > 0) request.etag = etagOf(etag);
    return tellRuntime("DeleteState", request);
  }

  /** Removes several keys. */
  export function removeAll(store: string, keys: string[]): Status {
    const request = new DeleteBulkStateRequest();
    request.storeName = store;
    for (let i = 0; i < keys.length; i++) {
      const named = new StateItem();
      named.key = keys[i];
      request.states.push(named);
    }
    return tellRuntime("DeleteBulkState", request);
  }

  /** Applies `upsert` and `erase` in order, all of them or none. */
  export function transaction(store: string, operations: TransactionalStateOperation[]): Status {
    const request = new ExecuteStateTransactionRequest();
    request.storeName = store;
    request.operations = operations;
    return tellRuntime("ExecuteStateTransaction", request);
  }

  /** A write within a transaction. */
  export function upsert(
    key: string, value: Uint8Array, options: SaveOptions = new SaveOptions(),
  ): TransactionalStateOperation {
    const operation = new TransactionalStateOperation();
    operation.operationType = "upsert";
    operation.request = item(key, value, options);
    return operation;
  }

  /** A removal within a transaction. */
  export function erase(key: string, etag: string = ""): TransactionalStateOperation {
    const operation = new TransactionalStateOperation();
    const named = new StateItem();
    named.key = key;
    if (etag.length > 0) named.etag = etagOf(etag);
    operation.operationType = "delete";
    operation.request = named;
    return operation;
  }

  /** One key to write, for `saveAll`. */
  export function item(key: string, value: Uint8Array, options: SaveOptions = new SaveOptions()): StateItem {
    const written = new StateItem();
    written.key = key;
    written.value = value;
    if (options.etag.length > 0) written.etag = etagOf(options.etag);
    if (options.ttlSeconds != 0) written.metadata.set("ttlInSeconds", options.ttlSeconds.toString());
    if (options.firstWrite) {
      const concurrency = new StateOptions();
      concurrency.concurrency = StateOptions_StateConcurrency.CONCURRENCY_FIRST_WRITE;
      written.options = concurrency;
    }
    return written;
  }
}

function etagOf(value: string): Etag {
  const etag = new Etag();
  etag.value = value;
  return etag;
}
