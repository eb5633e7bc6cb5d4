import { payForBytes, payForCall } from "../charge.ts";
import { isFieldName, isFieldValue } from "../field-fault.ts";
import { hold, letGo } from "../held-bytes.ts";
import type { GuestHost } from "../provider.ts";

/** Name and value; the value is a byte string: one character per byte. */
export type Field = readonly [name: string, value: string];

/** Most bytes of names and values in one list, and most fields. */
const maxBytes = 256 * 1024;
const maxFields = 1024;
/** What a field takes of memory besides its bytes. */
const fieldBytes = 64;
/** What it takes to look at a field, and at two bytes of its name and value: names are compared without regard to case. */
const lookFuel = 30;
const lookedBytesPerFuel = 2;
/** What it takes besides to give one to the guest. */
const givenFuel = 300;
/** A list below this is not counted: a guest cannot have so many handles that it mattered. */
const smallBytes = 1_024;

/** Fields of a connection, which the sidecar sees to itself; `te` says what is understood, and may be sent. */
const forbidden: ReadonlySet<string> = new Set([
  "connection",
  "host",
  "http2-settings",
  "keep-alive",
  "proxy-authenticate",
  "proxy-authorization",
  "proxy-connection",
  "transfer-encoding",
  "upgrade",
]);

type HeaderError = { readonly tag: "invalid-syntax" | "forbidden" | "immutable" };

const invalidSyntax: HeaderError = { tag: "invalid-syntax" };
const isForbidden: HeaderError = { tag: "forbidden" };
const isImmutable: HeaderError = { tag: "immutable" };

/** The resource `wasi:http/types.fields`. Names are told as they were given, and compared without regard to case. */
export class Fields implements Disposable {
  readonly #host: GuestHost;
  readonly #isImmutable: boolean;
  #entries: Field[];
  #bytes: number;
  /** What of it is counted as held. */
  #held = 0;

  constructor(host: GuestHost, entries: Field[] = [], isImmutable = false) {
    payForCall(host);
    this.#host = host;
    this.#entries = entries;
    this.#isImmutable = isImmutable;
    this.#bytes = 0;
    for (const [name, value] of entries) this.#bytes += name.length + value.length;
    this.#hold();
  }

  /** The fields of a message that came in, without those of its connection. */
  static received(host: GuestHost, fields: readonly Field[]): Fields {
    host.pay(fields.length * lookFuel);
    const shown = fields.filter(([name]) => !name.startsWith(":") && !forbidden.has(name));
    return new Fields(host, shown, true);
  }

  static fromList(host: GuestHost, given: readonly (readonly [name: string, value: Uint8Array])[]): Fields {
    const fields = new Fields(host);
    try {
      for (const [name, value] of given) fields.append(name, value);
    } catch (error) {
      fields[Symbol.dispose]();
      throw error;
    }
    return fields;
  }

  get(name: string): Uint8Array[] {
    this.#payToLook();
    const key = name.toLowerCase();
    const values: Uint8Array[] = [];
    for (const [known, value] of this.#entries) if (isCalled(known, key)) values.push(this.#bytesOf(value));
    return values;
  }

  has(name: string): boolean {
    this.#payToLook();
    const key = name.toLowerCase();
    return this.#entries.some(([known]) => isCalled(known, key));
  }

  set(name: string, values: readonly Uint8Array[]): void {
    this.#refuseUnlessWritable(name);
    const texts = values.map(textOf);
    this.#remove(name.toLowerCase());
    for (const text of texts) this.#add(name, text);
  }

  append(name: string, value: Uint8Array): void {
    this.#refuseUnlessWritable(name);
    this.#add(name, textOf(value));
  }

  delete(name: string): void {
    this.#refuseUnlessWritable(name);
    this.#remove(name.toLowerCase());
  }

  entries(): [name: string, value: Uint8Array][] {
    this.#payToLook();
    payForBytes(this.#host, this.#bytes + this.#entries.length * givenFuel);
    return this.#entries.map(([name, value]) => [name, Buffer.from(value, "latin1")]);
  }

  clone(): Fields {
    this.#payToLook();
    return new Fields(this.#host, [...this.#entries]);
  }

  [Symbol.dispose](): void {
    letGo(this.#host, this.#held);
    this.#held = 0;
  }

  /** The same fields, which a guest may look at only, and let go of by themselves. */
  frozen(): Fields {
    this.#payToLook();
    return new Fields(this.#host, this.#entries, true);
  }

  /** Adds them to the head of a message, with names in lower case; the list belongs to the message then. */
  addTo(head: Field[]): void {
    for (const [name, value] of this.#entries) head.push([name.toLowerCase(), value]);
    this[Symbol.dispose]();
  }

  /** The length that `content-length` declares; undefined when it declares none that counts. */
  get declaredLength(): number | undefined {
    const declared = this.#entries.filter(([name]) => isCalled(name, "content-length"));
    const value = declared.length === 1 ? declared[0]?.[1] : undefined;
    return value !== undefined && /^\d{1,15}$/.test(value) ? Number(value) : undefined;
  }

  #payToLook(): void {
    payForCall(this.#host);
    this.#host.pay(this.#entries.length * lookFuel + Math.ceil(this.#bytes / lookedBytesPerFuel));
  }

  #refuseUnlessWritable(name: string): void {
    payForBytes(this.#host, name.length);
    if (this.#isImmutable) throw isImmutable;
    if (!isFieldName(name)) throw invalidSyntax;
    if (forbidden.has(name.toLowerCase())) throw isForbidden;
  }

  #add(name: string, value: string): void {
    payForBytes(this.#host, value.length);
    this.#bytes += name.length + value.length;
    if (this.#bytes > maxBytes || this.#entries.length >= maxFields) {
      throw new Error(`it made a list of more than ${maxFields} fields, or of more than ${maxBytes} bytes`);
    }
    this.#entries.push([name, value]);
    this.#hold();
  }

  /** Counts what it has grown by. Throws when the guest holds too much, by all of its lists. */
  #hold(): void {
    const grown = this.#bytes + this.#entries.length * fieldBytes - this.#held;
    if (grown < smallBytes) return;
    this.#held += grown;
    hold(this.#host, grown);
  }

  #remove(key: string): void {
    this.#payToLook();
    this.#entries = this.#entries.filter(([name, value]) => {
      if (!isCalled(name, key)) return true;
      this.#bytes -= name.length + value.length;
      return false;
    });
  }

  #bytesOf(value: string): Uint8Array {
    payForBytes(this.#host, value.length);
    return Buffer.from(value, "latin1");
  }
}

const isCalled = (name: string, key: string): boolean =>
  name === key || (name.length === key.length && name.toLowerCase() === key);

function textOf(value: Uint8Array): string {
  const text = Buffer.from(value.buffer, value.byteOffset, value.length).toString("latin1");
  if (!isFieldValue(text)) throw invalidSyntax;
  return text;
}
