interface Waiting<Request, Reply> {
  readonly request: Request;
  readonly bytes: number;
  readonly resolve: (reply: Reply) => void;
  readonly reject: (error: unknown) => void;
}

export interface TurnBatchOptions<Request, Reply> {
  /** Most requests, and most bytes of them, that are sent together; one that has more bytes goes alone. */
  readonly limit: { readonly requests: number; readonly bytes: number };
  /** Resolves to a reply for each request, in their order. */
  send(requests: readonly Request[]): Promise<readonly Reply[]>;
  /** Whether one request may have made the others fail and nothing was done, so that each is sent once more, alone. */
  isOfOne(error: unknown): boolean;
}

/**
 * Collects the requests that are made in one turn of the event loop and sends them together, since what costs is the
 * sending. A request that makes a batch fail does no harm to its neighbours.
 */
export class TurnBatch<Request, Reply> {
  readonly #options: TurnBatchOptions<Request, Reply>;
  readonly #inFlight = new Set<Promise<void>>();
  #waiting: Waiting<Request, Reply>[] = [];
  #waitingBytes = 0;

  constructor(options: TurnBatchOptions<Request, Reply>) {
    this.#options = options;
  }

  /** `bytes` is about what the request takes on the wire. */
  ask(request: Request, bytes: number): Promise<Reply> {
    const { limit } = this.#options;
    if (this.#waitingBytes + bytes > limit.bytes || this.#waiting.length >= limit.requests) this.#flush();
    return new Promise((resolve, reject) => {
      this.#waitingBytes += bytes;
      if (this.#waiting.push({ request, bytes, resolve, reject }) === 1) setImmediate(this.#flush);
    });
  }

  /** Resolves once everything that was asked has been answered. */
  async drain(): Promise<void> {
    this.#flush();
    while (this.#inFlight.size > 0) await Promise.all(this.#inFlight);
  }

  readonly #flush = (): void => {
    const batch = this.#waiting;
    if (batch.length === 0) return;
    this.#waiting = [];
    this.#waitingBytes = 0;
    const sent = this.#send(batch).finally(() => this.#inFlight.delete(sent));
    this.#inFlight.add(sent);
  };

  async #send(batch: readonly Waiting<Request, Reply>[]): Promise<void> {
    try {
      const replies = await this.#options.send(batch.map(({ request }) => request));
      for (const [index, { resolve, reject }] of batch.entries()) {
        const reply = replies[index];
        if (reply === undefined) reject(new RangeError(`request ${index} of ${batch.length} got no reply`));
        else resolve(reply);
      }
    } catch (error) {
      if (batch.length > 1 && this.#options.isOfOne(error)) await Promise.all(batch.map((one) => this.#send([one])));
      else for (const { reject } of batch) reject(error);
    }
  }
}
