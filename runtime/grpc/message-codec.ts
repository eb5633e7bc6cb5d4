import { RuntimeError } from "../../components/error.ts";
import { messageOf } from "../../components/thrown.ts";
import { HotCodec } from "../../proto/hot/codec.ts";
import { hotMethods } from "../../proto/hot/hot-methods.ts";
import type { MethodDefinition } from "./service.ts";

/** The messages of one method as a server sees them; what cannot be decoded or encoded is told as a RuntimeError. */
export interface MessageCodec {
  /**
   * Throws INVALID_ARGUMENT when the bytes are no request of the method. Fields of the type `bytes` are parts of what was
   * given: who keeps one beyond the call copies it.
   */
  decode(bytes: Uint8Array): unknown;
  /** Throws RESOURCE_EXHAUSTED (`MESSAGE_TOO_LARGE`) when the response is larger than allowed. */
  encode(response: unknown): Buffer;
}

type Coding = Pick<MessageCodec, "encode"> & { decode(bytes: Buffer): unknown };

/** Without `maxMessageBytes` responses may have any size. */
export function messageCodec(method: MethodDefinition, maxMessageBytes = Number.POSITIVE_INFINITY): MessageCodec {
  const { path } = method;
  const coding = codingOf(method);
  return {
    decode(bytes) {
      try {
        return coding.decode(asBuffer(bytes));
      } catch (cause) {
        const text = `the message is not a request of ${path}: ${messageOf(cause)}`;
        throw new RuntimeError("INVALID_ARGUMENT", "MESSAGE_MALFORMED", text, { cause });
      }
    },
    encode(response) {
      const bytes = coding.encode(response);
      if (bytes.length <= maxMessageBytes) return bytes;
      const text = `a response of ${path} takes ${bytes.length} bytes; api.maxMessageBytes allows ${maxMessageBytes}`;
      throw new RuntimeError("RESOURCE_EXHAUSTED", "MESSAGE_TOO_LARGE", text);
    },
  };
}

/** By hand where there are codecs by hand, else as generated. */
function codingOf({ path, requestDeserialize, responseSerialize }: MethodDefinition): Coding {
  const hot = hotMethods.get(path);
  if (hot === undefined) return { decode: requestDeserialize, encode: responseSerialize };
  const codec = new HotCodec();
  return {
    decode: (bytes) => codec.decode(hot.request, bytes),
    encode: (response) => codec.encode(hot.response, response),
  };
}

const asBuffer = (bytes: Uint8Array): Buffer =>
  Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
