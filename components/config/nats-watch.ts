import type { NatsMessage } from "../clients/nats.ts";
import type { NatsBucket } from "../clients/nats-bucket.ts";
import { NatsPull } from "../clients/nats-pull.ts";
import { openReader, positionOf } from "../clients/nats-scan.ts";
import type { ConfigItem, ConfigSelection } from "./config-store.ts";
import { ItemSet } from "./item-set.ts";
import { itemOfMessage } from "./nats-item.ts";
import type { ConfigSubscribers } from "./subscribers.ts";

/** Changes that are asked for at a time; telling them takes no time, so none of them waits. */
const batchSize = 256;

/** Where items lie that are followed together. */
export type ConfigPlace = Pick<ConfigSelection, "appId" | "group" | "label">;

export interface NatsConfigWatchOptions {
  readonly subscribers: ConfigSubscribers;
  /** All items that lie there now. */
  read(place: ConfigPlace): Promise<readonly ConfigItem[]>;
}

interface Followed {
  readonly place: ConfigPlace;
  /** The items that are known, by key; undefined for one that was deleted while they were read. */
  readonly items: Map<string, ConfigItem | undefined>;
  /** Whether they have been read. */
  isKnown: boolean;
  followers: number;
}

/**
 * Follows the changes of a bucket. After a gap it goes on behind the last change that was told: the bucket still has the
 * last one of every item, deletions included. In a bucket that was made anew it compares what lies there with what was known.
 */
export class NatsConfigWatch implements AsyncDisposable {
  readonly #bucket: NatsBucket;
  readonly #options: NatsConfigWatchOptions;
  readonly #followed = new Map<string, Followed>();
  /** The reads of items, one after the other. */
  #reading: Promise<void> = Promise.resolve();
  #pull: NatsPull | undefined;
  /** Number of the last change that was seen; undefined before it has begun. */
  #last: number | undefined;
  /** When the bucket was made whose changes are followed. */
  #created: string | undefined;

  private constructor(bucket: NatsBucket, options: NatsConfigWatchOptions) {
    this.#bucket = bucket;
    this.#options = options;
  }

  /** Resolves once changes from now on will be told. */
  static async start(bucket: NatsBucket, options: NatsConfigWatchOptions): Promise<NatsConfigWatch> {
    const watch = new NatsConfigWatch(bucket, options);
    watch.#pull = await NatsPull.start(bucket.jetStream, {
      stream: bucket.stream,
      prepare: () => watch.#openReader(),
      room: () => batchSize,
      receive: (message) => watch.#receive(message),
    });
    return watch;
  }

  /** Resolves once it is known what lies there, until what it gives is disposed. */
  async follow({ appId, group, label }: ConfigPlace): Promise<Disposable> {
    const id = idOf({ appId, group, label });
    const followed = this.#followed.get(id) ?? {
      place: { appId, group, label },
      items: new Map(),
      isKnown: false,
      followers: 0,
    };
    this.#followed.set(id, followed);
    followed.followers++;
    let isOver = false;
    const following = {
      [Symbol.dispose]: () => {
        if (isOver) return;
        isOver = true;
        if (--followed.followers === 0) this.#followed.delete(id);
      },
    };
    try {
      await this.#inTurn(() => this.#learn(followed));
    } catch (error) {
      following[Symbol.dispose]();
      throw error;
    }
    return following;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#pull?.[Symbol.asyncDispose]();
    await this.#reading;
  }

  /** What has come meanwhile is newer than what is read. */
  async #learn(followed: Followed): Promise<void> {
    if (followed.isKnown) return;
    const { place, items } = followed;
    for (const item of await this.#options.read(place)) {
      if (!items.has(item.key)) items.set(item.key, item);
    }
    for (const [key, item] of items) if (item === undefined) items.delete(key);
    followed.isKnown = true;
  }

  async #openReader(): Promise<string> {
    const { created } = await this.#bucket.ensure();
    const wasMadeAnew = this.#created !== undefined && this.#created !== created;
    if (wasMadeAnew) this.#last = undefined;
    const { jetStream, stream } = this.#bucket;
    const from = this.#last === undefined ? "new" : this.#last + 1;
    const { name, delivered } = await openReader(jetStream, { stream, filter: this.#bucket.subjectOf(">"), from });
    this.#last ??= delivered.stream_seq;
    if (wasMadeAnew) {
      const { log, name: component } = this.#bucket.connection;
      log.warn(
        { stream },
        `the bucket of '${component}' on NATS was gone and was made anew; what it lost is told as deleted`,
      );
      await this.#inTurn(() => this.#compareAll());
    }
    this.#created = created;
    return name;
  }

  async #compareAll(): Promise<void> {
    for (const { place, items } of this.#followed.values()) {
      const now = await this.#options.read(place);
      const before = [...items.values()].filter((item) => item !== undefined);
      items.clear();
      for (const item of now) items.set(item.key, item);
      const changes = ItemSet.empty.with(now).changesSince(ItemSet.empty.with(before));
      if (changes.length > 0) this.#options.subscribers.tell(place.appId, changes);
    }
  }

  #inTurn(read: () => Promise<void>): Promise<void> {
    const done = this.#reading.then(read);
    this.#reading = done.catch(() => undefined);
    return done;
  }

  #receive(message: NatsMessage): void {
    const { sequence } = positionOf(message);
    if (this.#last !== undefined && sequence <= this.#last) return;
    this.#last = sequence;
    const found = itemOfMessage(message);
    if (found === undefined) return;
    const { appId, change } = found;
    const { deleted, ...item } = change;
    const followed = this.#followed.get(idOf({ ...item, appId }));
    if (deleted && followed?.isKnown === true) followed.items.delete(item.key);
    else followed?.items.set(item.key, deleted ? undefined : item);
    this.#options.subscribers.tell(appId, [deleted ? { ...change, content: "" } : change]);
  }
}

const idOf = ({ appId, group, label }: ConfigPlace): string => JSON.stringify([appId, group, label]);
