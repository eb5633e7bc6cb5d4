import type { NatsMessage } from "./nats.ts";
import type { JetStream } from "./nats-jetstream.ts";
import { positionOf, scan } from "./nats-scan.ts";

const everyMs = 60_000;

export interface NatsSweepOptions {
  readonly stream: string;
  readonly filter: string;
  /** Entries that one sweep looks at; the next goes on where it ended. Default 2000. */
  readonly mostAtATime?: number;
  /** Whether a message is worth nothing any more. */
  isOver(message: NatsMessage, writtenAtMs: number): boolean;
  /** Takes the message of this number out of the stream. */
  remove(sequence: number): Promise<void>;
}

/** Removes what nobody reads any more, a bounded piece of the stream at a time. */
export class NatsSweep implements AsyncDisposable {
  readonly #jetStream: JetStream;
  readonly #options: NatsSweepOptions;
  readonly #timer: NodeJS.Timeout;
  #next = 1;
  #running: Promise<void> | undefined;

  constructor(jetStream: JetStream, options: NatsSweepOptions) {
    this.#jetStream = jetStream;
    this.#options = options;
    // Sidecars that were started together do not sweep together.
    this.#timer = setInterval(() => this.#start(), everyMs * (0.75 + Math.random() / 2)).unref();
  }

  /** Looks at the next piece. */
  async sweep(): Promise<void> {
    const { stream, filter, mostAtATime = 2_000, isOver, remove } = this.#options;
    let seen = 0;
    for await (const batch of scan(this.#jetStream, {
      stream,
      filter,
      from: this.#next,
      most: mostAtATime,
      headersOnly: true,
    })) {
      for (const message of batch) {
        const { sequence, writtenAtMs } = positionOf(message);
        this.#next = sequence + 1;
        seen++;
        if (isOver(message, writtenAtMs)) await remove(sequence);
      }
    }
    if (seen < mostAtATime) this.#next = 1;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer);
    await this.#running;
  }

  #start(): void {
    if (this.#running !== undefined || !this.#jetStream.connection.isUp) return;
    this.#running = this.sweep()
      .catch((error: unknown) => {
        const { log, name } = this.#jetStream.connection;
        log.debug({ err: error }, `what is over in the NATS of '${name}' could not be removed; it is tried again`);
      })
      .finally(() => {
        this.#running = undefined;
      });
  }
}
