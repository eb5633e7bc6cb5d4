import type { QueueConsumer, SharedQueues } from "./sharing.ts";

/** Bytes that the queues of one VM id may hold together, and how many there may be of each kind. */
const defaultLimits = { bytes: 16 * 1024 ** 2, items: 10_000, queues: 1_000 };
const itemOverheadBytes = 64;

export interface QueueLimits {
  readonly bytes: number;
  /** In one queue. */
  readonly items: number;
  readonly queues: number;
}

interface Queue {
  readonly owner: Owner;
  /** A Set, since it gives up its first in constant time; each item is an object of its own. */
  readonly items: Set<{ readonly bytes: Uint8Array }>;
  /** Who registered and is still there; the last of them is told. */
  readonly consumers: QueueConsumer[];
}

/** The guests of one VM id. */
interface Owner {
  readonly title: string;
  readonly tokens: Map<string, number>;
  usedBytes: number;
}

/**
 * The queues by which guests hand bytes to each other: by name for those of one VM id, and by VM id and name for all others.
 * What is in a queue stays there, also while nobody is registered, for as long as the process runs.
 */
export class SharedQueueStore {
  readonly #limits: QueueLimits;
  readonly #owners = new Map<string, Owner>();
  /** By token - 1. */
  readonly #queues: Queue[] = [];

  constructor(limits: Partial<QueueLimits> = {}) {
    this.#limits = { ...defaultLimits, ...limits };
  }

  /** The queues as the guests of the plugin see them; without a VM id they have a place that no other plugin can name. */
  of({ name, vmId }: { readonly name: string; readonly vmId: string }): SharedQueues {
    const key = vmId === "" ? `plugin:${name}` : keyOf(vmId);
    const owner = this.#owners.get(key) ?? { title: vmId === "" ? name : vmId, tokens: new Map(), usedBytes: 0 };
    this.#owners.set(key, owner);
    return {
      register: (queue, consumer) => this.#register(owner, queue, consumer),
      resolve: (vm, queue) => (vm === "" ? owner : this.#owners.get(keyOf(vm)))?.tokens.get(queue),
      enqueue: (token, bytes) => this.#enqueue(token, bytes),
      dequeue: (token) => this.#dequeue(token),
    };
  }

  #register(owner: Owner, name: string, consumer: QueueConsumer): { readonly token: number } & Disposable {
    const token = owner.tokens.get(name) ?? this.#open(owner, name);
    const consumers = this.#queues[token - 1]?.consumers ?? [];
    consumers.push(consumer);
    return {
      token,
      [Symbol.dispose]: () => {
        const at = consumers.lastIndexOf(consumer);
        if (at !== -1) consumers.splice(at, 1);
      },
    };
  }

  #open(owner: Owner, name: string): number {
    const most = this.#limits.queues;
    if (owner.tokens.size >= most)
      throw new RangeError(`'${owner.title}' may have ${most} queues; '${name}' is too many`);
    const token = this.#queues.push({ owner, items: new Set(), consumers: [] });
    owner.tokens.set(name, token);
    return token;
  }

  #enqueue(token: number, bytes: Uint8Array): boolean {
    const queue = this.#queues[token - 1];
    if (queue === undefined) return false;
    const { owner, items, consumers } = queue;
    const size = bytes.byteLength + itemOverheadBytes;
    if (items.size >= this.#limits.items || owner.usedBytes + size > this.#limits.bytes)
      throw new RangeError(`the queues of '${owner.title}' are full`);
    owner.usedBytes += size;
    items.add({ bytes: new Uint8Array(bytes) });
    consumers.at(-1)?.ready(token);
    return true;
  }

  #dequeue(token: number): Uint8Array | "empty" | undefined {
    const queue = this.#queues[token - 1];
    if (queue === undefined) return undefined;
    for (const item of queue.items) {
      queue.items.delete(item);
      queue.owner.usedBytes -= item.bytes.byteLength + itemOverheadBytes;
      return item.bytes;
    }
    return "empty";
  }
}

const keyOf = (vmId: string): string => `vm:${vmId}`;
