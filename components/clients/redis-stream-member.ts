import { randomUUID } from "node:crypto";
import { hostname } from "node:os";
import { setTimeout as delay } from "node:timers/promises";
import type { ComponentLog } from "../component.ts";
import { backOffMs } from "./back-off.ts";
import type { RedisConnection } from "./redis.ts";
import { StreamAcknowledger } from "./redis-acknowledger.ts";
import { entriesIn, entriesRead, joinGroup, keepGroup, leaveGroup, type StreamEntry } from "./redis-stream.ts";
import { RedisTroubles } from "./redis-troubles.ts";

export interface StreamMemberOptions {
  readonly connection: RedisConnection;
  readonly log: ComponentLog;
  /** The stream's key. */
  readonly key: string;
  readonly group: string;
  /** Where a group begins that is not there yet: with what comes from now on, or with all that the stream has. */
  readonly first: "new" | "all";
  readonly limits: StreamLimits;
  /** Resolves when the entry is done; it comes again when this rejects. */
  deliver(entry: StreamEntry, signal: AbortSignal): Promise<void>;
}

export interface StreamLimits {
  /** Deliveries at a time. */
  readonly concurrency: number;
  /** Entries that are read ahead of them. */
  readonly prefetch: number;
  /** An entry that its consumer has not been heard of for so long belongs to whoever takes it. */
  readonly claimIdleMs: number;
  readonly deletesAcknowledged: boolean;
}

/** Entries that were rejected and wait to be tried again; with so many nothing more is read. Only their ids are kept. */
const mostRejected = 1_000;
const retries = { firstMs: 50, longestMs: 10_000 };
/** A consumer that owns nothing and has not been heard of for so many times `claimIdleMs` is forgotten. */
const forgottenAfter = 6;

/** Joins the group of a stream and works on its entries until disposed; rejects when the group cannot be joined now. */
export async function joinStream(options: StreamMemberOptions): Promise<AsyncDisposable> {
  const member = new StreamMember(options);
  try {
    await member.join();
  } catch (error) {
    await member[Symbol.asyncDispose]();
    throw error;
  }
  return member;
}

/**
 * One consumer of a group, with a connection of its own on which it waits for entries. An entry stays with the server until
 * it is acknowledged; while it is worked on it is renewed there, and what a dead consumer left is taken over.
 */
class StreamMember implements AsyncDisposable {
  readonly #options: StreamMemberOptions;
  readonly #reader: RedisConnection;
  /** Unique, and tells operators where it is. */
  readonly #consumer = `${hostname()}-${randomUUID()}`;
  readonly #leaving = new AbortController();
  readonly #loops: Promise<void>[] = [];
  /** Entries that were read and not begun, in their order. */
  readonly #queued = new Map<string, StreamEntry>();
  readonly #running = new Map<string, Promise<void>>();
  /** Ids that were rejected, with the timer until they are due. */
  readonly #rejected = new Map<string, NodeJS.Timeout>();
  readonly #due = new Set<string>();
  readonly #failures = new Map<string, number>();
  readonly #done: StreamAcknowledger;
  readonly #readTroubles: RedisTroubles;
  readonly #keepTroubles: RedisTroubles;
  /** The last id that the group has had, as far as known here. */
  #lastId: string;
  /** While what the server holds for this consumer is read again: the id after which to go on. */
  #recovering: string | undefined;
  #roomChanged = Promise.withResolvers<void>();

  constructor(options: StreamMemberOptions) {
    this.#options = options;
    this.#lastId = options.first === "new" ? "$" : "0";
    this.#reader = options.connection.another();
    this.#readTroubles = new RedisTroubles(options.log);
    this.#keepTroubles = new RedisTroubles(options.log);
    const { connection, log, key, group } = options;
    const told = (): void => this.#wakeReader();
    this.#done = new StreamAcknowledger({ connection, log, key, group, told, signal: this.#leaving.signal });
  }

  async join(): Promise<void> {
    await this.#joinGroup();
    this.#loops.push(this.#read(), this.#keep());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const { connection, key, group, log } = this.#options;
    this.#leaving.abort();
    this.#reader.disconnect();
    for (const timer of this.#rejected.values()) clearTimeout(timer);
    this.#wakeReader();
    await Promise.all([...this.#loops, ...this.#running.values()]);
    try {
      await this.#done.finish();
      await connection.run(leaveGroup, [key], [group, this.#consumer]);
    } catch (error) {
      log.debug({ err: error, key, group }, "a group was left without telling Redis; others take over after a while");
    }
  }

  async #joinGroup(): Promise<void> {
    const { connection, key, group } = this.#options;
    const [lastId] = await connection.run(joinGroup, [key], [group, this.#lastId, this.#consumer]);
    if (lastId !== undefined) this.#lastId = String(lastId);
  }

  async #read(): Promise<void> {
    const { signal } = this.#leaving;
    await this.#takeOver();
    for (let failures = 0; !signal.aborted; ) {
      const room = this.#room();
      if (room <= 0) {
        this.#roomChanged = Promise.withResolvers();
        await this.#roomChanged.promise;
        continue;
      }
      try {
        if (failures > 0) await this.#joinGroup();
        await this.#readOnce(room);
        this.#readTroubles.succeeded();
        failures = 0;
      } catch (error) {
        if (signal.aborted) return;
        // What was on its way when the connection was lost belongs to this consumer: it is asked for again.
        this.#recovering = "0-0";
        const { key, group } = this.#options;
        this.#readTroubles.failed(error, { key, group }, "a stream cannot be read and is tried again");
        await delay(backOffMs(++failures), undefined, { signal }).catch(() => undefined);
      }
    }
  }

  async #readOnce(room: number): Promise<void> {
    const { key, group } = this.#options;
    const wait = this.#recovering === undefined ? ["BLOCK", String(this.#reader.blockMs)] : [];
    const from = this.#recovering ?? ">";
    const parameters = ["GROUP", group, this.#consumer, "COUNT", String(room), ...wait, "STREAMS", key, from];
    const entries = entriesRead(await this.#reader.command("xreadgroup", ...parameters));
    for (const id of entries.keys()) {
      if (this.#recovering === undefined) this.#lastId = id;
      else this.#recovering = id;
    }
    if (entries.size === 0) this.#recovering = undefined;
    this.#take(entries);
  }

  #take(entries: ReadonlyMap<string, StreamEntry | undefined>): void {
    for (const [id, entry] of entries) {
      if (this.#holds(id)) continue;
      if (entry === undefined) this.#done.acknowledge(id);
      else this.#queued.set(id, entry);
    }
    this.#dispatch();
  }

  /** From time to time: says that this consumer lives, and takes over from those that do not. */
  async #keep(): Promise<void> {
    const { signal } = this.#leaving;
    const everyMs = this.#options.limits.claimIdleMs / 3;
    while (!signal.aborted) {
      await delay(everyMs, undefined, { signal, ref: false }).catch(() => undefined);
      if (!signal.aborted) await this.#takeOver();
    }
  }

  async #takeOver(): Promise<void> {
    const { key, group } = this.#options;
    try {
      let cursor = "0-0";
      do cursor = await this.#takeOverFrom(cursor);
      while (cursor !== "0-0" && this.#room() > 0 && !this.#leaving.signal.aborted);
      this.#keepTroubles.succeeded();
    } catch (error) {
      this.#keepTroubles.failed(error, { key, group }, "a group cannot be kept now and is tried again");
    }
    this.#wakeReader();
  }

  async #takeOverFrom(cursor: string): Promise<string> {
    const { connection, key, group, limits } = this.#options;
    const room = Math.max(0, this.#room());
    const held = [...this.#queued.keys(), ...this.#running.keys(), ...this.#rejected.keys(), ...this.#due];
    const reply = await connection.run(
      keepGroup,
      [key],
      [
        group,
        this.#consumer,
        String(limits.claimIdleMs),
        String(room),
        cursor,
        String(forgottenAfter * limits.claimIdleMs),
        limits.deletesAcknowledged ? "1" : "",
        ...held,
      ],
    );
    const [lost, next, taken] = reply;
    for (const id of Array.isArray(lost) ? lost : []) this.#forget(String(id));
    this.#take(entriesIn(taken));
    return room === 0 ? "0-0" : String(next);
  }

  /** The entry is another's now. */
  #forget(id: string): void {
    clearTimeout(this.#rejected.get(id));
    this.#queued.delete(id);
    this.#rejected.delete(id);
    this.#due.delete(id);
    if (!this.#running.has(id)) this.#failures.delete(id);
  }

  #holds(id: string): boolean {
    return [this.#queued, this.#running, this.#rejected, this.#due, this.#done].some((held) => held.has(id));
  }

  /** How many entries may be read now. */
  #room(): number {
    const { concurrency, prefetch } = this.#options.limits;
    const inHand = this.#queued.size + this.#running.size + this.#done.size;
    return Math.min(concurrency + prefetch - inHand, mostRejected - this.#rejected.size - this.#due.size);
  }

  #wakeReader(): void {
    this.#roomChanged.resolve();
  }

  /** Begins as many deliveries as there may be; those that are tried again go first. */
  #dispatch(): void {
    while (!this.#leaving.signal.aborted && this.#running.size < this.#options.limits.concurrency) {
      const [due] = this.#due;
      const [queued] = this.#queued.values();
      const id = due ?? queued?.id;
      if (id === undefined) return;
      this.#due.delete(id);
      this.#queued.delete(id);
      const work = this.#work(id, due === undefined ? queued : undefined).then(() => {
        this.#running.delete(id);
        this.#dispatch();
        this.#wakeReader();
      });
      this.#running.set(id, work);
    }
  }

  async #work(id: string, read: StreamEntry | undefined): Promise<void> {
    const { signal } = this.#leaving;
    try {
      const entry = read ?? (await this.#entryOf(id));
      signal.throwIfAborted();
      if (entry !== undefined) await this.#options.deliver(entry, signal);
    } catch (error) {
      if (!signal.aborted) this.#retryLater(id, error);
      return;
    }
    this.#failures.delete(id);
    this.#done.acknowledge(id);
  }

  /** Undefined when the stream has lost it. */
  async #entryOf(id: string): Promise<StreamEntry | undefined> {
    const { connection, key } = this.#options;
    return entriesIn(await connection.command("xrange", key, id, id)).get(id);
  }

  #retryLater(id: string, error: unknown): void {
    const { key, log } = this.#options;
    const failures = (this.#failures.get(id) ?? 0) + 1;
    this.#failures.set(id, failures);
    log.debug({ err: error, key, id, failures }, "a delivery failed and is tried again");
    const timer = setTimeout(
      () => {
        this.#rejected.delete(id);
        this.#due.add(id);
        this.#dispatch();
      },
      backOffMs(failures, retries),
    );
    this.#rejected.set(id, timer.unref());
  }
}
