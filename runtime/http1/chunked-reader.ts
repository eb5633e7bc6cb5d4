import type { BodySink } from "./body-reader.ts";
import { readFields } from "./fields.ts";
import type { Http1Limits } from "./limits.ts";
import { MessageFault, malformed } from "./message-fault.ts";
import { carriageReturn, hexValue, isLineOctet, lineFeed, semicolon } from "./octets.ts";
import { SectionScanner } from "./section-scanner.ts";

/** What is expected next. */
const expects = {
  firstDigit: 0,
  size: 1,
  extension: 2,
  lineFeedOfSize: 3,
  data: 4,
  returnOfData: 5,
  lineFeedOfData: 6,
  trailers: 7,
  nothing: 8,
} as const;

/** Beyond it a size times 16 would not be exact any more. */
const largestBeforeDigit = Math.floor(Number.MAX_SAFE_INTEGER / 16) - 1;
const maxDigits = 16;

const token = "[!#$%&'*+\\-.^_`|~0-9A-Za-z]+";
const quoted = String.raw`"(?:[\t \x21\x23-\x5b\x5d-\x7e\x80-\xff]|\\[\t\x20-\x7e\x80-\xff])*"`;
const extension = `${token}(?:=(?:${token}|${quoted}))?`;
/** What may stand behind the first semicolon (section 7.1.1), without the blanks that it calls bad. */
const extensions = new RegExp(`^${extension}(?:;${extension})*$`);

/** Names that only a head may hold: framing, routing, and what says how to read the body (RFC 9110, section 6.5.1). */
const notInTrailers = new Set([
  "authorization",
  "connection",
  "content-encoding",
  "content-length",
  "content-range",
  "content-type",
  "cookie",
  "expect",
  "host",
  "keep-alive",
  "proxy-authenticate",
  "proxy-authorization",
  "proxy-connection",
  "set-cookie",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
]);

/** Takes a body in chunks apart (RFC 9112, section 7.1). Extensions are dropped, as are trailers that only a head may hold. */
export class ChunkedReader {
  readonly #limits: Http1Limits;
  readonly #sink: BodySink;
  #state: number = expects.firstDigit;
  #size = 0;
  #digits = 0;
  #extensionBytes = 0;
  /** Of the chunk whose size is being read, behind the first semicolon. */
  #extension = "";
  #trailers: SectionScanner | undefined;
  /** What the octets at hand gave so far: it is handed on as one piece, when it is known whether the body ends with it. */
  #heldStart = 0;
  #heldEnd = 0;

  constructor(limits: Http1Limits, sink: BodySink) {
    this.#limits = limits;
    this.#sink = sink;
  }

  get hasEnded(): boolean {
    return this.#state === expects.nothing;
  }

  /**
   * Takes octets from `at` to `to` and gives the position after those of the body. Throws MessageFault. Chunks that came together
   * are moved together: what `bytes` held up to that position is not there any more.
   */
  read(bytes: Buffer, start: number, to: number): number {
    let at = start;
    this.#heldStart = start;
    this.#heldEnd = start;
    while (at < to && this.#state !== expects.nothing) at = this.#step(bytes, at, to);
    if (this.#state !== expects.nothing && this.#heldEnd > this.#heldStart) this.#handOn(bytes, false);
    return at;
  }

  #step(bytes: Buffer, at: number, to: number): number {
    const octet = bytes[at] ?? 0;
    switch (this.#state) {
      case expects.firstDigit:
      case expects.size:
        return this.#sizeOctet(octet, at);
      case expects.extension:
        return this.#extensionOctets(bytes, at, to);
      case expects.lineFeedOfSize:
        if (octet !== lineFeed) throw malformed("the line of a chunk's size does not end in CRLF");
        this.#state = this.#size === 0 ? expects.trailers : expects.data;
        return at + 1;
      case expects.data:
        return this.#data(bytes, at, to);
      case expects.returnOfData:
        if (octet !== carriageReturn) throw malformed("a chunk is longer than its size");
        this.#state = expects.lineFeedOfData;
        return at + 1;
      case expects.lineFeedOfData:
        if (octet !== lineFeed) throw malformed("a chunk does not end in CRLF");
        this.#state = expects.firstDigit;
        return at + 1;
      default:
        return this.#trailerOctets(bytes, at, to);
    }
  }

  #sizeOctet(octet: number, at: number): number {
    const digit = hexValue[octet] ?? 255;
    if (digit !== 255) {
      if (this.#state === expects.firstDigit) {
        this.#size = 0;
        this.#digits = 0;
      }
      this.#digits += 1;
      if (this.#size > largestBeforeDigit || this.#digits > maxDigits)
        throw malformed("the size of a chunk is too large");
      this.#size = this.#size * 16 + digit;
      this.#state = expects.size;
    } else if (this.#state === expects.firstDigit) throw malformed("a chunk begins without a size");
    else if (octet === carriageReturn) this.#state = expects.lineFeedOfSize;
    else if (octet === semicolon) this.#state = expects.extension;
    else throw malformed("the size of a chunk is not a hexadecimal number");
    return at + 1;
  }

  #extensionOctets(bytes: Buffer, start: number, to: number): number {
    let at = start;
    while (at < to && isLineOctet[bytes[at] ?? 0] === 1) at += 1;
    this.#extensionBytes += at - start;
    if (this.#extensionBytes > this.#limits.maxExtensionBytes) {
      throw new MessageFault(413, "chunk_extensions_too_large", "the chunk extensions are too large");
    }
    this.#extension += bytes.toString("latin1", start, at);
    if (at === to) return at;
    if (bytes[at] !== carriageReturn) throw malformed("a chunk extension holds a control character");
    if (!extensions.test(this.#extension)) throw malformed("a chunk extension is not ';name=value'");
    this.#extension = "";
    this.#state = expects.lineFeedOfSize;
    return at + 1;
  }

  #data(bytes: Buffer, at: number, to: number): number {
    const end = Math.min(to, at + this.#size);
    if (this.#heldEnd === this.#heldStart) {
      this.#heldStart = at;
      this.#heldEnd = end;
    } else {
      bytes.copyWithin(this.#heldEnd, at, end);
      this.#heldEnd += end - at;
    }
    this.#size -= end - at;
    if (this.#size === 0) this.#state = expects.returnOfData;
    return end;
  }

  #trailerOctets(bytes: Buffer, at: number, to: number): number {
    this.#trailers ??= new SectionScanner({
      hasStartLine: false,
      allowsEmptyLine: false,
      maxBytes: this.#limits.maxTrailerBytes,
      maxFields: this.#limits.maxFields,
    });
    const after = this.#trailers.scan(bytes, at, to);
    if (after < 0) return to;
    this.#state = expects.nothing;
    const trailers: string[] = [];
    readFields(this.#trailers.take(), 0, 0, (name, value) => {
      if (!notInTrailers.has(name)) trailers.push(name, value);
    });
    const hasData = this.#heldEnd > this.#heldStart;
    if (hasData) this.#handOn(bytes, trailers.length === 0);
    if (!hasData || trailers.length > 0) this.#sink.bodyEnd(trailers);
    return after;
  }

  #handOn(bytes: Buffer, isLast: boolean): void {
    this.#sink.bodyPiece(bytes, this.#heldStart, this.#heldEnd, isLast);
  }
}
