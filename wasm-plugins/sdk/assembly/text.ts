// Strings here are UTF-16, the wire speaks bytes.

/** The bytes of the text in UTF-8; a lone surrogate becomes U+FFFD. */
export function encodeText(text: string): Uint8Array {
  return Uint8Array.wrap(encodeBuffer(text));
}

/** As `encodeText`, without the view. */
export function encodeBuffer(text: string): ArrayBuffer {
  return String.UTF8.encode(text, false, String.UTF8.ErrorMode.REPLACE);
}

/** The text of bytes in UTF-8; bytes that are not UTF-8 are read as Latin-1, one character each, so that none is lost. */
export function decodeText(bytes: Uint8Array): string {
  return decodeRange(bytes.dataStart, bytes.byteLength);
}

/** As `decodeText`, of a whole buffer. */
export function decodeBuffer(buffer: ArrayBuffer): string {
  return decodeRange(changetype<usize>(buffer), buffer.byteLength);
}

/** As `decodeText`, of a range of memory. */
export function decodeRange(start: usize, size: usize): string {
  return isUtf8(start, size) ? String.UTF8.decodeUnsafe(start, size) : decodeLatin1(start, size);
}

/** The bytes of a text whose characters are all below U+0100; others lose their upper half. */
export function encodeLatin1(text: string): Uint8Array {
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = <u8>text.charCodeAt(i);
  return bytes;
}

function decodeLatin1(start: usize, size: usize): string {
  const text = changetype<string>(__new(size << 1, idof<string>()));
  for (let i: usize = 0; i < size; i++) store<u16>(changetype<usize>(text) + (i << 1), load<u8>(start + i));
  return text;
}

/** Whether a range of memory is well-formed UTF-8. */
export function isUtf8(start: usize, size: usize): bool {
  const end = start + size;
  let at = start;
  while (at < end) {
    const first = <u32>load<u8>(at++);
    if (first < 0x80) continue;
    if (first < 0xc2 || first > 0xf4) return false;
    const more: u32 = first < 0xe0 ? 1 : first < 0xf0 ? 2 : 3;
    if (at + more > end) return false;
    const second = <u32>load<u8>(at);
    if ((second & 0xc0) != 0x80) return false;
    if (first == 0xe0 && second < 0xa0) return false; // overlong
    if (first == 0xed && second > 0x9f) return false; // surrogate
    if (first == 0xf0 && second < 0x90) return false; // overlong
    if (first == 0xf4 && second > 0x8f) return false; // above U+10FFFF
    for (let i: u32 = 1; i < more; i++) if ((load<u8>(at + i) & 0xc0) != 0x80) return false;
    at += more;
  }
  return true;
}
