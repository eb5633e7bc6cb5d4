const second: f64 = 1_000_000_000;

/** What became of a request, as its bucket was right after it. */
export class Tally {
  constructor(
    readonly allowed: bool,
    /** Whole tokens left. */
    readonly remaining: i32,
    /** Whole seconds, at least one, until there is a token again. */
    readonly untilToken: i64,
    /** Whole seconds until the bucket is full again. */
    readonly untilFull: i64,
  ) {}
}

/**
 * A bucket for each key, at most `maxKeys` of them: the one that was idle longest makes room. All of it is arrays of numbers
 * that never grow, the keys among them as digests: so neither a long key, nor a new one, nor the collector, which visits a
 * table of objects at one go, can cost a single request its budget. Bucket 0 stands for none.
 */
export class Buckets {
  private readonly tokens: StaticArray<f64>;
  private readonly filledAt: StaticArray<u64>;
  private readonly digests: StaticArray<u64>;
  /** By the last bits of the digest, the first bucket that has them; the others follow by `next`. */
  private readonly slots: StaticArray<i32>;
  private readonly next: StaticArray<i32>;
  /** The order of use. */
  private readonly older: StaticArray<i32>;
  private readonly newer: StaticArray<i32>;
  private oldest: i32 = 0;
  private newest: i32 = 0;
  private size: i32 = 0;
  /** Nobody outside can choose keys that meet in one slot. */
  private readonly seed: u64 = reinterpret<u64>(Math.random());

  constructor(
    /** Tokens a second. */
    private readonly rate: f64,
    /** Most tokens of a bucket. */
    private readonly burst: i32,
    private readonly maxKeys: i32,
  ) {
    const count = maxKeys + 1;
    this.tokens = new StaticArray<f64>(count);
    this.filledAt = new StaticArray<u64>(count);
    this.digests = new StaticArray<u64>(count);
    this.slots = new StaticArray<i32>(1 << (32 - clz(maxKeys)));
    this.next = new StaticArray<i32>(count);
    this.older = new StaticArray<i32>(count);
    this.newer = new StaticArray<i32>(count);
  }

  /** Takes a token from the key's bucket, if it has one; a new bucket is full. */
  take(key: string, now: u64): Tally {
    const digest = this.digestOf(key);
    const bucket = this.find(digest);
    const used = bucket == 0 ? this.create(digest, now) : this.fill(bucket, now);
    const allowed = this.tokens[used] >= 1;
    if (allowed) this.tokens[used] -= 1;
    const left = this.tokens[used];
    return new Tally(
      allowed,
      <i32>Math.floor(left),
      max<i64>(1, <i64>Math.ceil((1 - left) / this.rate)),
      <i64>Math.ceil((<f64>this.burst - left) / this.rate),
    );
  }

  private digestOf(key: string): u64 {
    let digest = this.seed ^ 0xcbf29ce484222325; // FNV-1a
    for (let i = 0; i < key.length; i++) digest = (digest ^ key.charCodeAt(i)) * 0x100000001b3;
    return (digest ^ (digest >>> 32)) * 0xff51afd7ed558ccd; // spreads the last characters over all bits
  }

  private slotOf(digest: u64): i32 {
    return <i32>(digest >>> 32) & (this.slots.length - 1);
  }

  private find(digest: u64): i32 {
    let bucket = this.slots[this.slotOf(digest)];
    while (bucket != 0 && this.digests[bucket] != digest) bucket = this.next[bucket];
    return bucket;
  }

  private fill(bucket: i32, now: u64): i32 {
    this.unlink(bucket);
    this.append(bucket);
    if (now > this.filledAt[bucket]) {
      const elapsed = <f64>(now - this.filledAt[bucket]) / second;
      this.tokens[bucket] = min(<f64>this.burst, this.tokens[bucket] + elapsed * this.rate);
    }
    this.filledAt[bucket] = now; // also when the clock was set back, else the bucket would wait for it
    return bucket;
  }

  private create(digest: u64, now: u64): i32 {
    const bucket = this.size < this.maxKeys ? ++this.size : this.evict();
    const slot = this.slotOf(digest);
    this.digests[bucket] = digest;
    this.tokens[bucket] = this.burst;
    this.filledAt[bucket] = now;
    this.next[bucket] = this.slots[slot];
    this.slots[slot] = bucket;
    this.append(bucket);
    return bucket;
  }

  /** Empties the bucket that was idle longest. */
  private evict(): i32 {
    const bucket = this.oldest;
    this.unlink(bucket);
    const slot = this.slotOf(this.digests[bucket]);
    let before = this.slots[slot];
    if (before == bucket) {
      this.slots[slot] = this.next[bucket];
      return bucket;
    }
    while (this.next[before] != bucket) before = this.next[before];
    this.next[before] = this.next[bucket];
    return bucket;
  }

  private append(bucket: i32): void {
    this.older[bucket] = this.newest;
    this.newer[bucket] = 0;
    if (this.newest == 0) this.oldest = bucket;
    else this.newer[this.newest] = bucket;
    this.newest = bucket;
  }

  private unlink(bucket: i32): void {
    const older = this.older[bucket];
    const newer = this.newer[bucket];
    if (older == 0) this.oldest = newer;
    else this.newer[older] = newer;
    if (newer == 0) this.newest = older;
    else this.older[newer] = older;
  }
}
