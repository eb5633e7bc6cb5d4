import { decodeText } from "./text";

/** The segments of a path, without its slashes, percent-decoded. */
export function decodePath(path: string): string[] {
  const segments: string[] = [];
  const parts = path.split("/");
  for (let i = 0; i < parts.length; i++) if (parts[i].length > 0) segments.push(decodePercent(parts[i], false));
  return segments;
}

/** The first value of the name in a query, decoded, or null. */
export function queryValue(query: string, name: string): string | null {
  const fields = query.split("&");
  for (let i = 0; i < fields.length; i++) {
    const equals = fields[i].indexOf("=");
    const key = equals < 0 ? fields[i] : fields[i].substring(0, equals);
    if (key.length == 0 || decodePercent(key, true) != name) continue;
    return equals < 0 ? "" : decodePercent(fields[i].substring(equals + 1), true);
  }
  return null;
}

/** Resolves `%41`; what is not two hexadecimal digits stays as it is. With `plus`, a plus is a space. */
function decodePercent(text: string, plus: bool): string {
  if (!text.includes("%") && !(plus && text.includes("+"))) return text;
  const source = String.UTF8.encode(text, false, String.UTF8.ErrorMode.REPLACE);
  const bytes = Uint8Array.wrap(source);
  const decoded = new Uint8Array(bytes.length);
  let size = 0;
  for (let i = 0; i < bytes.length; i++) {
    let byte = bytes[i];
    if (byte == 0x25 && i + 2 < bytes.length) {
      const high = hexDigit(bytes[i + 1]);
      const low = hexDigit(bytes[i + 2]);
      if (high >= 0 && low >= 0) {
        byte = <u8>((high << 4) | low);
        i += 2;
      }
    } else if (plus && byte == 0x2b) {
      byte = 0x20;
    }
    decoded[size++] = byte;
  }
  return decodeText(decoded.subarray(0, size));
}

function hexDigit(character: u8): i32 {
  if (character >= 0x30 && character <= 0x39) return character - 0x30;
  const letter = character | 0x20;
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x61 + 10 : -1;
}
