/** Holes that are left before they are closed. */
const mostHoles = 1024;

/**
 * The keys of a store in the order in which they came, each at a place of its own that is never given again, so that a
 * listing goes on where it was whatever came and went meanwhile.
 */
export class KeyOrder {
  /** Undefined where the key has gone. */
  #keys: (string | undefined)[] = [];
  /** Of the keys, rising. */
  #places: number[] = [];
  #holes = 0;
  #next = 0;

  /** Puts a new key at the end and gives its place. */
  add(key: string): number {
    this.#keys.push(key);
    this.#places.push(this.#next);
    return this.#next++;
  }

  remove(place: number): void {
    const index = this.#indexOf(place);
    if (this.#places[index] !== place || this.#keys[index] === undefined) return;
    this.#keys[index] = undefined;
    this.#holes++;
    if (this.#holes > mostHoles && this.#holes * 2 > this.#keys.length) this.#close();
  }

  /** The keys from the place on, which may have gone; nothing may be added or removed before the end. */
  *from(place: number): Generator<readonly [key: string, place: number]> {
    for (let index = this.#indexOf(place); index < this.#keys.length; index++) {
      const key = this.#keys[index];
      if (key !== undefined) yield [key, this.#places[index] ?? 0];
    }
  }

  clear(): void {
    this.#keys = [];
    this.#places = [];
    this.#holes = 0;
  }

  /** Of the first that stands at the place or after it. */
  #indexOf(place: number): number {
    let [low, high] = [0, this.#places.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#places[middle] ?? 0) < place) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #close(): void {
    this.#places = this.#places.filter((_, index) => this.#keys[index] !== undefined);
    this.#keys = this.#keys.filter((key) => key !== undefined);
    this.#holes = 0;
  }
}
