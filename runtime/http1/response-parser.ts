import { BodyReader, type BodySink } from "./body-reader.ts";
import type { Http1Limits } from "./limits.ts";
import { malformed } from "./message-fault.ts";
import { type ResponseHead, readResponseHead } from "./response-head.ts";
import { SectionScanner } from "./section-scanner.ts";

/** Who takes the responses of a connection. */
export interface ResponseSink extends BodySink {
  /** The method of the request that the next response answers. */
  readonly method: string;
  /** A head; its body follows when `head.body` is not 0, and another head when it is an interim one. */
  responseHead(head: ResponseHead): void;
}

const versionBegin = "HTTP/1.";

/** Takes responses out of the octets of a connection, however they are cut into chunks. */
export class ResponseParser implements BodySink {
  readonly #limits: Http1Limits;
  readonly #sink: ResponseSink;
  readonly #scanner: SectionScanner;
  #body: BodyReader | undefined;
  #endsWithConnection = false;

  constructor(limits: Http1Limits, sink: ResponseSink) {
    this.#limits = limits;
    this.#sink = sink;
    this.#scanner = new SectionScanner({
      hasStartLine: true,
      allowsEmptyLine: false,
      maxBytes: limits.maxHeadBytes,
      maxFields: limits.maxFields,
    });
  }

  /** Takes octets from `at`: those of one head, or of one body, or all. Gives the position after them. Throws MessageFault. */
  read(bytes: Buffer, at: number, end: number): number {
    if (this.#body !== undefined) return this.#body.read(bytes, at, end);
    const after = this.#scanner.scan(bytes, at, end);
    if (after < 0) {
      this.#checkVersion();
      return end;
    }
    const head = readResponseHead(this.#scanner.take(), this.#sink.method);
    if (head.body !== 0) this.#body = new BodyReader(head.body, this.#limits, this);
    this.#endsWithConnection = head.body === "until-close";
    this.#sink.responseHead(head);
    return after;
  }

  /** The connection was closed for reading; whether that ends the response as it should. */
  close(): boolean {
    if (this.#body === undefined || !this.#endsWithConnection) return false;
    this.bodyEnd([]);
    return true;
  }

  bodyPiece(bytes: Buffer, start: number, end: number, isLast: boolean): void {
    if (isLast) this.#body = undefined;
    this.#sink.bodyPiece(bytes, start, end, isLast);
  }

  bodyEnd(trailers: string[]): void {
    this.#body = undefined;
    this.#sink.bodyEnd(trailers);
  }

  /** What is not HTTP at all may never send the end of a head. */
  #checkVersion(): void {
    const begin = this.#scanner.partialText.slice(0, versionBegin.length);
    if (!versionBegin.startsWith(begin)) throw malformed("what came back does not begin with HTTP/1");
  }
}
