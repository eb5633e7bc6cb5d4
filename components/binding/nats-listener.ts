import type { NatsConnection, NatsMessage, NatsSubscription } from "../clients/nats.ts";
import { RuntimeError } from "../error.ts";

/** At most one line of the log in this time about messages that are lost. */
const tellMs = 10_000;
/** Bytes that a message takes beside its data. */
const messageBytes = 512;

export interface NatsListenerOptions {
  readonly concurrency: number;
  readonly maxPending: number;
  readonly maxPendingBytes: number;
  deliver(message: NatsMessage, signal: AbortSignal): Promise<void>;
}

/** Hands on the messages of a subject, so many at a time; so many more may wait, and the rest is lost. */
export class NatsListener implements AsyncDisposable {
  readonly #connection: NatsConnection;
  readonly #options: NatsListenerOptions;
  readonly #ending = new AbortController();
  /** A set, since it is a queue that gives up its first in constant time. */
  readonly #waiting = new Set<NatsMessage>();
  readonly #running = new Set<Promise<void>>();
  #subscription: NatsSubscription | undefined;
  #bytes = 0;
  #lost = 0;
  #toldAtMs = Number.NEGATIVE_INFINITY;

  constructor(connection: NatsConnection, options: NatsListenerOptions) {
    this.#connection = connection;
    this.#options = options;
  }

  /** Resolves once the server knows that somebody listens. */
  async begin(subject: string, queue: string | undefined): Promise<void> {
    let refusal: string | undefined;
    this.#subscription = this.#connection.subscribe(subject, (message) => this.#receive(message), {
      ...(queue === undefined ? {} : { queue }),
      refused: (why) => {
        refusal = why;
      },
    });
    await this.#connection.flush();
    if (refusal === undefined) return;
    const message = `the NATS of '${this.#connection.name}' forbids to subscribe to '${subject}': ${refusal}`;
    throw new RuntimeError("PERMISSION_DENIED", "NATS_ACCESS_DENIED", message);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ending.abort();
    this.#waiting.clear();
    await this.#subscription?.end();
    await Promise.all(this.#running);
  }

  #receive(message: NatsMessage): void {
    if (this.#ending.signal.aborted) return;
    const { maxPending, maxPendingBytes } = this.#options;
    const bytes = sizeOf(message);
    if (this.#waiting.size >= maxPending || this.#bytes + bytes > maxPendingBytes) {
      this.#tellOfLoss();
      return;
    }
    this.#waiting.add(message);
    this.#bytes += bytes;
    this.#dispatch();
  }

  #dispatch(): void {
    for (const message of this.#waiting) {
      if (this.#running.size >= this.#options.concurrency) return;
      this.#waiting.delete(message);
      this.#bytes -= sizeOf(message);
      const delivery = this.#deliver(message).then(() => {
        this.#running.delete(delivery);
        this.#dispatch();
      });
      this.#running.add(delivery);
    }
  }

  async #deliver(message: NatsMessage): Promise<void> {
    const { signal } = this.#ending;
    try {
      await this.#options.deliver(message, signal);
    } catch (error) {
      if (signal.aborted) return;
      this.#connection.log.debug({ err: error, subject: message.subject }, "a message was not taken and is lost");
    }
  }

  #tellOfLoss(): void {
    this.#lost++;
    const now = performance.now();
    if (now - this.#toldAtMs < tellMs) return;
    this.#toldAtMs = now;
    const message = `messages of '${this.#connection.name}' are lost since they come faster than they are taken`;
    this.#connection.log.warn({ messages: this.#lost }, message);
    this.#lost = 0;
  }
}

const sizeOf = (message: NatsMessage): number => message.data.byteLength + messageBytes;
