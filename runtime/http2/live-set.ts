/** A member knows where it lies; the set alone writes it, and a thing is in one set at most. */
export interface Placed {
  /** -1 outside. */
  place: number;
}

/**
 * A set of what comes and goes with each request. Not a Set, whose old tables point to its new ones: one in the old
 * generation would keep every later member alive until the next full collection (see StreamTable).
 */
export class LiveSet<T extends Placed> {
  readonly #members: T[] = [];

  get size(): number {
    return this.#members.length;
  }

  add(member: T): void {
    if (member.place >= 0) return;
    member.place = this.#members.length;
    this.#members.push(member);
  }

  delete(member: T): void {
    const { place } = member;
    const last = place < 0 ? undefined : this.#members.pop();
    if (last === undefined) return;
    if (last !== member) {
      this.#members[place] = last;
      last.place = place;
    }
    member.place = -1;
  }

  /** The members as they are now, in no order: what comes or goes meanwhile does not matter. */
  [Symbol.iterator](): IterableIterator<T> {
    return this.#members.slice().values();
  }
}
