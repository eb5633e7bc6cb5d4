const entryOverhead = 32;
const firstCapacity = 16;

/** What a field takes in the table, and of a header list (RFC 7541, section 4.1; RFC 9113, section 6.5.2). */
export const fieldBytes = (name: string, value: string): number => name.length + value.length + entryOverhead;

/** The dynamic table (RFC 7541, section 2.3.2): a ring of fields, the newest first by index. Takes memory as it fills. */
export class DynamicTable {
  #names: string[] = [];
  #values: string[] = [];
  /** One less than the capacity of the ring, which is a power of two. */
  #mask = -1;
  #inserted = 0;
  #count = 0;
  #bytes = 0;
  #maxBytes: number;
  readonly #evicted: ((name: string, value: string) => void) | undefined;

  constructor(maxBytes: number, evicted?: (name: string, value: string) => void) {
    this.#maxBytes = maxBytes;
    this.#evicted = evicted;
  }

  /** Fields in the table. */
  get count(): number {
    return this.#count;
  }

  /** Fields ever inserted: a field inserted as number `n`, counting from 1, has index `inserted - n`. */
  get inserted(): number {
    return this.#inserted;
  }

  get maxBytes(): number {
    return this.#maxBytes;
  }

  /** The name at the index: 0 is the newest. The index is below `count`. */
  name(index: number): string {
    return this.#names[(this.#inserted - 1 - index) & this.#mask] ?? "";
  }

  value(index: number): string {
    return this.#values[(this.#inserted - 1 - index) & this.#mask] ?? "";
  }

  /** A field that is larger than the table empties it (section 4.4). */
  insert(name: string, value: string): void {
    const bytes = fieldBytes(name, value);
    this.#evictTo(this.#maxBytes - bytes);
    if (bytes > this.#maxBytes) return;
    if (this.#count > this.#mask) this.#grow();
    const at = this.#inserted & this.#mask;
    this.#names[at] = name;
    this.#values[at] = value;
    this.#inserted += 1;
    this.#count += 1;
    this.#bytes += bytes;
  }

  resize(maxBytes: number): void {
    this.#maxBytes = maxBytes;
    this.#evictTo(maxBytes);
  }

  #evictTo(bytes: number): void {
    while (this.#count > 0 && this.#bytes > bytes) {
      const at = (this.#inserted - this.#count) & this.#mask;
      const name = this.#names[at] ?? "";
      const value = this.#values[at] ?? "";
      this.#bytes -= fieldBytes(name, value);
      this.#names[at] = "";
      this.#values[at] = "";
      this.#count -= 1;
      this.#evicted?.(name, value);
    }
  }

  #grow(): void {
    const capacity = Math.max((this.#mask + 1) * 2, firstCapacity);
    const names = new Array<string>(capacity).fill("");
    const values = new Array<string>(capacity).fill("");
    for (let index = 0; index < this.#count; index += 1) {
      const at = (this.#inserted - 1 - index) & (capacity - 1);
      names[at] = this.name(index);
      values[at] = this.value(index);
    }
    this.#names = names;
    this.#values = values;
    this.#mask = capacity - 1;
  }
}
