import { ConnectionError, errorCode } from "./error-code.ts";
import { initialWindow } from "./frame.ts";
import type { FrameWriter } from "./frame-writer.ts";

/** What the peer may send on the whole connection (RFC 9113, section 6.9.1); half of it is given back at a time. */
export class ReceiveWindow {
  readonly #writer: FrameWriter;
  readonly #creditAt: number;
  #open = initialWindow;
  #owed = 0;

  constructor(writer: FrameWriter, windowBytes: number) {
    this.#writer = writer;
    this.#creditAt = Math.max(windowBytes, initialWindow) / 2;
  }

  /** Opens it beyond what every connection begins with. */
  announce(windowBytes: number): void {
    const more = windowBytes - initialWindow;
    if (more <= 0) return;
    this.#writer.windowUpdate(0, more);
    this.#open += more;
  }

  /** DATA of this length came. Throws ConnectionError when it is more than allowed. */
  take(length: number): void {
    this.#open -= length;
    if (this.#open >= 0) return;
    throw new ConnectionError(errorCode.FLOW_CONTROL_ERROR, "more DATA than the window of the connection allows");
  }

  /** So much of what came is done with. */
  credit(bytes: number): void {
    this.#owed += bytes;
    if (this.#owed < this.#creditAt) return;
    this.#writer.windowUpdate(0, this.#owed);
    this.#open += this.#owed;
    this.#owed = 0;
  }
}
