/** A field of a protobuf message: a number of a varint, or the bytes of what has a length. Others are left out. */
interface Field {
  readonly number: number;
  readonly value: number | Uint8Array;
}

/** The fields of a message, in order; undefined when the bytes are none. Enough for the few that guests made for Envoy pass. */
export function readMessage(bytes: Uint8Array): readonly Field[] | undefined {
  const fields: Field[] = [];
  let at = 0;
  const varint = (): number => {
    let value = 0;
    for (let scale = 1; scale <= 2 ** 63; scale *= 128) {
      const byte = bytes[at++];
      if (byte === undefined) return Number.NaN;
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
    }
    return Number.NaN;
  };
  while (at < bytes.length) {
    const tag = varint();
    const number = Math.floor(tag / 8);
    if (number === 0) return undefined;
    const type = tag % 8;
    if (type === 0) {
      const value = varint();
      if (Number.isNaN(value)) return undefined;
      fields.push({ number, value });
    } else if (type === 2) {
      const size = varint();
      if (!(at + size <= bytes.length)) return undefined;
      fields.push({ number, value: bytes.subarray(at, at + size) });
      at += size;
    } else if (type === 1) at += 8;
    else if (type === 5) at += 4;
    else return undefined;
  }
  return at === bytes.length ? fields : undefined;
}

/** The last bytes of the field; none when it is not there. */
export function bytesField(fields: readonly Field[], number: number): Uint8Array {
  const value = fields.findLast((field) => field.number === number && typeof field.value !== "number")?.value;
  return value instanceof Uint8Array ? value : new Uint8Array(0);
}

export function textField(fields: readonly Field[], number: number): string {
  return Buffer.from(bytesField(fields, number)).toString("utf8");
}

export function booleanField(fields: readonly Field[], number: number): boolean {
  return fields.some((field) => field.number === number && typeof field.value === "number" && field.value !== 0);
}

/** A message of these fields; what has its default value is left out. */
export function writeMessage(
  fields: readonly (readonly [number: number, value: Uint8Array | string | boolean])[],
): Uint8Array {
  const parts: Uint8Array[] = [];
  for (const [number, value] of fields) {
    if (typeof value === "boolean") {
      if (value) parts.push(Uint8Array.of(number * 8, 1));
      continue;
    }
    const bytes = typeof value === "string" ? Buffer.from(value, "utf8") : value;
    if (bytes.length > 0) parts.push(Uint8Array.of(number * 8 + 2, ...varintOf(bytes.length)), bytes);
  }
  return Buffer.concat(parts);
}

function varintOf(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  for (; rest >= 0x80; rest = Math.floor(rest / 128)) bytes.push((rest % 128) + 0x80);
  bytes.push(rest);
  return bytes;
}
