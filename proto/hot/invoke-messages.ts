import type { Any } from "../gen/google/protobuf/any.ts";
import type {
  CommonInvokeRequest,
  HTTPExtension,
  InvokeResponse,
  InvokeServiceRequest,
} from "../gen/spec/proto/runtime/v1/runtime.ts";
import { type MessageShape, noBytes, readMessage, writeMessage } from "./message-shape.ts";

const any: MessageShape<Any> = {
  read(reader) {
    const message: Any = { typeUrl: "", value: noBytes };
    for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
      if (tag === 10) message.typeUrl = reader.name();
      else if (tag === 18) message.value = reader.bytes();
      else reader.passOver(tag);
    }
    return message;
  },
  write({ typeUrl, value }, writer) {
    writer.string(10, typeUrl);
    writer.bytes(18, value);
  },
};

const lengthOf = (data: Any | undefined): number =>
  data === undefined ? 0 : data.typeUrl.length + data.value.length + 8;

const httpExtension: MessageShape<HTTPExtension> = {
  read(reader) {
    const message: HTTPExtension = { verb: 0, querystring: "" };
    for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
      if (tag === 8) message.verb = reader.enum();
      else if (tag === 18) message.querystring = reader.string();
      else reader.passOver(tag);
    }
    return message;
  },
  write({ verb, querystring }, writer) {
    writer.int32(8, verb);
    writer.string(18, querystring);
  },
};

const commonInvokeRequest: MessageShape<CommonInvokeRequest> = {
  read(reader) {
    const message: CommonInvokeRequest = { method: "", data: undefined, contentType: "", httpExtension: undefined };
    for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
      if (tag === 10) message.method = reader.name();
      else if (tag === 18) message.data = readMessage(any, reader);
      else if (tag === 26) message.contentType = reader.name();
      else if (tag === 34) message.httpExtension = readMessage(httpExtension, reader);
      else reader.passOver(tag);
    }
    return message;
  },
  write(message, writer) {
    writer.string(10, message.method);
    writeMessage(any, 18, message.data, writer, lengthOf(message.data));
    writer.string(26, message.contentType);
    writeMessage(httpExtension, 34, message.httpExtension, writer);
  },
};

export const invokeServiceRequest: MessageShape<InvokeServiceRequest> = {
  read(reader) {
    const message: InvokeServiceRequest = { id: "", message: undefined };
    for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
      if (tag === 10) message.id = reader.name();
      else if (tag === 26) message.message = readMessage(commonInvokeRequest, reader);
      else reader.passOver(tag);
    }
    return message;
  },
  write({ id, message }, writer) {
    writer.string(10, id);
    writeMessage(commonInvokeRequest, 26, message, writer, lengthOf(message?.data) + 64);
  },
};

export const invokeResponse: MessageShape<InvokeResponse> = {
  read(reader) {
    const message: InvokeResponse = { data: undefined, contentType: "" };
    for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
      if (tag === 10) message.data = readMessage(any, reader);
      else if (tag === 18) message.contentType = reader.name();
      else reader.passOver(tag);
    }
    return message;
  },
  write({ data, contentType }, writer) {
    writeMessage(any, 10, data, writer, lengthOf(data));
    writer.string(18, contentType);
  },
};
