import type { NatsConnection, NatsMessage, NatsSubscription } from "../clients/nats.ts";
import { natsNameOf, natsTokenOf } from "../clients/nats-name.ts";
import { type CallContext, throwIfAborted } from "../component.ts";
import { RuntimeError } from "../error.ts";
import { MemoryGroup } from "./memory-group.ts";
import type { NatsPubSubSettings } from "./nats.ts";
import { headerBytesOf, headersOf, receivedOf } from "./nats-message.ts";
import type { Deliver, PublishMessage, PubSub, SubscribeTopic } from "./pubsub.ts";

/** How long a group that has lost its last subscriber keeps for the next what came before. */
const retentionMs = 60_000;
/** At most one line of the log in this time about messages that are lost. */
const tellMs = 10_000;

/** The members that a group has here, and what brings them messages while there are any. */
interface LocalGroup {
  readonly group: MemoryGroup;
  subscription: NatsSubscription | undefined;
}

/**
 * Topics on core NATS: a message goes to those who listen at the moment, to one of each group. What came waits here until it
 * is taken, and is gone with the process.
 */
export class CoreNatsPubSub implements PubSub {
  readonly #connection: NatsConnection;
  readonly #settings: NatsPubSubSettings;
  /** By topic and group. */
  readonly #groups = new Map<string, LocalGroup>();
  #lost = 0;
  #toldAtMs = Number.NEGATIVE_INFINITY;

  /** The connection belongs to it from now on. */
  constructor(connection: NatsConnection, settings: NatsPubSubSettings) {
    this.#connection = connection;
    this.#settings = settings;
  }

  async publish(message: PublishMessage, call: CallContext): Promise<void> {
    throwIfAborted(call);
    const { topic, data } = message;
    const headers = headersOf(this.#connection, message);
    const bytes = data.byteLength + headerBytesOf(headers);
    this.#connection.checkSize(`the message to topic '${topic.slice(0, 100)}'`, bytes);
    if (!this.#connection.publish(this.#subjectOf(topic), data, { headers })) throw this.#connection.unreachable();
    await this.#connection.flush();
  }

  async subscribe({ topic, group: name }: SubscribeTopic, deliver: Deliver): Promise<AsyncDisposable> {
    const local = this.#groupOf(topic, name);
    const member = local.group.join(deliver);
    const leave = async (): Promise<void> => {
      const left = member[Symbol.asyncDispose]();
      if (local.group.isAbandoned) {
        // Others of the group are to have what comes from now on.
        const { subscription } = local;
        local.subscription = undefined;
        await subscription?.end();
      }
      await left;
    };
    try {
      await this.#listen(local, topic, name);
    } catch (error) {
      await leave();
      throw error;
    }
    return { [Symbol.asyncDispose]: leave };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const groups = [...this.#groups.values()];
    this.#groups.clear();
    await Promise.all(groups.map(({ subscription }) => subscription?.end()));
    await Promise.all(groups.map(({ group }) => group[Symbol.asyncDispose]()));
    await this.#connection[Symbol.asyncDispose]();
  }

  #subjectOf(topic: string): string {
    return `${this.#settings.subjectPrefix}.${natsNameOf(topic)}`;
  }

  #groupOf(topic: string, name: string): LocalGroup {
    const id = JSON.stringify([topic, name]);
    const known = this.#groups.get(id);
    if (known !== undefined) return known;
    const { maxPending, maxPendingBytes, concurrency } = this.#settings;
    const group = new MemoryGroup({
      topic,
      name,
      limits: { maxPending, maxBytes: maxPendingBytes, concurrency, retentionMs },
      log: this.#connection.log,
      dropped: () => this.#groups.delete(id),
    });
    const local = { group, subscription: undefined };
    this.#groups.set(id, local);
    return local;
  }

  /** Resolves once the server knows that somebody of the group listens here. */
  async #listen(local: LocalGroup, topic: string, name: string): Promise<void> {
    let refusal: string | undefined;
    local.subscription ??= this.#connection.subscribe(
      this.#subjectOf(topic),
      (message) => this.#receive(local.group, topic, message),
      {
        queue: natsTokenOf(name),
        refused: (why) => {
          refusal = why;
        },
      },
    );
    await this.#connection.flush();
    if (refusal === undefined) return;
    const message = `the NATS of '${this.#connection.name}' forbids to subscribe to '${this.#subjectOf(topic)}': ${refusal}`;
    throw new RuntimeError("PERMISSION_DENIED", "NATS_ACCESS_DENIED", message);
  }

  #receive(group: MemoryGroup, topic: string, message: NatsMessage): void {
    if (group.hasRoomFor(message.data.byteLength)) group.offer(receivedOf(message, topic));
    else this.#tellOfLoss(topic);
  }

  #tellOfLoss(topic: string): void {
    this.#lost++;
    const now = performance.now();
    if (now - this.#toldAtMs < tellMs) return;
    this.#toldAtMs = now;
    const message = `messages of '${this.#connection.name}' are lost since its subscribers are too slow or fail, and durable is off`;
    this.#connection.log.warn({ topic, messages: this.#lost }, message);
    this.#lost = 0;
  }
}
