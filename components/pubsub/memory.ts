import { randomUUID } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { z } from "zod";
import type { CallContext, ComponentLog } from "../component.ts";
import { RuntimeError } from "../error.ts";
import {
  type Deliver,
  definePubSub,
  type PublishMessage,
  type PubSub,
  type ReceivedMessage,
  type SubscribeTopic,
} from "./pubsub.ts";

const firstRetryMs = 50;
const longestRetryMs = 5_000;

/** Topics among the subscribers of this one process; what nobody subscribes to is gone. */
export const memoryPubSub = definePubSub({
  type: "memory",
  config: z.strictObject({
    maxPending: z
      .int()
      .positive()
      .default(10_000)
      .describe("Most messages that wait in one group of a topic; default 10000. Publishing over it is refused"),
  }),
  open: async ({ maxPending }, { name, log }) => new MemoryPubSub(name, maxPending, log),
});

class MemoryPubSub implements PubSub {
  readonly #name: string;
  readonly #maxPending: number;
  readonly #log: ComponentLog;
  readonly #groups = new Map<string, Map<string, Group>>();

  constructor(name: string, maxPending: number, log: ComponentLog) {
    this.#name = name;
    this.#maxPending = maxPending;
    this.#log = log;
  }

  async publish({ topic, data, contentType, metadata }: PublishMessage, { signal }: CallContext): Promise<void> {
    signal.throwIfAborted();
    const groups = [...(this.#groups.get(topic)?.values() ?? [])];
    if (groups.some((group) => group.pending >= this.#maxPending)) {
      throw new RuntimeError(
        "RESOURCE_EXHAUSTED",
        "PUBSUB_FULL",
        `topic '${topic}' of pub/sub component '${this.#name}' has ${this.#maxPending} messages waiting; its subscribers are too slow`,
      );
    }
    const message = { id: randomUUID(), topic, data: new Uint8Array(data), contentType, metadata: { ...metadata } };
    for (const group of groups) group.offer(message);
  }

  async subscribe({ topic, group: name }: SubscribeTopic, deliver: Deliver): Promise<AsyncDisposable> {
    const groups = this.#groups.get(topic) ?? new Map<string, Group>();
    this.#groups.set(topic, groups);
    const group = groups.get(name) ?? new Group(this.#log);
    groups.set(name, group);
    const member = group.join(deliver);
    return {
      [Symbol.asyncDispose]: async () => {
        await member[Symbol.asyncDispose]();
        if (group.isEmpty && groups.get(name) === group) groups.delete(name);
        if (groups.size === 0 && this.#groups.get(topic) === groups) this.#groups.delete(topic);
      },
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const groups = [...this.#groups.values()].flatMap((byName) => [...byName.values()]);
    this.#groups.clear();
    await Promise.all(groups.map((group) => group.close()));
  }
}

/** Members that share a topic's messages; each takes the oldest that waits, one at a time, so first deliveries keep their order. */
class Group {
  readonly #log: ComponentLog;
  readonly #queue: ReceivedMessage[] = [];
  readonly #members = new Set<{ stop(): Promise<void> }>();
  #wake = Promise.withResolvers<void>();

  constructor(log: ComponentLog) {
    this.#log = log;
  }

  get pending(): number {
    return this.#queue.length;
  }

  get isEmpty(): boolean {
    return this.#members.size === 0;
  }

  offer(message: ReceivedMessage): void {
    this.#queue.push(message);
    this.#signal();
  }

  join(deliver: Deliver): AsyncDisposable {
    const stopping = new AbortController();
    const running = this.#run(deliver, stopping.signal);
    const member = {
      stop: async () => {
        this.#members.delete(member);
        stopping.abort();
        this.#signal();
        await running;
      },
    };
    this.#members.add(member);
    return { [Symbol.asyncDispose]: member.stop };
  }

  async close(): Promise<void> {
    await Promise.all([...this.#members].map((member) => member.stop()));
  }

  #signal(): void {
    this.#wake.resolve();
    this.#wake = Promise.withResolvers();
  }

  async #run(deliver: Deliver, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const message = this.#queue.shift();
      if (message === undefined) await this.#wake.promise;
      else if (!(await this.#deliver(message, deliver, signal))) this.#queue.unshift(message);
    }
    this.#signal();
  }

  /** Tries until the message is taken; false when the member left before, so that another one gets it. */
  async #deliver(message: ReceivedMessage, deliver: Deliver, signal: AbortSignal): Promise<boolean> {
    for (let waitMs = firstRetryMs; ; waitMs = Math.min(2 * waitMs, longestRetryMs)) {
      try {
        await deliver(message, signal);
        return true;
      } catch (error) {
        if (signal.aborted) return false;
        this.#log.debug(
          { err: error, topic: message.topic, id: message.id, waitMs },
          "a delivery failed and is tried again",
        );
      }
      await delay(waitMs, undefined, { signal, ref: false }).catch(() => undefined);
      if (signal.aborted) return false;
    }
  }
}
