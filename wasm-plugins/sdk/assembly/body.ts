import { proxy_get_buffer_bytes, proxy_get_buffer_status, proxy_set_buffer_bytes } from "./abi";
import { AbiStatus, BufferType } from "./abi-types";
import { clearReturned, returnNumber, returnPointer, returnSize, takeReturned } from "./memory";
import { decodeText, encodeText } from "./text";

const beyondTheEnd: usize = u32.MAX_VALUE;

/**
 * The part of a body that the host shows now: one piece, or all that came since the filter first paused. Present only
 * in the body callbacks of its direction; elsewhere it is empty, and changing it answers false.
 */
export class Body {
  constructor(private readonly buffer: BufferType) {}

  /** Bytes shown now. */
  get size(): i32 {
    store<u32>(returnNumber, 0);
    proxy_get_buffer_status(this.buffer, returnNumber, returnNumber + 4);
    return load<i32>(returnNumber);
  }

  /** A copy of the bytes, by default all; the range is cut at the end. */
  bytes(start: i32 = 0, length: i32 = i32.MAX_VALUE): Uint8Array {
    return Uint8Array.wrap(readBuffer(this.buffer, start, length));
  }

  /** All the bytes as text. */
  text(): string {
    return decodeText(this.bytes());
  }

  /** Replaces all the bytes. False when there is no body in this phase, as for every change. */
  set(bytes: Uint8Array): bool {
    return this.splice(0, i32.MAX_VALUE, bytes);
  }

  /** Replaces all the bytes by a text in UTF-8. */
  setText(text: string): bool {
    return this.set(encodeText(text));
  }

  /** Adds bytes at the end. */
  append(bytes: Uint8Array): bool {
    return this.write(beyondTheEnd, 0, bytes);
  }

  /** Adds bytes at the beginning. */
  prepend(bytes: Uint8Array): bool {
    return this.write(0, 0, bytes);
  }

  /** Replaces `length` bytes at `start`. */
  splice(start: i32, length: i32, bytes: Uint8Array): bool {
    return this.write(start, length, bytes);
  }

  private write(start: usize, length: usize, bytes: Uint8Array): bool {
    return proxy_set_buffer_bytes(this.buffer, start, length, bytes.dataStart, bytes.byteLength) == AbiStatus.Ok;
  }
}

/** A copy of a range of what the host holds; empty when it is not there. */
export function readBuffer(buffer: BufferType, start: i32 = 0, length: i32 = i32.MAX_VALUE): ArrayBuffer {
  clearReturned();
  proxy_get_buffer_bytes(buffer, start, length, returnPointer, returnSize);
  return takeReturned();
}
