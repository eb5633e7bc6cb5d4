import type { RequestHead } from "./request-head.ts";
import { fieldLines, responseText } from "./response-text.ts";
import type { ServerConnection } from "./server-connection.ts";
import type { RequestReceiver, Response } from "./server-contract.ts";
import { statusLine } from "./status-line.ts";

/** Longest rest of a request that is read to its end, and dropped, when its answer came before that end. */
const droppedBytes = 64 * 1024;

/** One request on a connection, and the way its response takes. */
export class ServerExchange implements Response {
  receiver: RequestReceiver | undefined;
  hasBegun = false;
  /** All of the response was handed over. */
  isAnswered = false;
  /** All of the request has come. */
  isReceived: boolean;
  /** The connection takes another request after this one. */
  staysOpen: boolean;
  readonly #connection: ServerConnection;
  readonly #head: RequestHead;
  #isOver = false;
  #isInvited = false;
  #wantsDrained = false;
  #framing: "none" | number | "chunked" | "until-close" = "none";
  /** Octets that Content-Length still promises. */
  #left = 0;

  constructor(connection: ServerConnection, head: RequestHead) {
    this.#connection = connection;
    this.#head = head;
    this.staysOpen = head.isPersistent;
    this.isReceived = head.body === 0;
  }

  /** Answers an expectation, unless the receiver has answered the request. */
  invite(): void {
    if (!this.#head.expectsContinue || this.isReceived || this.hasBegun) return;
    this.#isInvited = true;
    this.#connection.outflow.text(`${statusLine(100)}\r\n`);
  }

  interim(status: number, fields: readonly string[]): void {
    if (this.#isOver || this.hasBegun || this.#head.minor === 0 || status < 102 || status > 199) return;
    this.#connection.outflow.text(`${statusLine(status)}${fieldLines(fields)}\r\n`);
  }

  head(status: number, fields: readonly string[], isEnd: boolean): void {
    if (this.#isOver || this.hasBegun) return;
    this.hasBegun = true;
    const { shared, outflow } = this.#connection;
    const { minor, method } = this.#head;
    const { text, hasDate, framing } = responseText(status, fields, {
      isHead: method === "HEAD",
      minor,
      isEmpty: isEnd,
    });
    if (framing === "until-close" || shared.isDraining || this.#isRestUnwanted(status)) this.staysOpen = false;
    this.#framing = framing;
    if (typeof framing === "number") this.#left = framing;
    const date = hasDate ? "" : shared.date.line;
    if (this.staysOpen)
      outflow.text(minor === 1 ? `${text}${date}\r\n` : `${text}${date}connection: keep-alive\r\n\r\n`);
    else outflow.text(`${text}${date}connection: close\r\n\r\n`);
    if (isEnd) this.#end();
  }

  data(chunk: Uint8Array, isEnd: boolean): boolean {
    if (this.#isOver || !this.hasBegun) return true;
    const { outflow } = this.#connection;
    if (this.#framing === "chunked") {
      if (chunk.length > 0) {
        outflow.text(`${chunk.length.toString(16)}\r\n`);
        outflow.octets(chunk);
        outflow.text(isEnd ? "\r\n0\r\n\r\n" : "\r\n");
      } else if (isEnd) outflow.text("0\r\n\r\n");
    } else if (this.#framing !== "none") {
      if (typeof this.#framing === "number" && !this.#fits(chunk.length, isEnd)) return true;
      outflow.octets(chunk);
    }
    if (isEnd) {
      this.#end();
      return true;
    }
    this.#wantsDrained = outflow.isCongested;
    return !this.#wantsDrained;
  }

  trailers(fields: readonly string[]): void {
    if (this.#isOver || !this.hasBegun) return;
    if (this.#framing === "chunked") this.#connection.outflow.text(`0\r\n${fieldLines(fields)}\r\n`);
    else if (typeof this.#framing === "number" && !this.#fits(0, true)) return;
    this.#end();
  }

  abort(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    // Where the end of the connection is the end of the body, only a reset tells that it is not whole.
    this.#connection.abort(this.#framing === "until-close");
  }

  pause(): void {
    if (!this.#isOver && !this.isReceived) this.#connection.socket.pause();
  }

  resume(): void {
    if (!this.#isOver && !this.isReceived) this.#connection.socket.resume();
  }

  /** The socket takes more. */
  drained(): void {
    if (!this.#wantsDrained || this.#isOver) return;
    this.#wantsDrained = false;
    this.receiver?.drained();
  }

  /** Nothing can be answered any more. */
  gone(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.receiver?.gone();
  }

  /** A short rest of a request is read and dropped; a long one is not worth the connection. */
  #isRestUnwanted(status: number): boolean {
    if (this.isReceived) return false;
    // A client that was not invited may leave its body out: whether the next octets are a body or a request is not certain.
    if (this.#head.expectsContinue && !this.#isInvited) return true;
    return this.#connection.left > droppedBytes || status === 408;
  }

  /** Counts what goes out against Content-Length; false when it does not agree, and the exchange is over. */
  #fits(length: number, isEnd: boolean): boolean {
    this.#left -= length;
    if (this.#left === 0 || (this.#left > 0 && !isEnd)) return true;
    this.abort();
    return false;
  }

  #end(): void {
    this.isAnswered = true;
    this.#isOver = true;
    this.#connection.answered(this);
  }
}
