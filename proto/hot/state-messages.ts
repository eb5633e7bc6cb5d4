import type {
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
  TransactionalStateOperation,
} from "../gen/spec/proto/runtime/v1/runtime.ts";
import { type MessageShape, noBytes, readMessage, writeMessage, writeTextMap } from "./message-shape.ts";

/** What an item takes beside its key and value, about. */
const itemBytes = 24;

export const getStateRequest: MessageShape<GetStateRequest> = {
  read(reader) {
    const message: GetStateRequest = { storeName: "", key: "", consistency: 0, metadata: {} };
    for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
      if (tag === 10) message.storeName = reader.name();
      else if (tag === 18) message.key = reader.string();
      else if (tag === 24) message.consistency = reader.enum();
      else if (tag === 34) reader.textEntry(message.metadata);
      else reader.passOver(tag);
    }
    return message;
  },
  write({ storeName, key, consistency, metadata }, writer) {
    writer.string(10, storeName);
    writer.string(18, key);
    writer.int32(24, consistency);
    writeTextMap(34, metadata, writer);
  },
};

export const getStateResponse: MessageShape<GetStateResponse> = {
  read(reader) {
    const message: GetStateResponse = { data: noBytes, etag: "", metadata: {} };
    for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
      if (tag === 10) message.data = reader.bytes();
      else if (tag === 18) message.etag = reader.string();
      else if (tag === 26) reader.textEntry(message.metadata);
      else reader.passOver(tag);
    }
    return message;
  },
  write({ data, etag, metadata }, writer) {
    writer.bytes(10, data);
    writer.string(18, etag);
    writeTextMap(26, metadata, writer);
  },
};

export const getBulkStateRequest: MessageShape<GetBulkStateRequest> = {
  read(reader) {
    const message: GetBulkStateRequest = { storeName: "", keys: [], parallelism: 0, metadata: {} };
    for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
      if (tag === 10) message.storeName = reader.name();
      else if (tag === 18) message.keys.push(reader.string());
      else if (tag === 24) message.parallelism = reader.int32();
      else if (tag === 34) reader.textEntry(message.metadata);
      else reader.passOver(tag);
    }
    return message;
  },
  write({ storeName, keys, parallelism, metadata }, writer) {
    writer.string(10, storeName);
    for (const key of keys) writer.repeatedString(18, key);
    writer.int32(24, parallelism);
    writeTextMap(34, metadata, writer);
  },
};

const bulkStateItem: MessageShape<BulkStateItem> = {
  read(reader) {
    const message: BulkStateItem = { key: "", data: noBytes, etag: "", error: "", metadata: {} };
    for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
      if (tag === 10) message.key = reader.string();
      else if (tag === 18) message.data = reader.bytes();
      else if (tag === 26) message.etag = reader.string();
      else if (tag === 34) message.error = reader.string();
      else if (tag === 42) reader.textEntry(message.metadata);
      else reader.passOver(tag);
    }
    return message;
  },
  write({ key, data, etag, error, metadata }, writer) {
    writer.string(10, key);
    writer.bytes(18, data);
    writer.string(26, etag);
    writer.string(34, error);
    writeTextMap(42, metadata, writer);
  },
};

export const getBulkStateResponse: MessageShape<GetBulkStateResponse> = {
  read(reader) {
    const message: GetBulkStateResponse = { items: [] };
    for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
      if (tag === 10) message.items.push(readMessage(bulkStateItem, reader));
      else reader.passOver(tag);
    }
    return message;
  },
  write({ items }, writer) {
    for (const item of items) {
      const expected = item.key.length + item.data.length + item.etag.length + item.error.length + itemBytes;
      writeMessage(bulkStateItem, 10, item, writer, expected);
    }
  },
};

const etag: MessageShape<Etag> = {
  read(reader) {
    const message: Etag = { value: "" };
    for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
      if (tag === 10) message.value = reader.string();
      else reader.passOver(tag);
    }
    return message;
  },
  write: ({ value }, writer) => writer.string(10, value),
};

const stateOptions: MessageShape<StateOptions> = {
  read(reader) {
    const message: StateOptions = { concurrency: 0, consistency: 0 };
    for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
      if (tag === 8) message.concurrency = reader.enum();
      else if (tag === 16) message.consistency = reader.enum();
      else reader.passOver(tag);
    }
    return message;
  },
  write({ concurrency, consistency }, writer) {
    writer.int32(8, concurrency);
    writer.int32(16, consistency);
  },
};

const stateItem: MessageShape<StateItem> = {
  read(reader) {
    const message: StateItem = {
      key: "",
      value: noBytes,
      etag: undefined,
      metadata: {},
      options: undefined,
    };
    for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
      if (tag === 10) message.key = reader.string();
      else if (tag === 18) message.value = reader.bytes();
      else if (tag === 26) message.etag = readMessage(etag, reader);
      else if (tag === 34) reader.textEntry(message.metadata);
      else if (tag === 42) message.options = readMessage(stateOptions, reader);
      else reader.passOver(tag);
    }
    return message;
  },
  write(message, writer) {
    writer.string(10, message.key);
    writer.bytes(18, message.value);
    writeMessage(etag, 26, message.etag, writer);
    writeTextMap(34, message.metadata, writer);
    writeMessage(stateOptions, 42, message.options, writer);
  },
};

const lengthOf = ({ key, value }: StateItem): number => key.length + value.length + itemBytes;

type Items = Pick<SaveStateRequest & DeleteBulkStateRequest, "storeName" | "states">;

/** Both messages that carry items to one store have the same fields. */
const items: MessageShape<Items> = {
  read(reader) {
    const message: Items = { storeName: "", states: [] };
    for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
      if (tag === 10) message.storeName = reader.name();
      else if (tag === 18) message.states.push(readMessage(stateItem, reader));
      else reader.passOver(tag);
    }
    return message;
  },
  write({ storeName, states }, writer) {
    writer.string(10, storeName);
    for (const item of states) writeMessage(stateItem, 18, item, writer, lengthOf(item));
  },
};

export const saveStateRequest: MessageShape<SaveStateRequest> = items;
export const deleteBulkStateRequest: MessageShape<DeleteBulkStateRequest> = items;

export const deleteStateRequest: MessageShape<DeleteStateRequest> = {
  read(reader) {
    const message: DeleteStateRequest = {
      storeName: "",
      key: "",
      etag: undefined,
      options: undefined,
      metadata: {},
    };
    for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
      if (tag === 10) message.storeName = reader.name();
      else if (tag === 18) message.key = reader.string();
      else if (tag === 26) message.etag = readMessage(etag, reader);
      else if (tag === 34) message.options = readMessage(stateOptions, reader);
      else if (tag === 42) reader.textEntry(message.metadata);
      else reader.passOver(tag);
    }
    return message;
  },
  write(message, writer) {
    writer.string(10, message.storeName);
    writer.string(18, message.key);
    writeMessage(etag, 26, message.etag, writer);
    writeMessage(stateOptions, 34, message.options, writer);
    writeTextMap(42, message.metadata, writer);
  },
};

const operation: MessageShape<TransactionalStateOperation> = {
  read(reader) {
    const message: TransactionalStateOperation = { operationType: "", request: undefined };
    for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
      if (tag === 10) message.operationType = reader.name();
      else if (tag === 18) message.request = readMessage(stateItem, reader);
      else reader.passOver(tag);
    }
    return message;
  },
  write({ operationType, request }, writer) {
    writer.string(10, operationType);
    writeMessage(stateItem, 18, request, writer, request === undefined ? 0 : lengthOf(request));
  },
};

export const executeStateTransactionRequest: MessageShape<ExecuteStateTransactionRequest> = {
  read(reader) {
    const message: ExecuteStateTransactionRequest = { storeName: "", operations: [], metadata: {} };
    for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
      if (tag === 10) message.storeName = reader.name();
      else if (tag === 18) message.operations.push(readMessage(operation, reader));
      else if (tag === 26) reader.textEntry(message.metadata);
      else reader.passOver(tag);
    }
    return message;
  },
  write({ storeName, operations, metadata }, writer) {
    writer.string(10, storeName);
    for (const one of operations) {
      writeMessage(operation, 18, one, writer, one.request === undefined ? 0 : lengthOf(one.request) + itemBytes);
    }
    writeTextMap(26, metadata, writer);
  },
};
