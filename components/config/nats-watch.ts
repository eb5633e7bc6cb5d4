import type { NatsMessage } from "../clients/nats.ts";
import type { NatsBucket } from "../clients/nats-bucket.ts";
import { NatsPull } from "../clients/nats-pull.ts";
import { openReader, positionOf } from "../clients/nats-scan.ts";
import { itemOfMessage } from "./nats-item.ts";
import type { ConfigSubscribers } from "./subscribers.ts";

/** Changes that are asked for at a time; telling them takes no time, so none of them waits. */
const batchSize = 256;

/**
 * Follows the changes of a bucket. After a gap it goes on behind the last change that was told: the bucket still has the
 * last one of every item, deletions included.
 */
export class NatsConfigWatch implements AsyncDisposable {
  readonly #bucket: NatsBucket;
  readonly #subscribers: ConfigSubscribers;
  #pull: NatsPull | undefined;
  /** Number of the last change that was seen; undefined before it has begun. */
  #last: number | undefined;
  /** When the bucket was made whose changes are followed. */
  #created: string | undefined;

  private constructor(bucket: NatsBucket, subscribers: ConfigSubscribers) {
    this.#bucket = bucket;
    this.#subscribers = subscribers;
  }

  /** Resolves once changes from now on will be told. */
  static async start(bucket: NatsBucket, subscribers: ConfigSubscribers): Promise<NatsConfigWatch> {
    const watch = new NatsConfigWatch(bucket, subscribers);
    watch.#pull = await NatsPull.start(bucket.jetStream, {
      stream: bucket.stream,
      prepare: () => watch.#openReader(),
      room: () => batchSize,
      receive: (message) => watch.#receive(message),
    });
    return watch;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#pull?.[Symbol.asyncDispose]();
  }

  async #openReader(): Promise<string> {
    const { created } = await this.#bucket.ensure();
    if (this.#created !== undefined && this.#created !== created) {
      // The bucket was made anew, and what became of the items is not known.
      this.#subscribers.close();
      this.#last = undefined;
    }
    this.#created = created;
    const { jetStream, stream } = this.#bucket;
    const from = this.#last === undefined ? "new" : this.#last + 1;
    const { name, delivered } = await openReader(jetStream, { stream, filter: this.#bucket.subjectOf(">"), from });
    this.#last ??= delivered.stream_seq;
    return name;
  }

  #receive(message: NatsMessage): void {
    const { sequence } = positionOf(message);
    if (this.#last !== undefined && sequence <= this.#last) return;
    this.#last = sequence;
    const found = itemOfMessage(message);
    if (found === undefined) return;
    const { appId, change } = found;
    this.#subscribers.tell(appId, [change.deleted ? { ...change, content: "" } : change]);
  }
}
