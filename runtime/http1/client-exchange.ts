import type { ClientConnection } from "./client-connection.ts";
import type { ResponseReceiver } from "./client-contract.ts";
import { type RequestStart, type RequestText, requestText } from "./request-text.ts";
import { fieldLines } from "./response-text.ts";

/** One outbound request, and its way to a connection. Calls after its end have no effect. */
export class ClientExchange {
  readonly receiver: ResponseReceiver;
  readonly method: string;
  /** All of the request was handed over. */
  isSent: boolean;
  /** The response is whole, failed, or not wanted. */
  isOver = false;
  /** Octets of a body were handed over; they are gone when the request fails. */
  hasWritten = false;
  #text: RequestText;
  #left: number;
  #connection: ClientConnection | undefined;
  #hasBegun = false;
  #isPaused = false;
  #wantsDrained = false;
  readonly #abandon: (exchange: ClientExchange) => void;

  /** `abandon` is called when it is cancelled before it has a connection. */
  constructor(start: RequestStart, receiver: ResponseReceiver, abandon: (exchange: ClientExchange) => void) {
    this.receiver = receiver;
    this.method = start.method;
    this.isSent = start.isEmpty;
    this.#text = requestText(start);
    this.#left = typeof this.#text.framing === "number" ? this.#text.framing : Number.POSITIVE_INFINITY;
    this.#abandon = abandon;
  }

  /** Its head was handed over: the body may follow. */
  get hasBegun(): boolean {
    return this.#hasBegun;
  }

  /** The local end of its connection, `host:port`. */
  get localAddress(): string {
    return this.#connection?.localAddress ?? "";
  }

  /** The connection is its own from now on, and may still be connecting. */
  assign(connection: ClientConnection): void {
    this.#connection = connection;
  }

  /** Sends the head. */
  begin(): void {
    this.#hasBegun = true;
    this.#connection?.outflow.text(this.#text.text);
    if (this.#isPaused) this.#connection?.pause();
  }

  /** A piece of the body, which nobody may write to afterwards. False when the server is slow: wait for `drained`. */
  write(chunk: Uint8Array): boolean {
    const connection = this.#connection;
    if (connection === undefined || !this.#hasBegun || this.isOver || this.isSent || chunk.length === 0) return true;
    this.hasWritten = true;
    this.#left -= chunk.length;
    if (this.#left < 0) {
      connection.fail("lost", new Error("the body of a request is longer than its Content-Length"));
      return true;
    }
    const { outflow } = connection;
    if (this.#text.framing === "chunked") {
      outflow.text(`${chunk.length.toString(16)}\r\n`);
      outflow.octets(chunk);
      outflow.text("\r\n");
    } else outflow.octets(chunk);
    this.#wantsDrained = outflow.isCongested;
    return !this.#wantsDrained;
  }

  /** The end of the body; trailers go out where the framing has room for them. */
  end(trailers: readonly string[]): void {
    const connection = this.#connection;
    if (connection === undefined || !this.#hasBegun || this.isOver || this.isSent) return;
    this.isSent = true;
    if (this.#text.framing === "chunked") connection.outflow.text(`0\r\n${fieldLines(trailers)}\r\n`);
    else if (this.#left > 0)
      connection.fail("lost", new Error("the body of a request is shorter than its Content-Length"));
  }

  pause(): void {
    this.#isPaused = true;
    if (this.#hasBegun && !this.isOver) this.#connection?.pause();
  }

  resume(): void {
    this.#isPaused = false;
    if (this.#hasBegun && !this.isOver) this.#connection?.resume();
  }

  /** Nothing is wanted any more, neither of the response nor of the rest of the request; the receiver hears nothing more. */
  cancel(): void {
    if (this.isOver) return;
    this.isOver = true;
    if (this.#connection === undefined) this.#abandon(this);
    else this.#connection.destroy();
  }

  /** The socket takes more. */
  drained(): void {
    if (!this.#wantsDrained || this.isOver) return;
    this.#wantsDrained = false;
    this.receiver.drained();
  }
}
