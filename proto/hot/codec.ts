import type { MessageShape } from "./message-shape.ts";
import { WireReader } from "./wire-reader.ts";
import { WireWriter } from "./wire-writer.ts";

/** Reads and writes messages whose shape is known, one at a time. */
export class HotCodec {
  readonly #reader = new WireReader();
  readonly #writer = new WireWriter();

  /**
   * Throws WireFormatError when the bytes are no such message. Fields of the type `bytes` are parts of them, so that
   * nothing is copied that is only passed on; who keeps one beyond the call copies it.
   */
  decode<Message>(shape: MessageShape<Message>, bytes: Buffer): Message {
    this.#reader.begin(bytes);
    try {
      return shape.read(this.#reader);
    } finally {
      this.#reader.release();
    }
  }

  /** The bytes are the caller's for good. */
  encode<Message>(shape: MessageShape<Message>, message: Message): Buffer {
    this.#writer.begin();
    try {
      shape.write(message, this.#writer);
    } catch (error) {
      this.#writer.abandon();
      throw error;
    }
    return this.#writer.finish();
  }
}
