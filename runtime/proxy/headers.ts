import type { HeaderMap } from "../plugin/contract.ts";

const maxAdded = 64;
const none: readonly string[] = [];

type Field = readonly [name: string, value: string];

/** The fields of a head or of trailers, kept flat (name, value, name, value) as sockets deliver and take them. */
export class HeaderList implements HeaderMap {
  /** Names of fields that belong in no compression table; HTTP/2 hands them on (RFC 7541, section 6.2.3). */
  sensitive: readonly string[] | undefined = undefined;
  readonly #flat: string[];
  #changed = false;
  /** Name, value, … of what was put here since `settle`, whether it is still here or not. */
  #added: string[] | undefined = undefined;
  /** So much was added that it is not kept beside the list. */
  #isUnknown = false;

  private constructor(flat: string[]) {
    this.#flat = flat;
  }

  /** From fields whose names are lower-case. */
  static of(fields: readonly Field[] = []): HeaderList {
    return new HeaderList(fields.flat());
  }

  /** A copy of name, value, name, value, … with names in lower case. */
  static ofFlat(flat: readonly string[]): HeaderList {
    return new HeaderList(flat.slice());
  }

  /** Of name, value, name, value, … with names in lower case, which nobody else writes to from now on. */
  static adopt(flat: string[]): HeaderList {
    return new HeaderList(flat);
  }

  /** Name, value, name, value, …; valid until the list changes. */
  get flat(): readonly string[] {
    return this.#flat;
  }

  get size(): number {
    return this.#flat.length / 2;
  }

  /** Whether a plugin may have put fields here since `settle`, which then want checking before they reach a wire. */
  get changed(): boolean {
    return this.#changed;
  }

  /** Declares the present content good. */
  settle(): void {
    this.#changed = false;
    this.#isUnknown = false;
    this.#added = undefined;
  }

  /** Name, value, … of at least what a plugin may have put here since `settle`. */
  get added(): readonly string[] {
    if (!this.#changed) return none;
    return this.#isUnknown ? this.#flat : (this.#added ?? none);
  }

  get(name: string): string | undefined {
    const at = this.#find(name, 0);
    if (at >= 0) return this.#flat[at + 1];
    // Only guests ask for names in upper case.
    const key = name.toLowerCase();
    if (key === name) return undefined;
    const found = this.#find(key, 0);
    return found < 0 ? undefined : this.#flat[found + 1];
  }

  /** Every value of the name, in order. */
  getAll(name: string): readonly string[] {
    const values: string[] = [];
    for (let at = this.#find(name, 0); at >= 0; at = this.#find(name, at + 2)) values.push(this.#flat[at + 1] ?? "");
    return values;
  }

  has(name: string): boolean {
    return this.#find(name, 0) >= 0;
  }

  set(name: string, value: string): void {
    const key = name.toLowerCase();
    this.#note(key, value);
    const first = this.#find(key, 0);
    if (first < 0) {
      this.#flat.push(key, value);
      return;
    }
    this.#flat[first + 1] = value;
    this.#removeFrom(key, first + 2);
  }

  add(name: string, value: string): void {
    const key = name.toLowerCase();
    this.#note(key, value);
    this.#flat.push(key, value);
  }

  /** Adds a field of the proxy's own, its name in lower case, that needs no checking. */
  append(name: string, value: string): void {
    this.#flat.push(name, value);
  }

  remove(name: string): void {
    this.#changed = true;
    this.#removeFrom(name.toLowerCase(), 0);
  }

  entries(): readonly Field[] {
    const fields: Field[] = [];
    for (let at = 0; at < this.#flat.length; at += 2) fields.push([this.#flat[at] ?? "", this.#flat[at + 1] ?? ""]);
    return fields;
  }

  replaceAll(entries: readonly Field[]): void {
    this.#changed = true;
    const flat = entries.flatMap(([name, value]) => [name.toLowerCase(), value]);
    this.#flat.length = 0;
    for (const text of flat) this.#flat.push(text);
    this.#isUnknown = true;
  }

  #note(name: string, value: string): void {
    this.#changed = true;
    if (this.#isUnknown) return;
    if (this.#added === undefined) this.#added = [name, value];
    else if (this.#added.push(name, value) > maxAdded) this.#isUnknown = true;
  }

  #find(name: string, from: number): number {
    for (let at = from; at < this.#flat.length; at += 2) if (this.#flat[at] === name) return at;
    return -1;
  }

  #removeFrom(name: string, from: number): void {
    let to = this.#find(name, from);
    if (to < 0) return;
    for (let at = to + 2; at < this.#flat.length; at += 2) {
      const key = this.#flat[at] ?? "";
      if (key === name) continue;
      this.#flat[to++] = key;
      this.#flat[to++] = this.#flat[at + 1] ?? "";
    }
    this.#flat.length = to;
  }
}

const token = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const pseudo = /^:(method|path|authority|scheme|status)$/;
const badInValue = /[^\t\x20-\x7e\x80-\xff]/;
const target = /^(\/[\x21\x22\x24-\x7e\x80-\xff]*|\*)$/;
const authority = /^[\x21-\x2e\x30-\x3e\x41-\x7e]*$/;

/** Whether the text may stand as `:path`: from the root, no fragment, no blanks (or `*`, for OPTIONS). */
export function isRequestTarget(text: string): boolean {
  return target.test(text);
}

/** Whether the text may stand as `:authority`: no path, no user information. */
export function isAuthority(text: string): boolean {
  return authority.test(text);
}

/**
 * The first field that could not be written without breaking the message apart, as a sentence; undefined when all are good.
 * Of a list that a parser filled, only what was added since counts.
 */
export function faultOfFields(headers: HeaderList): string | undefined {
  return faultOf(headers.added);
}

/** The same of fields that nobody has looked at. */
export function faultOf(flat: readonly string[]): string | undefined {
  for (let at = 0; at < flat.length; at += 2) {
    const name = flat[at] ?? "";
    if (!token.test(name) && !pseudo.test(name)) return `${JSON.stringify(name.slice(0, 64))} is not a field name`;
    if (badInValue.test(flat[at + 1] ?? "")) return `the value of '${name}' holds a character that is not allowed`;
  }
  return undefined;
}

/** What is wrong with a request head that did not come from a parser, as a sentence; undefined when nothing is. */
export function faultOfRequest(headers: HeaderList): string | undefined {
  const method = headers.get(":method");
  if (method === undefined || !token.test(method) || method === "CONNECT") return "':method' is missing or not allowed";
  const path = headers.get(":path");
  if (path === undefined || !target.test(path)) return "':path' is missing or not a path";
  if (!authority.test(headers.get(":authority") ?? "")) return "':authority' is not a host";
  return faultOfFields(headers);
}

/** As `faultOfRequest`, of the head of a final response. */
export function faultOfResponse(headers: HeaderList): string | undefined {
  if (statusOf(headers) === undefined) return "':status' is missing or not a status of a final response";
  return faultOfFields(headers);
}

/** The code of `:status` when it is one of a final response, else undefined. */
export function statusOf(headers: HeaderList): number | undefined {
  const text = headers.get(":status") ?? "";
  return /^[2-5]\d\d$/.test(text) ? Number(text) : undefined;
}
