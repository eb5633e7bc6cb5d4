import { setTimeout as delay } from "node:timers/promises";
import type { Admin, Consumer, ConsumerGroupJoinEvent, EachBatchPayload, KafkaMessage } from "kafkajs";
import { backOffMs } from "./back-off.ts";
import type { KafkaConnection } from "./kafka.ts";
import { typeOf } from "./kafka-failure.ts";
import { KafkaHeartbeat } from "./kafka-heartbeat.ts";
import { fromKafka, type IncomingMessage } from "./kafka-message.ts";
import { commitMissing, isMissing, positionsOf } from "./kafka-positions.ts";
import type { KafkaGroupSettings } from "./kafka-settings.ts";

export type DeliverIncoming = (message: IncomingMessage, signal: AbortSignal) => Promise<void>;

export interface SessionOptions {
  readonly connection: KafkaConnection;
  readonly settings: KafkaGroupSettings;
  readonly groupId: string;
  readonly topic: string;
  readonly deliver: DeliverIncoming;
}

/** Longest wait of a broker for messages: as long takes it at most to leave, and to hear of a new member. */
const fetchWaitMs = 250;
/** How long members have to come together anew. */
export const rebalanceMs = 30_000;
/** Longest back-off of a rejected message during which its partition, and no other, waits in the hand of the session. */
const inHandMs = 1_000;
const longestBackOffMs = 30_000;

/** One membership in a group, from joining it until it ends or fails. */
export class KafkaSession implements AsyncDisposable {
  readonly #options: SessionOptions;
  readonly #consumer: Consumer;
  readonly #admin: Admin;
  readonly #stopping = new AbortController();
  readonly #joined = Promise.withResolvers<void>();
  readonly #ended = Promise.withResolvers<unknown>();
  readonly #handling = new Set<Promise<void>>();
  /** Failed deliveries of the message that a partition is at. */
  readonly #failures = new Map<number, { readonly offset: string; readonly count: number }>();
  readonly #resuming = new Set<NodeJS.Timeout>();
  /** What was taken and is not committed, by partition. */
  readonly #uncommitted = new Map<number, string>();
  #committing: Promise<void> | undefined;
  /** Open once it is known where the group stands, for as long as the membership lasts. */
  #positioned: Promise<void> = Promise.resolve();
  #generation = 0;
  #started: Promise<void> = Promise.resolve();

  constructor(options: SessionOptions) {
    const { connection, settings, groupId } = options;
    this.#options = options;
    this.#admin = connection.patientClient().admin();
    this.#consumer = connection.patientClient().consumer({
      groupId,
      sessionTimeout: settings.sessionTimeoutMs,
      heartbeatInterval: settings.heartbeatIntervalMs,
      rebalanceTimeout: rebalanceMs,
      maxBytesPerPartition: settings.prefetchBytes,
      maxBytes: settings.prefetchBytes * settings.partitionsAtOnce,
      maxWaitTimeInMs: fetchWaitMs,
      metadataMaxAge: 60_000,
      allowAutoTopicCreation: false,
      // It is begun anew by whoever made it.
      retry: { restartOnFailure: async () => false },
    });
  }

  /** Resolves once the group has the member and a position for each partition. */
  get joined(): Promise<void> {
    return this.#joined.promise;
  }

  /** Resolves to what ended the session; it does not go on by itself. */
  get ended(): Promise<unknown> {
    return this.#ended.promise;
  }

  start(): void {
    this.#started = this.#start();
  }

  async #start(): Promise<void> {
    const { topic, settings } = this.#options;
    const { GROUP_JOIN, CRASH } = this.#consumer.events;
    this.#consumer.on(GROUP_JOIN, (event) => this.#onJoin(event));
    this.#consumer.on(CRASH, ({ payload: { error } }) => this.#ended.resolve(error));
    try {
      await this.#admin.connect();
      // Without it, the first look for the coordinator finds no broker to ask.
      await this.#admin.describeCluster();
      await this.#consumer.connect();
      // The beginning is where it goes on when its place is gone, since nothing is to be lost.
      await this.#consumer.subscribe({ topics: [topic], fromBeginning: true });
      await this.#consumer.run({
        autoCommit: false,
        eachBatchAutoResolve: false,
        partitionsConsumedConcurrently: settings.partitionsAtOnce,
        eachBatch: (payload) => this.#handled(payload),
      });
    } catch (error) {
      this.#ended.resolve(error);
    }
  }

  /** Aborts deliveries, commits what was taken, and leaves the group. */
  async [Symbol.asyncDispose](): Promise<void> {
    const { connection } = this.#options;
    const endMs = connection.farewellEndMs();
    // What is still being set up would outlive it.
    await connection.farewell(this.#started, endMs);
    this.#stopping.abort();
    for (const timer of this.#resuming) clearTimeout(timer);
    await connection.farewell(Promise.all(this.#handling), endMs);
    await connection.farewell(this.#commit(), endMs);
    await connection.farewell(this.#consumer.disconnect(), endMs);
    await connection.farewell(this.#admin.disconnect(), endMs);
  }

  #onJoin({ payload }: ConsumerGroupJoinEvent): void {
    const generation = ++this.#generation;
    if (this.#stopping.signal.aborted) {
      // It came in after it was told to leave.
      setImmediate(() => void this.#options.connection.farewell(this.#consumer.disconnect()));
      return;
    }
    const assigned = payload.memberAssignment[this.#options.topic] ?? [];
    this.#positioned = this.#position(generation, payload.isLeader, assigned);
    this.#positioned.then(
      () => this.#joined.resolve(),
      () => undefined,
    );
  }

  /** Sees to it that the group stands somewhere in each partition. The leader says where, so that members do not differ. */
  async #position(generation: number, isLeader: boolean, assigned: readonly number[]): Promise<void> {
    const { groupId, topic, connection } = this.#options;
    const options = { admin: this.#admin, consumer: this.#consumer, groupId, topic };
    const isOver = (): boolean => generation !== this.#generation || this.#stopping.signal.aborted;
    let missed: ReadonlySet<number> | undefined;
    for (let attempt = 1; !isOver(); attempt++) {
      try {
        const positions = await positionsOf(options);
        missed ??= new Set(positions.filter(isMissing).map(({ partition }) => partition));
        if (positions.length > 0 && !positions.some(isMissing)) {
          if (isOver()) break;
          // kafkajs may have found itself another place meanwhile.
          for (const { partition, offset } of positions) {
            if (missed.has(partition) && assigned.includes(partition))
              this.#consumer.seek({ topic, partition, offset });
          }
          return;
        }
        if (isLeader) await commitMissing(options, positions);
      } catch (error) {
        connection.log.debug({ err: error, topic, groupId }, "where a group stands is not known yet");
      }
      await this.#wait(backOffMs(attempt, { firstMs: 20, longestMs: 1_000 }), this.#stopping.signal);
    }
    throw new Error("the membership ended");
  }

  #handled(payload: EachBatchPayload): Promise<void> {
    const handling = this.#handle(payload);
    const noted = handling.catch(() => undefined).finally(() => this.#handling.delete(noted));
    this.#handling.add(noted);
    return handling;
  }

  /** Rejects with what kafkajs is to know: that the group comes together anew. */
  async #handle(payload: EachBatchPayload): Promise<void> {
    using heartbeat = new KafkaHeartbeat(payload.heartbeat, this.#options.settings.heartbeatIntervalMs);
    const signal = AbortSignal.any([this.#stopping.signal, heartbeat.abandoned]);
    const leave = AbortSignal.any([this.#stopping.signal, heartbeat.isLeaving]);
    try {
      await unless(leave, this.#positioned);
      await this.#deliverAll(payload, { leave, signal });
    } catch (error) {
      if (!leave.aborted) this.#options.connection.log.debug({ err: error }, "a batch of messages was given back");
    }
    await this.#commit();
    if (heartbeat.lost !== undefined) throw heartbeat.lost;
    // Nothing was resolved, and the same would come at once.
    if (this.#stopping.signal.aborted) await delay(fetchWaitMs / 5);
  }

  async #deliverAll(
    { batch, resolveOffset, isRunning, isStale, pause }: EachBatchPayload,
    { leave, signal }: { readonly leave: AbortSignal; readonly signal: AbortSignal },
  ): Promise<void> {
    const { partition } = batch;
    for (const message of batch.messages) {
      if (leave.aborted || !isRunning() || isStale()) return;
      const waitMs = await this.#taken(message, partition, { leave, signal });
      if (waitMs === undefined) return;
      if (waitMs > 0) return this.#resumeLater(pause(), waitMs);
      resolveOffset(message.offset);
      this.#uncommitted.set(partition, String(BigInt(message.offset) + 1n));
      void this.#commit();
    }
  }

  /** Delivers until it is taken, which gives 0; else the time to wait before it is tried again, undefined when it is given back. */
  async #taken(
    message: KafkaMessage,
    partition: number,
    { leave, signal }: { readonly leave: AbortSignal; readonly signal: AbortSignal },
  ): Promise<number | undefined> {
    const { deliver, topic, connection } = this.#options;
    const { offset } = message;
    while (!leave.aborted) {
      try {
        await unless(signal, deliver(fromKafka(message, topic, partition), signal));
        this.#failures.delete(partition);
        return 0;
      } catch (error) {
        if (signal.aborted) return undefined;
        connection.log.debug({ err: error, topic, partition, offset }, "a delivery failed and is tried again");
        const before = this.#failures.get(partition);
        const count = before?.offset === offset ? before.count + 1 : 1;
        this.#failures.set(partition, { offset, count });
        const waitMs = backOffMs(count, { longestMs: longestBackOffMs });
        if (waitMs > inHandMs) return waitMs;
        await this.#wait(waitMs, leave);
      }
    }
    return undefined;
  }

  /** The partition rests, and others go on. */
  #resumeLater(resume: () => void, waitMs: number): void {
    const timer = setTimeout(() => {
      this.#resuming.delete(timer);
      resume();
    }, waitMs).unref();
    this.#resuming.add(timer);
  }

  /** Resolves once all that was taken is committed, one request at a time; what cannot be committed comes again. */
  async #commit(): Promise<void> {
    if (this.#committing === undefined && this.#uncommitted.size > 0) this.#committing = this.#commitAll();
    await this.#committing;
  }

  async #commitAll(): Promise<void> {
    while (this.#uncommitted.size > 0) await this.#commitNow();
    this.#committing = undefined;
  }

  async #commitNow(): Promise<void> {
    const { topic, connection } = this.#options;
    const offsets = [...this.#uncommitted].map(([partition, offset]) => ({ topic, partition, offset }));
    this.#uncommitted.clear();
    try {
      await this.#consumer.commitOffsets(offsets);
    } catch (error) {
      connection.log.debug({ why: typeOf(error), topic }, "what was taken could not be committed; it may come again");
    }
  }

  async #wait(waitMs: number, signal: AbortSignal): Promise<void> {
    await delay(waitMs, undefined, { signal }).catch(() => undefined);
  }
}

/** Settles with the work, or rejects when the signal aborts. The work's own failure is nobody's business then. */
async function unless<T>(signal: AbortSignal, work: Promise<T>): Promise<T> {
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const abort = (): void => reject(signal.reason);
  signal.addEventListener("abort", abort, { once: true });
  if (signal.aborted) abort();
  try {
    return await Promise.race([work, aborted]);
  } finally {
    signal.removeEventListener("abort", abort);
  }
}
