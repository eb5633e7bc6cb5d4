const second: f64 = 1_000_000_000;

/** The tokens of one key. */
export class Bucket {
  tokens: f64 = 0;
  filledAt: u64 = 0;
  older: Bucket | null = null;
  newer: Bucket | null = null;
  /** The next one of the same slot. */
  next: Bucket | null = null;

  constructor(
    readonly key: string,
    readonly slot: i32,
  ) {}

  /** Takes a token if there is one. */
  take(): bool {
    if (this.tokens < 1) return false;
    this.tokens -= 1;
    return true;
  }

  /** Whole tokens left. */
  get remaining(): i32 {
    return <i32>Math.floor(this.tokens);
  }
}

/**
 * A bucket for each key, at most `maxKeys` of them: the one that was idle longest makes room. The table has its size from
 * the start, since one that grew would do so at the cost of a single request.
 */
export class Buckets {
  private readonly slots: StaticArray<Bucket | null>;
  /** Nobody outside can choose keys that fall into one slot. */
  private readonly seed: u32 = <u32>(Math.random() * 4294967296);
  private size: i32 = 0;
  private oldest: Bucket | null = null;
  private newest: Bucket | null = null;

  constructor(
    /** Tokens a second. */
    private readonly rate: f64,
    /** Most tokens of a bucket. */
    private readonly burst: i32,
    private readonly maxKeys: i32,
  ) {
    this.slots = new StaticArray<Bucket | null>(1 << (32 - clz(maxKeys)));
  }

  /** The bucket of the key, filled up to now; a new one is full. */
  of(key: string, now: u64): Bucket {
    const slot = this.slotOf(key);
    const bucket = this.find(slot, key);
    if (bucket === null) return this.create(slot, key, now);
    this.unlink(bucket);
    this.append(bucket);
    if (now > bucket.filledAt) {
      const elapsed = <f64>(now - bucket.filledAt) / second;
      bucket.tokens = min(<f64>this.burst, bucket.tokens + elapsed * this.rate);
    }
    bucket.filledAt = now; // also when the clock was set back, else the bucket would wait for it
    return bucket;
  }

  /** Whole seconds, at least one, until the bucket holds a token again. */
  secondsUntilToken(bucket: Bucket): i64 {
    return max<i64>(1, <i64>Math.ceil((1 - bucket.tokens) / this.rate));
  }

  /** Whole seconds until the bucket is full again. */
  secondsUntilFull(bucket: Bucket): i64 {
    return <i64>Math.ceil((<f64>this.burst - bucket.tokens) / this.rate);
  }

  private slotOf(key: string): i32 {
    let hash = this.seed;
    for (let i = 0; i < key.length; i++) hash = (hash ^ key.charCodeAt(i)) * 0x01000193; // FNV-1a
    return (hash ^ (hash >>> 15)) & (this.slots.length - 1);
  }

  private find(slot: i32, key: string): Bucket | null {
    let bucket = this.slots[slot];
    while (bucket !== null && bucket.key != key) bucket = bucket.next;
    return bucket;
  }

  private create(slot: i32, key: string, now: u64): Bucket {
    const oldest = this.oldest;
    if (oldest !== null && this.size >= this.maxKeys) this.evict(oldest);
    const bucket = new Bucket(key, slot);
    bucket.tokens = this.burst;
    bucket.filledAt = now;
    bucket.next = this.slots[slot];
    this.slots[slot] = bucket;
    this.size++;
    this.append(bucket);
    return bucket;
  }

  private evict(bucket: Bucket): void {
    this.unlink(bucket);
    this.size--;
    let before = this.slots[bucket.slot];
    if (before === bucket) {
      this.slots[bucket.slot] = bucket.next;
      return;
    }
    while (before !== null && before.next !== bucket) before = before.next;
    if (before !== null) before.next = bucket.next;
  }

  private append(bucket: Bucket): void {
    const newest = this.newest;
    bucket.older = newest;
    if (newest === null) this.oldest = bucket;
    else newest.newer = bucket;
    this.newest = bucket;
  }

  private unlink(bucket: Bucket): void {
    const older = bucket.older;
    const newer = bucket.newer;
    if (older === null) this.oldest = newer;
    else older.newer = newer;
    if (newer === null) this.newest = older;
    else newer.older = older;
    bucket.older = null;
    bucket.newer = null;
  }
}
