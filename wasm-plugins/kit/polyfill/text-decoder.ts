import { isAscii } from "./text-encoder.ts";

const labels = new Set(["utf-8", "utf8", "unicode-1-1-utf-8", "unicode11utf8", "unicode20utf8", "x-unicode20utf8"]);
/** Code units that become a string in one step; more arguments might not fit the stack. */
const stepUnits = 4096;

interface DecoderOptions {
  readonly fatal?: boolean;
  readonly ignoreBOM?: boolean;
}

/** TextDecoder, as browsers and Node have it, of UTF-8 alone. */
export class Utf8Decoder {
  readonly fatal: boolean;
  readonly ignoreBOM: boolean;
  /** The character that has begun: its bits so far, and how many bytes it still needs. */
  #code = 0;
  #needed = 0;
  /** Between which the next byte must be. */
  #lower = 0x80;
  #upper = 0xbf;
  #isAtStart = true;

  constructor(label = "utf-8", { fatal = false, ignoreBOM = false }: DecoderOptions = {}) {
    if (!labels.has(String(label).trim().toLowerCase()))
      throw new RangeError(`the encoding '${label}' is not there; expected utf-8`);
    this.fatal = fatal;
    this.ignoreBOM = ignoreBOM;
  }

  get encoding(): string {
    return "utf-8";
  }

  decode(input?: ArrayBuffer | ArrayBufferView, { stream = false }: { readonly stream?: boolean } = {}): string {
    const bytes = bytesOf(input);
    const whole = stream || this.#needed > 0 || !this.#isAtStart ? undefined : wellFormed(bytes);
    if (whole !== undefined) return whole.startsWith("\ufeff") && !this.ignoreBOM ? whole.slice(1) : whole;
    const units: number[] = [];
    let text = "";
    for (let index = 0; index < bytes.length; ) {
      const byte = bytes[index] ?? 0;
      if (this.#needed === 0) {
        this.#begin(byte, units);
        index++;
      } else if (byte >= this.#lower && byte <= this.#upper) {
        this.#goOn(byte, units);
        index++;
      } else {
        // The byte begins a character of its own.
        this.#forget();
        this.#malformed(units);
      }
      if (units.length >= stepUnits) text += this.#textOf(units.splice(0));
    }
    if (!stream && this.#needed > 0) {
      this.#forget();
      this.#malformed(units);
    }
    text += this.#textOf(units);
    if (!stream) this.#isAtStart = true;
    return text;
  }

  #begin(byte: number, units: number[]): void {
    if (byte < 0x80) units.push(byte);
    else if (byte >= 0xc2 && byte <= 0xdf) this.#expect(byte & 0x1f, 1);
    else if (byte >= 0xe0 && byte <= 0xef) {
      if (byte === 0xe0) this.#lower = 0xa0;
      if (byte === 0xed) this.#upper = 0x9f;
      this.#expect(byte & 0x0f, 2);
    } else if (byte >= 0xf0 && byte <= 0xf4) {
      if (byte === 0xf0) this.#lower = 0x90;
      if (byte === 0xf4) this.#upper = 0x8f;
      this.#expect(byte & 0x07, 3);
    } else this.#malformed(units);
  }

  #expect(bits: number, more: number): void {
    this.#code = bits;
    this.#needed = more;
  }

  #goOn(byte: number, units: number[]): void {
    this.#lower = 0x80;
    this.#upper = 0xbf;
    this.#code = (this.#code << 6) | (byte & 0x3f);
    if (--this.#needed > 0) return;
    const code = this.#code;
    if (code < 0x10000) units.push(code);
    else units.push(0xd800 + ((code - 0x10000) >> 10), 0xdc00 + ((code - 0x10000) & 0x3ff));
  }

  #forget(): void {
    this.#needed = 0;
    this.#lower = 0x80;
    this.#upper = 0xbf;
  }

  #malformed(units: number[]): void {
    if (!this.fatal) {
      units.push(0xfffd);
      return;
    }
    this.#forget();
    this.#isAtStart = true;
    throw new TypeError("the bytes are not valid UTF-8");
  }

  /** A mark of the byte order is no part of the text. */
  #textOf(units: readonly number[]): string {
    if (units.length === 0) return "";
    const skipped = this.#isAtStart && !this.ignoreBOM && units[0] === 0xfeff ? 1 : 0;
    this.#isAtStart = false;
    let text = "";
    for (let start = skipped; start < units.length; start += stepUnits)
      text += String.fromCharCode(...units.slice(start, start + stepUnits));
    return text;
  }
}

/** The text, when all of it is as it should be: found out by the engine's own code, which an interpreter runs much faster. */
function wellFormed(bytes: Uint8Array): string | undefined {
  let text = "";
  for (let start = 0; start < bytes.length; start += stepUnits)
    text += String.fromCharCode(...bytes.subarray(start, start + stepUnits));
  if (isAscii(text)) return text;
  try {
    return decodeURIComponent(escape(text));
  } catch {
    return undefined;
  }
}

function bytesOf(input: ArrayBuffer | ArrayBufferView | undefined): Uint8Array {
  if (input === undefined) return new Uint8Array(0);
  if (input instanceof ArrayBuffer) return new Uint8Array(input);
  if (ArrayBuffer.isView(input)) return new Uint8Array(input.buffer, input.byteOffset, input.byteLength);
  throw new TypeError("what is decoded must be an ArrayBuffer or a view of one");
}
