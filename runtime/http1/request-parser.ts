import { BodyReader, type BodySink } from "./body-reader.ts";
import type { Http1Limits } from "./limits.ts";
import { type RequestHead, type RequestLine, readRequestHead, readRequestLine } from "./request-head.ts";
import { SectionScanner } from "./section-scanner.ts";

/** Who takes the requests of a connection. */
export interface RequestSink extends BodySink {
  /** A head; its body follows when `head.body` is not 0. A MessageFault that it throws is the fault of the request. */
  requestHead(head: RequestHead): void;
}

/** Takes requests out of the octets of a connection, however they are cut into chunks. */
export class RequestParser implements BodySink {
  readonly #limits: Http1Limits;
  readonly #sink: RequestSink;
  readonly #scanner: SectionScanner;
  #body: BodyReader | undefined;
  #line: RequestLine | undefined;

  constructor(limits: Http1Limits, sink: RequestSink) {
    this.#limits = limits;
    this.#sink = sink;
    this.#scanner = new SectionScanner({
      hasStartLine: true,
      allowsEmptyLine: true,
      maxBytes: limits.maxHeadBytes,
      maxFields: limits.maxFields,
    });
  }

  /** The first line of the request whose head was read last, or was refused after that line. */
  get line(): RequestLine | undefined {
    return this.#line;
  }

  /** Some of a head has come, and not all of it. */
  get isInHead(): boolean {
    return this.#scanner.isPartial;
  }

  /** A head has come whose body has not come to its end. */
  get isInBody(): boolean {
    return this.#body !== undefined;
  }

  /** What is still to come of the body, at least; infinite when that is not known. */
  get left(): number {
    return this.#body?.left ?? 0;
  }

  /** Takes octets from `at`: those of one head, or of one body, or all. Gives the position after them. Throws MessageFault. */
  read(bytes: Buffer, at: number, end: number): number {
    if (this.#body !== undefined) return this.#body.read(bytes, at, end);
    this.#line = undefined;
    const after = this.#scanner.scan(bytes, at, end);
    if (after < 0) return end;
    const section = this.#scanner.take();
    const line = readRequestLine(section, this.#limits.maxMethodBytes);
    this.#line = line;
    const head = readRequestHead(section, line);
    if (head.body !== 0) this.#body = new BodyReader(head.body, this.#limits, this);
    this.#sink.requestHead(head);
    return after;
  }

  bodyPiece(bytes: Buffer, start: number, end: number, isLast: boolean): void {
    if (isLast) this.#body = undefined;
    this.#sink.bodyPiece(bytes, start, end, isLast);
  }

  bodyEnd(trailers: string[]): void {
    this.#body = undefined;
    this.#sink.bodyEnd(trailers);
  }
}
