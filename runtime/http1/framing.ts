import { listOf } from "./fields.ts";
import { MessageFault, malformed } from "./message-fault.ts";

/** How the end of a body is found (RFC 9112, section 6.3): after so many octets, at the last chunk, or at the end of the connection. */
export type BodyFraming = number | "chunked" | "until-close";

/** What the fields of a head say about its body, while they are read. */
export class FramingFields {
  #length: string | undefined;
  /** Content-Length came more than once, which is a fault even when the values agree. */
  #isRepeated = false;
  /** The values of Transfer-Encoding as one list. */
  #codings: string | undefined;

  addLength(value: string): void {
    if (this.#length !== undefined) this.#isRepeated = true;
    this.#length = value;
  }

  addCoding(value: string): void {
    this.#codings = this.#codings === undefined ? value : `${this.#codings},${value}`;
  }

  /** The framing that the fields give; undefined when they give none. Throws MessageFault when it is not certain. */
  resolve(minor: 0 | 1): number | "chunked" | undefined {
    if (this.#codings !== undefined) {
      if (this.#length !== undefined) throw malformed("there are both Content-Length and Transfer-Encoding");
      return chunked(this.#codings, minor);
    }
    if (this.#length === undefined) return undefined;
    if (this.#isRepeated) throw malformed("there is more than one Content-Length");
    return contentLength(this.#length);
  }
}

function chunked(list: string, minor: 0 | 1): "chunked" {
  if (minor === 0) throw malformed("Transfer-Encoding needs HTTP/1.1");
  const codings = listOf(list);
  const last = codings.pop();
  if (last !== "chunked" || codings.includes("chunked")) {
    throw malformed("Transfer-Encoding does not end in chunked, once");
  }
  if (codings.length > 0) {
    const message = "the Transfer-Encoding is not supported; only chunked is";
    throw new MessageFault(501, "transfer_encoding_refused", message);
  }
  return "chunked";
}

/** A length of digits only; what is not safe to count with is refused. */
function contentLength(value: string): number {
  if (!/^\d{1,15}$/.test(value)) throw malformed("Content-Length is not a number of octets");
  return Number(value);
}
