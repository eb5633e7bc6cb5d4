/** Whether the peer is still there and still needed. */
export interface LivenessOptions {
  readonly keepAliveMs: number;
  readonly keepAliveTimeoutMs: number;
  readonly idleMs: number;
  readonly settingsTimeoutMs: number;
  /** Servers of gRPC end connections of clients that ping without a stream. */
  readonly pingsWithoutStreams: boolean;
}

export interface LivenessEvents {
  ping(): void;
  /** Nothing came for too long; the text says what was awaited. */
  dead(message: string): void;
  /** The settings were not acknowledged in time. */
  unsettled(message: string): void;
  /** No stream for too long. */
  idle(): void;
}

/** One timer of a connection for its settings, keep-alive and idleness; it looks at stamps rather than being set anew. */
export class Liveness implements Disposable {
  readonly #options: LivenessOptions;
  readonly #events: LivenessEvents;
  #timer: NodeJS.Timeout | undefined;
  #receivedAtMs = performance.now();
  /** Counts once the connection is up: before, requests may wait for it. */
  #idleSinceMs: number | undefined;
  #isBusy = false;
  #pingedAtMs: number | undefined;
  #lastPingAtMs = Number.NEGATIVE_INFINITY;
  #settingsDueAtMs: number | undefined;

  constructor(options: LivenessOptions, events: LivenessEvents) {
    this.#options = options;
    this.#events = events;
    this.#settingsDueAtMs = this.#receivedAtMs + options.settingsTimeoutMs;
    this.#arm(this.#receivedAtMs);
  }

  received(): void {
    this.#receivedAtMs = performance.now();
    this.#pingedAtMs = undefined;
  }

  /** The peer has acknowledged the settings. */
  settled(): void {
    this.#settingsDueAtMs = undefined;
    if (!this.#isBusy) this.rest();
  }

  /** Something was awaited in vain since that time: the peer is asked now, unless it has been heard of since or was asked lately. */
  suspect(sinceMs: number): void {
    const { keepAliveMs } = this.#options;
    const now = performance.now();
    if (keepAliveMs === 0 || this.#pingedAtMs !== undefined || this.#receivedAtMs > sinceMs) return;
    if (now < this.#lastPingAtMs + keepAliveMs) return;
    this.#ping(now);
    clearTimeout(this.#timer);
    this.#arm(now);
  }

  busy(): void {
    this.#isBusy = true;
    this.#idleSinceMs = undefined;
  }

  /** The last stream has ended. */
  rest(): void {
    this.#isBusy = false;
    if (this.#options.idleMs > 0) this.#idleSinceMs = performance.now();
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
  }

  #arm(now: number): void {
    const next = Math.min(
      this.#settingsDueAtMs ?? Number.POSITIVE_INFINITY,
      this.#idleDueAtMs,
      this.#pingedAtMs === undefined ? this.#pingDueAtMs : this.#pingedAtMs + this.#options.keepAliveTimeoutMs,
    );
    const longest = this.#longestMs;
    const delay = next === Number.POSITIVE_INFINITY ? longest : Math.min(next - now, longest);
    if (delay !== Number.POSITIVE_INFINITY) {
      this.#timer = setTimeout(() => this.#look(), Math.max(1, Math.ceil(delay))).unref();
    }
  }

  /** A state that begins later than now must be looked for within this time. */
  get #longestMs(): number {
    const { idleMs, keepAliveMs } = this.#options;
    return Math.min(
      idleMs > 0 ? idleMs : Number.POSITIVE_INFINITY,
      keepAliveMs > 0 ? keepAliveMs : Number.POSITIVE_INFINITY,
    );
  }

  get #pingDueAtMs(): number {
    const { keepAliveMs, pingsWithoutStreams } = this.#options;
    return keepAliveMs > 0 && (this.#isBusy || pingsWithoutStreams)
      ? this.#receivedAtMs + keepAliveMs
      : Number.POSITIVE_INFINITY;
  }

  get #idleDueAtMs(): number {
    const { idleMs } = this.#options;
    return idleMs > 0 && this.#idleSinceMs !== undefined ? this.#idleSinceMs + idleMs : Number.POSITIVE_INFINITY;
  }

  #look(): void {
    const now = performance.now();
    const { keepAliveTimeoutMs } = this.#options;
    if (this.#settingsDueAtMs !== undefined && now >= this.#settingsDueAtMs) {
      this.#events.unsettled("the settings were not acknowledged in time");
      return;
    }
    if (this.#pingedAtMs !== undefined && now >= this.#pingedAtMs + keepAliveTimeoutMs) {
      this.#events.dead("the peer does not answer PING");
      return;
    }
    if (now >= this.#idleDueAtMs) {
      // It may be busy again before it has ended.
      this.#idleSinceMs = undefined;
      this.#events.idle();
    }
    if (this.#pingedAtMs === undefined && now >= this.#pingDueAtMs) this.#ping(now);
    this.#arm(now);
  }

  #ping(now: number): void {
    this.#pingedAtMs = now;
    this.#lastPingAtMs = now;
    this.#events.ping();
  }
}
