import { decodeRange, encodeBuffer, isUtf8 } from "./text";

/** One field. */
export class Header {
  constructor(
    /** Lower-case. */
    readonly name: string,
    readonly value: string,
    /** The bytes of a value that is not UTF-8, so that a copy goes back as it came. */
    readonly raw: ArrayBuffer | null = null,
  ) {}

  /** The value as it goes on the wire. */
  bytes(): ArrayBuffer {
    const raw = this.raw;
    return raw === null ? encodeBuffer(this.value) : raw;
  }
}

/** A list of fields of one's own: for a response, a call, or as a copy of what the host holds. Names are lower-case. */
export class Headers {
  private readonly fields: Header[] = [];

  /** How many fields there are. */
  get length(): i32 {
    return this.fields.length;
  }

  /** The field at a place; ends the instance beyond the end. */
  at(index: i32): Header {
    return this.fields[index];
  }

  /** The first value of the name, or null. */
  get(name: string): string | null {
    const wanted = name.toLowerCase();
    for (let i = 0; i < this.fields.length; i++) if (this.fields[i].name == wanted) return this.fields[i].value;
    return null;
  }

  /** The first value of the name, or the fallback. */
  getOr(name: string, fallback: string): string {
    const value = this.get(name);
    return value === null ? fallback : value;
  }

  /** Every value of the name, in order. */
  getAll(name: string): string[] {
    const wanted = name.toLowerCase();
    const values: string[] = [];
    for (let i = 0; i < this.fields.length; i++) {
      if (this.fields[i].name == wanted) values.push(this.fields[i].value);
    }
    return values;
  }

  /** Appends a field. */
  add(name: string, value: string): Headers {
    return this.append(new Header(name.toLowerCase(), value));
  }

  /** Appends a field as it is. */
  append(field: Header): Headers {
    this.fields.push(field);
    return this;
  }

  /** Replaces every value of the name, or appends the field. */
  set(name: string, value: string): Headers {
    return this.remove(name).add(name, value);
  }

  /** Removes every value of the name. */
  remove(name: string): Headers {
    const wanted = name.toLowerCase();
    for (let i = this.fields.length - 1; i >= 0; i--) if (this.fields[i].name == wanted) this.fields.splice(i, 1);
    return this;
  }

  /** A copy without the pseudo fields (`:path`, `:status`). */
  withoutPseudo(): Headers {
    const rest = new Headers();
    for (let i = 0; i < this.fields.length; i++) {
      if (!this.fields[i].name.startsWith(":")) rest.fields.push(this.fields[i]);
    }
    return rest;
  }
}

/** The fields as the ABI wants them: count, lengths, then names and values with a NUL after each. */
export function encodePairs(headers: Headers): ArrayBuffer {
  const count = headers.length;
  const parts = new Array<ArrayBuffer>(count * 2);
  let size = 4 + count * 8;
  for (let i = 0; i < count; i++) {
    const name = encodeBuffer(headers.at(i).name);
    const value = headers.at(i).bytes();
    parts[i * 2] = name;
    parts[i * 2 + 1] = value;
    size += name.byteLength + value.byteLength + 2;
  }
  const pairs = new ArrayBuffer(size); // zero-filled, so the NULs are there
  const start = changetype<usize>(pairs);
  store<u32>(start, count);
  let at = start + 4 + count * 8;
  for (let i = 0; i < parts.length; i++) {
    const part = parts[i];
    store<u32>(start + 4 + i * 4, part.byteLength);
    memory.copy(at, changetype<usize>(part), part.byteLength);
    at += part.byteLength + 1;
  }
  return pairs;
}

/** Reads what `encodePairs` writes; malformed bytes give no fields. */
export function decodePairs(pairs: ArrayBuffer): Headers {
  const headers = new Headers();
  const size = pairs.byteLength;
  if (size < 4) return headers;
  const start = changetype<usize>(pairs);
  const count = load<u32>(start);
  if (count > <u32>(size - 4) / 10) return headers; // two lengths and two NULs each
  let at: u32 = 4 + count * 8;
  for (let i: u32 = 0; i < count; i++) {
    const nameSize = load<u32>(start + 4 + i * 8);
    const valueSize = load<u32>(start + 8 + i * 8);
    if (<u64>at + nameSize + valueSize + 2 > <u64>size) return headers;
    const name = decodeRange(start + at, nameSize);
    at += nameSize + 1;
    headers.append(new Header(name, decodeRange(start + at, valueSize), rawValue(pairs, at, valueSize)));
    at += valueSize + 1;
  }
  return headers;
}

function rawValue(pairs: ArrayBuffer, at: u32, size: u32): ArrayBuffer | null {
  return isUtf8(changetype<usize>(pairs) + at, size) ? null : pairs.slice(at, at + size);
}
