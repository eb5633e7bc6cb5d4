const digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/** `btoa`: base64 of a text whose characters stand for bytes. */
export function toBase64(input: string): string {
  const text = String(input);
  const parts: string[] = [];
  for (let index = 0; index < text.length; index += 3) {
    const bytes = [index, index + 1, index + 2].map((at) => (at < text.length ? text.charCodeAt(at) : 0));
    if (bytes.some((byte) => byte > 0xff)) throw new TypeError("btoa takes characters from U+0000 to U+00FF only");
    const [first = 0, second = 0, third = 0] = bytes;
    const bits = (first << 16) | (second << 8) | third;
    parts.push(digit(bits >> 18), digit(bits >> 12));
    parts.push(index + 1 < text.length ? digit(bits >> 6) : "=", index + 2 < text.length ? digit(bits) : "=");
  }
  return parts.join("");
}

/** `atob`: the text that base64 stands for. */
export function fromBase64(input: string): string {
  const compact = String(input).replace(/[\t\n\f\r ]/g, "");
  const text = compact.length % 4 === 0 ? compact.replace(/={1,2}$/, "") : compact;
  if (text.length % 4 === 1 || /[^A-Za-z0-9+/]/.test(text)) throw new TypeError("what atob was given is not base64");
  const codes: string[] = [];
  let bits = 0;
  let count = 0;
  for (const character of text) {
    bits = ((bits << 6) | digits.indexOf(character)) & 0xffffff;
    count += 6;
    if (count < 8) continue;
    count -= 8;
    codes.push(String.fromCharCode((bits >> count) & 0xff));
  }
  return codes.join("");
}

const digit = (bits: number): string => digits.charAt(bits & 0x3f);
