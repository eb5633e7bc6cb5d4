/** What the table keeps: something with the identifier of a stream. */
export interface Identified {
  readonly id: number;
}

const leastSlots = 16;

/**
 * The open streams of a connection by identifier, in open addressing. Not a Map: each time a Map grows or is compacted, its
 * old table keeps pointing to the new one, so that one table in the old generation keeps every later stream alive until the
 * next full collection (measured: a third of all CPU time). bench:grpc keeps it honest.
 */
export class StreamTable<S extends Identified> implements Iterable<S> {
  #slots: (S | undefined)[] = emptySlots(leastSlots);
  #mask = leastSlots - 1;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  get(id: number): S | undefined {
    const slots = this.#slots;
    const mask = this.#mask;
    for (let at = (id >>> 1) & mask; ; at = (at + 1) & mask) {
      const stream = slots[at];
      if (stream === undefined || stream.id === id) return stream;
    }
  }

  /** The identifier must not be in the table. */
  add(stream: S): void {
    if (this.#size * 2 >= this.#slots.length) this.#resize(this.#slots.length * 2);
    this.#size += 1;
    this.#place(stream);
  }

  delete(id: number): void {
    const slots = this.#slots;
    const mask = this.#mask;
    let gap = (id >>> 1) & mask;
    while (slots[gap]?.id !== id) {
      if (slots[gap] === undefined) return;
      gap = (gap + 1) & mask;
    }
    slots[gap] = undefined;
    this.#size -= 1;
    // What lies behind the gap on its way from its own slot moves up into it.
    for (let at = (gap + 1) & mask; ; at = (at + 1) & mask) {
      const stream = slots[at];
      if (stream === undefined) break;
      const own = (stream.id >>> 1) & mask;
      if (((at - own) & mask) < ((at - gap) & mask)) continue;
      slots[gap] = stream;
      slots[at] = undefined;
      gap = at;
    }
    if (this.#size === 0 && slots.length > leastSlots * 16) this.#resize(leastSlots);
  }

  /** The streams as they are now, in no order: what comes or goes meanwhile does not matter. */
  [Symbol.iterator](): IterableIterator<S> {
    return this.#slots.filter((stream) => stream !== undefined).values();
  }

  #place(stream: S): void {
    const slots = this.#slots;
    const mask = this.#mask;
    let at = (stream.id >>> 1) & mask;
    while (slots[at] !== undefined) at = (at + 1) & mask;
    slots[at] = stream;
  }

  #resize(length: number): void {
    const before = this.#slots;
    this.#slots = emptySlots(length);
    this.#mask = length - 1;
    for (const stream of before) if (stream !== undefined) this.#place(stream);
  }
}

const emptySlots = <S>(length: number): (S | undefined)[] => new Array<S | undefined>(length).fill(undefined);
