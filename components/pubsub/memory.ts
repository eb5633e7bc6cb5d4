import { randomUUID } from "node:crypto";
import { z } from "zod";
import { type CallContext, type ComponentLog, throwIfAborted } from "../component.ts";
import { RuntimeError } from "../error.ts";
import { type GroupLimits, MemoryGroup } from "./memory-group.ts";
import { type Deliver, definePubSub, type PublishMessage, type PubSub, type SubscribeTopic } from "./pubsub.ts";

/** Topics among the subscribers of this one process; what nobody subscribes to is gone. */
export const memoryPubSub = definePubSub({
  type: "memory",
  capabilities: ["ordered", "redelivery"],
  config: z.strictObject({
    maxPending: z
      .int()
      .positive()
      .default(10_000)
      .describe("Most messages that wait in one group of a topic; default 10000. Publishing over it is refused"),
    maxBytes: z
      .int()
      .positive()
      .default(64 * 1024 ** 2)
      .describe(
        "Most bytes of the messages that wait in one group of a topic; default 64 MiB. Publishing over it is refused",
      ),
    concurrency: z
      .int()
      .positive()
      .default(1)
      .describe(
        "Most deliveries to one subscriber at a time; default 1, so that messages are worked on in publish order",
      ),
    retentionMs: z
      .int()
      .min(0)
      .max(2 ** 31 - 1)
      .default(60_000)
      .describe(
        "How long a group that has lost its last subscriber gathers messages for the next, in milliseconds; default 60000",
      ),
  }),
  open: async (limits, { name, log }) => new MemoryPubSub({ name, limits, log }),
});

class MemoryPubSub implements PubSub {
  readonly #name: string;
  readonly #limits: GroupLimits;
  readonly #log: ComponentLog;
  /** By topic, then by the group's name. */
  readonly #topics = new Map<string, Map<string, MemoryGroup>>();

  constructor({ name, limits, log }: { name: string; limits: GroupLimits; log: ComponentLog }) {
    this.#name = name;
    this.#limits = limits;
    this.#log = log;
  }

  async publish({ topic, data, contentType, metadata }: PublishMessage, call: CallContext): Promise<void> {
    throwIfAborted(call);
    const groups = [...(this.#topics.get(topic)?.values() ?? [])];
    for (const group of groups) {
      if (group.hasRoomFor(data.byteLength)) continue;
      if (group.isAbandoned) group.drop();
      else throw this.#full(topic);
    }
    const message = { id: randomUUID(), topic, data: new Uint8Array(data), contentType, metadata: { ...metadata } };
    for (const group of groups) group.offer(message);
  }

  async subscribe({ topic, group: name }: SubscribeTopic, deliver: Deliver): Promise<AsyncDisposable> {
    const groups = this.#topics.get(topic) ?? new Map<string, MemoryGroup>();
    this.#topics.set(topic, groups);
    const group = groups.get(name) ?? this.#openGroup(topic, name, groups);
    return group.join(deliver);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const groups = [...this.#topics.values()].flatMap((byName) => [...byName.values()]);
    this.#topics.clear();
    await Promise.all(groups.map((group) => group[Symbol.asyncDispose]()));
  }

  #openGroup(topic: string, name: string, groups: Map<string, MemoryGroup>): MemoryGroup {
    const dropped = (): void => {
      groups.delete(name);
      if (groups.size === 0 && this.#topics.get(topic) === groups) this.#topics.delete(topic);
    };
    const group = new MemoryGroup({ topic, name, limits: this.#limits, log: this.#log, dropped });
    groups.set(name, group);
    return group;
  }

  #full(topic: string): RuntimeError {
    const message = `topic '${topic}' of pub/sub component '${this.#name}' has as many messages waiting as it may; its subscribers are too slow, or fail`;
    return new RuntimeError("RESOURCE_EXHAUSTED", "PUBSUB_FULL", message);
  }
}
