/** The messages of gRPC's interoperability tests (`grpc.testing`), as far as the cases need them, in the manner of ts-proto. */
import { BinaryReader, BinaryWriter } from "@bufbuild/protobuf/wire";

export interface EchoStatus {
  readonly code: number;
  readonly message: string;
}

/** SimpleRequest, and StreamingOutputCallRequest with its sizes and intervals. */
export interface InteropRequest {
  readonly responseSize: number;
  readonly responses: readonly { readonly size: number; readonly intervalUs: number }[];
  readonly payload: Uint8Array;
  readonly responseStatus: EchoStatus | undefined;
}

/** Calls `field` with the number of each field; one that it does not read (false) is skipped. */
function readFields(bytes: Uint8Array, field: (number: number, reader: BinaryReader) => boolean): void {
  const reader = new BinaryReader(bytes);
  while (reader.pos < reader.len) {
    const tag = reader.uint32();
    if (!field(tag >>> 3, reader)) reader.skip(tag & 7);
  }
}

const written = (write: (writer: BinaryWriter) => void): Buffer => {
  const writer = new BinaryWriter();
  write(writer);
  return Buffer.from(writer.finish());
};

/** Payload: the type is left at its default, COMPRESSABLE. */
const payload = {
  encode: (body: Uint8Array): Buffer => written((writer) => writer.uint32(18).bytes(body)),
  decode(bytes: Uint8Array): Uint8Array {
    let body: Uint8Array = new Uint8Array();
    readFields(bytes, (number, reader) => {
      if (number !== 2) return false;
      body = reader.bytes();
      return true;
    });
    return body;
  },
};

const echoStatus = {
  encode: ({ code, message }: EchoStatus): Buffer =>
    written((writer) => writer.uint32(8).int32(code).uint32(18).string(message)),
  decode(bytes: Uint8Array): EchoStatus {
    let code = 0;
    let message = "";
    readFields(bytes, (number, reader) => {
      if (number === 1) code = reader.int32();
      else if (number === 2) message = reader.string();
      return number <= 2;
    });
    return { code, message };
  },
};

function decodeParameters(bytes: Uint8Array): { size: number; intervalUs: number } {
  let size = 0;
  let intervalUs = 0;
  readFields(bytes, (number, reader) => {
    if (number === 1) size = reader.int32();
    else if (number === 2) intervalUs = reader.int32();
    return number <= 2;
  });
  return { size, intervalUs };
}

const ofRequest = (given: Partial<InteropRequest>): InteropRequest => ({
  responseSize: 0,
  responses: [],
  payload: new Uint8Array(),
  responseStatus: undefined,
  ...given,
});

function writePayloadAndStatus(writer: BinaryWriter, request: InteropRequest): void {
  writer.uint32(26).bytes(payload.encode(request.payload));
  if (request.responseStatus !== undefined) writer.uint32(58).bytes(echoStatus.encode(request.responseStatus));
}

/** SimpleRequest. */
export const simpleRequest = {
  encode: (given: Partial<InteropRequest>): Buffer =>
    written((writer) => {
      const request = ofRequest(given);
      writer.uint32(16).int32(request.responseSize);
      writePayloadAndStatus(writer, request);
    }),
  decode(bytes: Uint8Array): InteropRequest {
    const found: { responseSize?: number; payload?: Uint8Array; responseStatus?: EchoStatus } = {};
    readFields(bytes, (number, reader) => {
      if (number === 2) found.responseSize = reader.int32();
      else if (number === 3) found.payload = payload.decode(reader.bytes());
      else if (number === 7) found.responseStatus = echoStatus.decode(reader.bytes());
      else return false;
      return true;
    });
    return ofRequest(found);
  },
};

/** StreamingOutputCallRequest. */
export const outputRequest = {
  encode: (given: Partial<InteropRequest>): Buffer =>
    written((writer) => {
      const request = ofRequest(given);
      for (const { size, intervalUs } of request.responses) {
        writer.uint32(18).fork().uint32(8).int32(size).uint32(16).int32(intervalUs).join();
      }
      writePayloadAndStatus(writer, request);
    }),
  decode(bytes: Uint8Array): InteropRequest {
    const responses: { size: number; intervalUs: number }[] = [];
    const found: { payload?: Uint8Array; responseStatus?: EchoStatus } = {};
    readFields(bytes, (number, reader) => {
      if (number === 2) responses.push(decodeParameters(reader.bytes()));
      else if (number === 3) found.payload = payload.decode(reader.bytes());
      else if (number === 7) found.responseStatus = echoStatus.decode(reader.bytes());
      else return false;
      return true;
    });
    return ofRequest({ ...found, responses });
  },
};

/** SimpleResponse, StreamingOutputCallResponse and StreamingInputCallRequest: a payload in field 1. */
export const payloadMessage = {
  encode: (body: Uint8Array): Buffer => written((writer) => writer.uint32(10).bytes(payload.encode(body))),
  decode(bytes: Uint8Array): Uint8Array {
    let body: Uint8Array = new Uint8Array();
    readFields(bytes, (number, reader) => {
      if (number !== 1) return false;
      body = payload.decode(reader.bytes());
      return true;
    });
    return body;
  },
};

/** StreamingInputCallResponse: a sum of sizes in field 1. */
export const sizeMessage = {
  encode: (size: number): Buffer => written((writer) => writer.uint32(8).int32(size)),
  decode(bytes: Uint8Array): number {
    let size = 0;
    readFields(bytes, (number, reader) => {
      if (number !== 1) return false;
      size = reader.int32();
      return true;
    });
    return size;
  },
};

export const emptyMessage = {
  encode: (_: object): Buffer => Buffer.alloc(0),
  decode: (_: Uint8Array): object => ({}),
};
