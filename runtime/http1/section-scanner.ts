import { MessageFault, malformed } from "./message-fault.ts";
import { carriageReturn, colon, isLineOctet, isTokenOctet, lineFeed, space, tab } from "./octets.ts";

/** What is expected next. */
const expects = {
  /** A start line, or one empty line in front of it. */
  firstOctet: 0,
  lineFeedInFront: 1,
  startLine: 2,
  lineFeedOfStart: 3,
  field: 4,
  name: 5,
  value: 6,
  lineFeedOfField: 7,
  lineFeedOfEnd: 8,
} as const;

/** Pieces of a text that are kept apart at most. */
const mostPieces = 64;

export interface SectionOptions {
  /** A head begins with a start line; a trailer section has none. */
  readonly hasStartLine: boolean;
  /** A server passes over one empty line in front of a request (RFC 9112, section 2.2). */
  readonly allowsEmptyLine: boolean;
  readonly maxBytes: number;
  readonly maxFields: number;
}

/**
 * Finds the lines of a head or of a trailer section, octet by octet: what is accepted does not depend on how the octets
 * were cut into chunks. Lines end in CRLF and nothing else; folded lines, blanks around names and controls are faults.
 */
export class SectionScanner {
  readonly #options: SectionOptions;
  #state: number;
  /** Octets of the section so far. */
  #length = 0;
  /** The position of the end of the start line, and of the colon and the end of each field line, by turns. */
  #marks: number[] = [];
  #text = "";
  #pieces = 0;
  #passedEmptyLine = false;

  constructor(options: SectionOptions) {
    this.#options = options;
    this.#state = this.#first();
  }

  /** Whether octets of a section have come, and not all of them; an empty line in front is none. */
  get isPartial(): boolean {
    return this.#length > (this.#passedEmptyLine ? 2 : 0);
  }

  /**
   * Takes octets from `at` to `to`, and gives the position after the section; -1 when all octets were taken and the section goes
   * on. Throws MessageFault at the first octet that is wrong.
   */
  scan(bytes: Buffer, at: number, to: number): number {
    const { maxBytes } = this.#options;
    const offset = this.#length - at;
    const end = Math.min(to, at + maxBytes - this.#length);
    const after = this.#walk(bytes, at, end, offset);
    if (after >= 0) {
      this.#text += bytes.toString("latin1", at, after);
      return after;
    }
    this.#length = end + offset;
    if (this.#length >= maxBytes) throw this.#tooLarge();
    this.#text += bytes.toString("latin1", at, end);
    this.#pieces += 1;
    // V8 keeps what is put together as a tree of pieces, which costs many times the octets when they drip in.
    if (this.#pieces % mostPieces === 0) this.#text = Buffer.from(this.#text, "latin1").toString("latin1");
    return -1;
  }

  /** What has come of a section that goes on. */
  get partialText(): string {
    return this.#text;
  }

  /** The section that was scanned to its end; the scanner is ready for the next one. */
  take(): ScannedSection {
    const section = { text: this.#text, marks: this.#marks };
    this.#state = this.#first();
    this.#length = 0;
    this.#marks = [];
    this.#text = "";
    this.#pieces = 0;
    this.#passedEmptyLine = false;
    return section;
  }

  #first(): number {
    if (!this.#options.hasStartLine) return expects.field;
    return this.#options.allowsEmptyLine ? expects.firstOctet : expects.startLine;
  }

  /** The position after the section, or -1 at `end`. Positions in the section are those in `bytes` plus `offset`. */
  #walk(bytes: Buffer, start: number, end: number, offset: number): number {
    const marks = this.#marks;
    let state = this.#state;
    let at = start;
    while (at < end) {
      switch (state) {
        case expects.name:
          while (at < end && isTokenOctet[bytes[at] ?? 0] === 1) at += 1;
          if (at === end) break;
          if (bytes[at] !== colon) throw this.#badName(bytes[at] ?? 0);
          marks.push(at + offset);
          at += 1;
          state = expects.value;
          break;
        case expects.value:
          while (at < end && isLineOctet[bytes[at] ?? 0] === 1) at += 1;
          if (at === end) break;
          if (bytes[at] !== carriageReturn) throw badOctet(bytes[at] ?? 0);
          marks.push(at + offset);
          at += 1;
          state = expects.lineFeedOfField;
          break;
        case expects.lineFeedOfField:
          if (bytes[at] !== lineFeed) throw bareReturn();
          at += 1;
          state = expects.field;
          break;
        case expects.field: {
          const octet = bytes[at] ?? 0;
          at += 1;
          if (octet === carriageReturn) state = expects.lineFeedOfEnd;
          else {
            if (isTokenOctet[octet] !== 1) throw this.#badStart(octet);
            if (marks.length / 2 >= this.#options.maxFields) throw this.#tooMany();
            state = expects.name;
          }
          break;
        }
        case expects.lineFeedOfEnd:
          if (bytes[at] !== lineFeed) throw bareReturn();
          return at + 1;
        case expects.startLine:
          while (at < end && isLineOctet[bytes[at] ?? 0] === 1) at += 1;
          if (at === end) break;
          if (bytes[at] !== carriageReturn) throw badOctet(bytes[at] ?? 0);
          marks.push(at + offset);
          at += 1;
          state = expects.lineFeedOfStart;
          break;
        case expects.lineFeedOfStart:
          if (bytes[at] !== lineFeed) throw bareReturn();
          at += 1;
          state = expects.field;
          break;
        case expects.firstOctet:
          if (bytes[at] !== carriageReturn || this.#passedEmptyLine) state = expects.startLine;
          else {
            at += 1;
            state = expects.lineFeedInFront;
          }
          break;
        default:
          if (bytes[at] !== lineFeed) throw bareReturn();
          at += 1;
          this.#passedEmptyLine = true;
          state = expects.firstOctet;
      }
    }
    this.#state = state;
    return -1;
  }

  #tooLarge(): MessageFault {
    const { hasStartLine, maxBytes } = this.#options;
    if (hasStartLine && this.#marks.length === 0) {
      return new MessageFault(414, "target_too_long", `the start line is longer than ${maxBytes} bytes`);
    }
    const what = hasStartLine ? "header" : "trailer";
    return new MessageFault(431, "headers_too_large", `the ${what} fields are larger than ${maxBytes} bytes`);
  }

  #tooMany(): MessageFault {
    const message = `there are more than ${this.#options.maxFields} header fields`;
    return new MessageFault(431, "headers_too_large", message);
  }

  #badStart(octet: number): MessageFault {
    if (octet === space || octet === tab) return malformed("a header line is folded, or begins with a blank");
    if (octet === colon) return malformed("a header field has no name");
    return this.#badName(octet);
  }

  #badName(octet: number): MessageFault {
    if (octet === space || octet === tab) return malformed("there is a blank before the colon of a header field");
    if (octet === carriageReturn || octet === lineFeed) return malformed("a header line has no colon");
    return malformed("the name of a header field holds a character that is not allowed");
  }
}

/** The text of a section, one character an octet, and where its lines end. */
export interface ScannedSection {
  readonly text: string;
  readonly marks: readonly number[];
}

function bareReturn(): MessageFault {
  return malformed("a carriage return stands alone");
}

function badOctet(octet: number): MessageFault {
  if (octet === lineFeed) return malformed("a line ends in a line feed alone");
  return malformed("a line holds a control character");
}
