import type { MethodDefinition } from "@grpc/grpc-js";
import { RuntimeError } from "../../components/error.ts";

/** The messages of one method, decoded and encoded; what cannot be is told as a RuntimeError. */
export interface MessageCodec {
  /** Throws INVALID_ARGUMENT when the bytes are no request of the method. */
  decode(bytes: Uint8Array): unknown;
  /** Throws RESOURCE_EXHAUSTED (`MESSAGE_TOO_LARGE`) when the response is larger than allowed. */
  encode(response: unknown): Buffer;
}

/** Without `maxMessageBytes` responses may have any size. */
export function messageCodec(
  { path, requestDeserialize, responseSerialize }: MethodDefinition<unknown, unknown>,
  maxMessageBytes = Number.POSITIVE_INFINITY,
): MessageCodec {
  return {
    decode(bytes) {
      try {
        return requestDeserialize(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength));
      } catch (cause) {
        const text = `the message is not a request of ${path}`;
        throw new RuntimeError("INVALID_ARGUMENT", "MESSAGE_MALFORMED", text, { cause });
      }
    },
    encode(response) {
      const bytes = responseSerialize(response);
      if (bytes.length <= maxMessageBytes) return bytes;
      const text = `a response of ${path} takes ${bytes.length} bytes; api.maxMessageBytes allows ${maxMessageBytes}`;
      throw new RuntimeError("RESOURCE_EXHAUSTED", "MESSAGE_TOO_LARGE", text);
    },
  };
}
