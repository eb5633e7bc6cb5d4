const encoder = new TextEncoder();
// Fatal: bytes that are not UTF-8 must not turn into a text that was never written.
const decoder = new TextDecoder("utf-8", { fatal: true });

/** Bytes to write, and what they are. Made by `text`, `bytes` and `json`. */
export class Content {
  readonly bytes: Uint8Array;
  readonly contentType: string;

  constructor(bytes: Uint8Array, contentType: string) {
    this.bytes = bytes;
    this.contentType = contentType;
  }
}

/** What can be written: a string is text in UTF-8, bytes are bytes; anything else says so with `json`. */
export type Writable = string | Uint8Array | Content;

/** Text, written in UTF-8. */
export const text = (value: string): Content => new Content(encoder.encode(value), "text/plain; charset=utf-8");

/** Bytes, written as they are. */
export const bytes = (value: Uint8Array): Content => new Content(value, "application/octet-stream");

/** A value written as JSON. Throws TypeError for what JSON cannot hold (undefined, a function, a cycle). */
export function json(value: unknown): Content {
  const encoded: string | undefined = JSON.stringify(value);
  if (encoded === undefined) throw new TypeError(`${typeof value} cannot be written as JSON`);
  return new Content(encoder.encode(encoded), "application/json");
}

/** The content of whatever can be written. */
export function contentOf(value: Writable): Content {
  if (typeof value === "string") return text(value);
  return value instanceof Uint8Array ? bytes(value) : value;
}

/** Bytes that were read; the caller says what they are. */
export class Value {
  readonly #bytes: Uint8Array;

  constructor(value: Uint8Array) {
    this.#bytes = value;
  }

  bytes(): Uint8Array {
    return this.#bytes;
  }

  /** Throws TypeError when the bytes are not UTF-8. */
  text(): string {
    return decoder.decode(this.#bytes);
  }

  /** Throws SyntaxError when the text is not JSON. `parse` checks the value and gives it its type, as zod's do. */
  json(): unknown;
  json<T>(parse: (value: unknown) => T): T;
  json<T>(parse?: (value: unknown) => T): unknown {
    const value: unknown = JSON.parse(this.text());
    return parse === undefined ? value : parse(value);
  }
}
