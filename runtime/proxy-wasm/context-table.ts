const leastSlots = 64;
const largestId = 0x7fffffff;

/**
 * Contexts by their id, which the table chooses: ids count up from 1, and skip those whose slot is taken. Not a Map: one whose
 * old tables have grown old keeps every later entry alive until the next full collection.
 */
export class ContextTable<C> {
  #slots: (C | undefined)[] = emptySlots(leastSlots);
  #ids = new Int32Array(leastSlots);
  #size = 0;
  #lastId = 0;

  /** Adds a context; the result is its id. */
  add(context: C): number {
    if (this.#size * 2 >= this.#slots.length) this.#grow();
    const mask = this.#slots.length - 1;
    do this.#lastId = this.#lastId >= largestId ? 1 : this.#lastId + 1;
    while (this.#slots[this.#lastId & mask] !== undefined);
    const id = this.#lastId;
    this.#slots[id & mask] = context;
    this.#ids[id & mask] = id;
    this.#size += 1;
    return id;
  }

  get(id: number): C | undefined {
    const at = id & (this.#slots.length - 1);
    return this.#ids[at] === id ? this.#slots[at] : undefined;
  }

  delete(id: number): void {
    const at = id & (this.#slots.length - 1);
    if (this.#ids[at] !== id || this.#slots[at] === undefined) return;
    this.#slots[at] = undefined;
    this.#size -= 1;
  }

  /** The contexts as they are now. */
  get all(): C[] {
    return this.#slots.filter((context) => context !== undefined);
  }

  /** Ids that differ in a smaller table differ in a larger one, too. */
  #grow(): void {
    const slots = this.#slots;
    const ids = this.#ids;
    this.#slots = emptySlots(slots.length * 2);
    this.#ids = new Int32Array(slots.length * 2);
    const mask = this.#slots.length - 1;
    for (const [at, context] of slots.entries()) {
      const id = ids[at] ?? 0;
      if (context === undefined) continue;
      this.#slots[id & mask] = context;
      this.#ids[id & mask] = id;
    }
  }
}

const emptySlots = <C>(length: number): (C | undefined)[] => new Array<C | undefined>(length).fill(undefined);
