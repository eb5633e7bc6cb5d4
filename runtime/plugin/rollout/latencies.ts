/** Each power of two is cut into this many buckets: what is read is off by at most 1/16. */
const parts = 16;
const partBits = 4;
const octaves = 32;

/** A histogram of times in a fixed amount of memory, from microseconds to more than an hour. */
export class Latencies {
  readonly #buckets = new Int32Array(parts * octaves);
  #count = 0;

  add(ms: number): void {
    const index = bucketOf(microsecondsOf(ms));
    this.#buckets[index] = (this.#buckets[index] ?? 0) + 1;
    this.#count++;
  }

  /** The time, in milliseconds, within which that share of all lies; 0 when there are none. */
  quantile(share: number): number {
    let left = Math.ceil(this.#count * share);
    if (left === 0) return 0;
    for (let index = 0; index < this.#buckets.length; index++) {
      left -= this.#buckets[index] ?? 0;
      if (left <= 0) return upperBound(index) / 1_000;
    }
    return 0;
  }

  /** How many took longer than that. */
  above(ms: number): number {
    let count = 0;
    const first = bucketOf(microsecondsOf(ms)) + 1;
    for (let index = first; index < this.#buckets.length; index++) count += this.#buckets[index] ?? 0;
    return count;
  }
}

const microsecondsOf = (ms: number): number => Math.min(Math.max(Math.round(ms * 1_000), 0), 0x7fff_ffff);

/** Below `parts` each value has its own bucket; above it the highest bits count. */
function bucketOf(value: number): number {
  if (value < parts) return value;
  const shift = 31 - Math.clz32(value) - partBits;
  return (shift + 1) * parts + ((value >>> shift) - parts);
}

function upperBound(index: number): number {
  if (index < parts) return index;
  const shift = Math.floor(index / parts) - 1;
  return (parts + (index % parts) + 1) * 2 ** shift - 1;
}
