const second: f64 = 1_000_000_000;

/** The tokens of one key. */
export class Bucket {
  tokens: f64 = 0;
  filledAt: u64 = 0;
  older: Bucket | null = null;
  newer: Bucket | null = null;

  constructor(readonly key: string) {}

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

/** A bucket for each key, at most `maxKeys` of them: the one that was idle longest makes room. */
export class Buckets {
  private readonly byKey: Map<string, Bucket> = new Map();
  private oldest: Bucket | null = null;
  private newest: Bucket | null = null;

  constructor(
    /** Tokens a second. */
    private readonly rate: f64,
    /** Most tokens of a bucket. */
    private readonly burst: i32,
    private readonly maxKeys: i32,
  ) {}

  /** The bucket of the key, filled up to now; a new one is full. */
  of(key: string, now: u64): Bucket {
    if (!this.byKey.has(key)) return this.create(key, now);
    const bucket = this.byKey.get(key);
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

  private create(key: string, now: u64): Bucket {
    const oldest = this.oldest;
    if (oldest !== null && this.byKey.size >= this.maxKeys) {
      this.unlink(oldest);
      this.byKey.delete(oldest.key);
    }
    const bucket = new Bucket(key);
    bucket.tokens = this.burst;
    bucket.filledAt = now;
    this.byKey.set(key, bucket);
    this.append(bucket);
    return bucket;
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
