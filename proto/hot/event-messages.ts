import type {
  PublishEventRequest,
  TopicEventRequest,
  TopicEventResponse,
} from "../gen/spec/proto/runtime/v1/runtime.ts";
import { type MessageShape, noBytes, writeTextMap } from "./message-shape.ts";

export const publishEventRequest: MessageShape<PublishEventRequest> = {
  read(reader) {
    const message: PublishEventRequest = {
      pubsubName: "",
      topic: "",
      data: noBytes,
      dataContentType: "",
      metadata: {},
    };
    for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
      if (tag === 10) message.pubsubName = reader.name();
      else if (tag === 18) message.topic = reader.name();
      else if (tag === 26) message.data = reader.bytes();
      else if (tag === 34) message.dataContentType = reader.name();
      else if (tag === 42) reader.textEntry(message.metadata);
      else reader.passOver(tag);
    }
    return message;
  },
  write({ pubsubName, topic, data, dataContentType, metadata }, writer) {
    writer.string(10, pubsubName);
    writer.string(18, topic);
    writer.bytes(26, data);
    writer.string(34, dataContentType);
    writeTextMap(42, metadata, writer);
  },
};

export const topicEventRequest: MessageShape<TopicEventRequest> = {
  read(reader) {
    const message: TopicEventRequest = {
      id: "",
      source: "",
      type: "",
      specVersion: "",
      dataContentType: "",
      topic: "",
      data: noBytes,
      pubsubName: "",
      metadata: {},
    };
    for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
      if (tag === 10) message.id = reader.string();
      else if (tag === 18) message.source = reader.name();
      else if (tag === 26) message.type = reader.name();
      else if (tag === 34) message.specVersion = reader.name();
      else if (tag === 42) message.dataContentType = reader.name();
      else if (tag === 50) message.topic = reader.name();
      else if (tag === 58) message.data = reader.bytes();
      else if (tag === 66) message.pubsubName = reader.name();
      else if (tag === 82) reader.textEntry(message.metadata);
      else reader.passOver(tag);
    }
    return message;
  },
  write(message, writer) {
    writer.string(10, message.id);
    writer.string(18, message.source);
    writer.string(26, message.type);
    writer.string(34, message.specVersion);
    writer.string(42, message.dataContentType);
    writer.string(50, message.topic);
    writer.bytes(58, message.data);
    writer.string(66, message.pubsubName);
    writeTextMap(82, message.metadata, writer);
  },
};

export const topicEventResponse: MessageShape<TopicEventResponse> = {
  read(reader) {
    const message: TopicEventResponse = { status: 0 };
    for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
      if (tag === 8) message.status = reader.enum();
      else reader.passOver(tag);
    }
    return message;
  },
  write: ({ status }, writer) => writer.int32(8, status),
};
