/** TextEncoder, as browsers and Node have it. */
export class Utf8Encoder {
  get encoding(): string {
    return "utf-8";
  }

  encode(text = ""): Uint8Array<ArrayBuffer> {
    const input = String(text);
    const native = byteString(input);
    if (native !== undefined) return bytesOfString(native);
    const bytes = new Uint8Array(input.length * 3);
    return bytes.slice(0, this.encodeInto(input, bytes).written);
  }

  /** Writes as many whole characters as there is room for. */
  encodeInto(text: string, target: Uint8Array): { read: number; written: number } {
    let read = 0;
    let written = 0;
    while (read < text.length) {
      const code = scalarAt(text, read);
      const length = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
      if (written + length > target.length) break;
      put(target, written, code, length);
      written += length;
      read += length === 4 ? 2 : 1;
    }
    return { read, written };
  }
}

/** Asked of the engine's own code, which an interpreter runs a hundred times as fast as a loop. */
export const isAscii = (text: string): boolean => !/[^\0-\x7f]/.test(text);

/** The text with a character for each byte; undefined when there is half a character in it. */
function byteString(text: string): string | undefined {
  if (isAscii(text)) return text;
  try {
    return unescape(encodeURIComponent(text));
  } catch {
    return undefined;
  }
}

function bytesOfString(text: string): Uint8Array<ArrayBuffer> {
  const { length } = text;
  const bytes = new Uint8Array(length);
  for (let index = 0; index < length; index++) bytes[index] = text.charCodeAt(index);
  return bytes;
}

/** The character there; U+FFFD for half of one. */
function scalarAt(text: string, index: number): number {
  const unit = text.charCodeAt(index);
  if (unit < 0xd800 || unit > 0xdfff) return unit;
  const next = unit < 0xdc00 ? text.charCodeAt(index + 1) : 0;
  return next >= 0xdc00 && next <= 0xdfff ? 0x10000 + ((unit - 0xd800) << 10) + (next - 0xdc00) : 0xfffd;
}

function put(target: Uint8Array, at: number, code: number, length: number): void {
  if (length === 1) {
    target[at] = code;
    return;
  }
  const mark = length === 2 ? 0xc0 : length === 3 ? 0xe0 : 0xf0;
  for (let index = length - 1, rest = code; index >= 0; index--) {
    target[at + index] = index === 0 ? mark | rest : 0x80 | (rest & 0x3f);
    rest >>= 6;
  }
}
