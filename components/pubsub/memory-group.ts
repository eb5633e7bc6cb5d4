import type { ComponentLog } from "../component.ts";
import type { Deliver, ReceivedMessage } from "./pubsub.ts";

const firstRetryMs = 50;
const longestRetryMs = 10_000;
/** Bytes that a message takes beside its data. */
const messageBytes = 512;

/** The settings of the component, each for one group. */
export interface GroupLimits {
  readonly maxPending: number;
  readonly maxBytes: number;
  /** Deliveries to one member at a time. */
  readonly concurrency: number;
  readonly retentionMs: number;
}

export interface MemoryGroupOptions {
  readonly topic: string;
  readonly name: string;
  readonly limits: GroupLimits;
  readonly log: ComponentLog;
  /** Called when the group has ended without being disposed. */
  dropped(): void;
}

interface Waiting {
  readonly message: ReceivedMessage;
  /** Deliveries that were rejected. */
  readonly failures: number;
}

interface Member {
  readonly deliver: Deliver;
  readonly leaving: AbortController;
  readonly running: Set<Promise<void>>;
}

/**
 * The subscribers that share a topic's messages. A message belongs to one of them at a time and stays here until it is
 * taken. First deliveries are in publish order; one that is rejected waits its back-off and lets the others go ahead.
 */
export class MemoryGroup implements AsyncDisposable {
  readonly #options: MemoryGroupOptions;
  /** In the order in which they take turns. */
  readonly #members = new Set<Member>();
  /** Sets, since they are queues that give up their first in constant time. */
  readonly #fresh = new Set<Waiting>();
  readonly #due = new Set<Waiting>();
  readonly #sleeping = new Set<NodeJS.Timeout>();
  #pending = 0;
  #bytes = 0;
  #retention: NodeJS.Timeout | undefined;
  #ended = false;

  constructor(options: MemoryGroupOptions) {
    this.#options = options;
  }

  /** True while it has no subscribers. */
  get isAbandoned(): boolean {
    return this.#members.size === 0;
  }

  hasRoomFor(bytes: number): boolean {
    const { maxPending, maxBytes } = this.#options.limits;
    return this.#pending < maxPending && this.#bytes + bytes + messageBytes <= maxBytes;
  }

  offer(message: ReceivedMessage): void {
    if (this.#ended) return;
    this.#pending++;
    this.#bytes += message.data.byteLength + messageBytes;
    this.#fresh.add({ message, failures: 0 });
    this.#dispatch();
  }

  /** Adds a subscriber; disposing what this gives takes it away again. */
  join(deliver: Deliver): AsyncDisposable {
    clearTimeout(this.#retention);
    const member: Member = { deliver, leaving: new AbortController(), running: new Set() };
    this.#members.add(member);
    this.#dispatch();
    return { [Symbol.asyncDispose]: () => this.#leave(member) };
  }

  /** Ends the group and forgets what waits in it. */
  drop(): void {
    if (this.#pending > 0) {
      const { topic, name } = this.#options;
      this.#options.log.warn(
        { topic, group: name, messages: this.#pending },
        "messages without a subscriber are dropped",
      );
    }
    this.#end();
    this.#options.dropped();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#end();
    await Promise.all([...this.#members].map((member) => this.#leave(member)));
  }

  #end(): void {
    this.#ended = true;
    clearTimeout(this.#retention);
    for (const timer of this.#sleeping) clearTimeout(timer);
    this.#sleeping.clear();
    this.#fresh.clear();
    this.#due.clear();
    this.#pending = 0;
    this.#bytes = 0;
  }

  async #leave(member: Member): Promise<void> {
    const wasHere = this.#members.delete(member);
    member.leaving.abort();
    await Promise.all(member.running);
    if (!wasHere || !this.isAbandoned || this.#ended) return;
    clearTimeout(this.#retention);
    this.#retention = setTimeout(() => this.drop(), this.#options.limits.retentionMs).unref();
  }

  /** Gives what waits to members that have a place free, in turn. */
  #dispatch(): void {
    for (let member = this.#free(); member !== undefined; member = this.#free()) {
      const next = first(this.#due) ?? first(this.#fresh);
      if (next === undefined) return;
      this.#due.delete(next);
      this.#fresh.delete(next);
      this.#members.delete(member);
      this.#members.add(member);
      this.#start(next, member);
    }
  }

  #free(): Member | undefined {
    return this.#members.values().find(({ running }) => running.size < this.#options.limits.concurrency);
  }

  #start(waiting: Waiting, member: Member): void {
    const delivery = this.#deliver(waiting, member).then(() => {
      member.running.delete(delivery);
      this.#dispatch();
    });
    member.running.add(delivery);
  }

  async #deliver({ message, failures }: Waiting, { deliver, leaving }: Member): Promise<void> {
    // Not within the call of the publisher, whose own work goes first.
    await undefined;
    const { id, topic, contentType } = message;
    const copy = { id, topic, contentType, data: new Uint8Array(message.data), metadata: { ...message.metadata } };
    try {
      leaving.signal.throwIfAborted();
      await deliver(copy, leaving.signal);
      this.#taken(message);
    } catch (error) {
      if (this.#ended) return;
      if (leaving.signal.aborted) this.#due.add({ message, failures });
      else {
        this.#options.log.debug(
          { err: error, topic, id, failures: failures + 1 },
          "a delivery failed and is tried again",
        );
        this.#retryLater({ message, failures: failures + 1 });
      }
    }
  }

  #taken(message: ReceivedMessage): void {
    if (this.#ended) return;
    this.#pending--;
    this.#bytes -= message.data.byteLength + messageBytes;
  }

  #retryLater(waiting: Waiting): void {
    const waitMs = Math.min(firstRetryMs * 2 ** Math.min(waiting.failures - 1, 20), longestRetryMs);
    const timer = setTimeout(() => {
      this.#sleeping.delete(timer);
      this.#due.add(waiting);
      this.#dispatch();
    }, waitMs);
    this.#sleeping.add(timer.unref());
  }
}

function first<T>(queue: ReadonlySet<T>): T | undefined {
  for (const one of queue) return one;
  return undefined;
}
