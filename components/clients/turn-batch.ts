interface Waiting<Request, Reply> {
  readonly request: Request;
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
 * sending; while nothing is in flight, those of one tick only. A request that makes a batch fail does no harm to its
 * neighbours.
 */
export class TurnBatch<Request, Reply> {
  readonly #options: TurnBatchOptions<Request, Reply>;
  #waiting: Waiting<Request, Reply>[] = [];
  #waitingBytes = 0;
  #inFlight = 0;
  #idle: PromiseWithResolvers<void> | undefined;

  constructor(options: TurnBatchOptions<Request, Reply>) {
    this.#options = options;
  }

  /** `bytes` is about what the request takes on the wire. */
  ask(request: Request, bytes: number): Promise<Reply> {
    const { limit } = this.#options;
    if (this.#waitingBytes + bytes > limit.bytes || this.#waiting.length >= limit.requests) this.#flush();
    return new Promise((resolve, reject) => {
      this.#waitingBytes += bytes;
      if (this.#waiting.push({ request, resolve, reject }) === 1) this.#schedule();
    });
  }

  /** Resolves once everything that was asked has been answered. */
  async drain(): Promise<void> {
    this.#flush();
    while (this.#inFlight > 0) {
      this.#idle ??= Promise.withResolvers();
      await this.#idle.promise;
    }
  }

  /** A turn costs more than a tick: whoever is alone does not wait for others. */
  #schedule(): void {
    if (this.#inFlight === 0) process.nextTick(this.#flush);
    else setImmediate(this.#flush);
  }

  readonly #flush = (): void => {
    const batch = this.#waiting;
    if (batch.length === 0) return;
    this.#waiting = [];
    this.#waitingBytes = 0;
    this.#send(batch);
  };

  #send(batch: readonly Waiting<Request, Reply>[]): void {
    this.#inFlight++;
    this.#options.send(batch.map(({ request }) => request)).then(
      (replies) => {
        for (let index = 0; index < batch.length; index++) settle(batch[index], replies[index]);
        this.#sent();
      },
      (error: unknown) => {
        if (batch.length > 1 && this.#options.isOfOne(error)) for (const one of batch) this.#send([one]);
        else for (const { reject } of batch) reject(error);
        this.#sent();
      },
    );
  }

  #sent(): void {
    if (--this.#inFlight > 0) return;
    this.#idle?.resolve();
    this.#idle = undefined;
  }
}

function settle<Reply>(waiting: Waiting<unknown, Reply> | undefined, reply: Reply | undefined): void {
  if (reply === undefined) waiting?.reject(new RangeError("a request of a batch got no reply"));
  else waiting?.resolve(reply);
}
