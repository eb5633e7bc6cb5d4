import type { Socket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import type { Admin, Kafka, RetryOptions } from "kafkajs";
import type { ComponentLog, OpenContext, Reachability } from "../component.ts";
import { RuntimeError } from "../error.ts";
import { backOffMs } from "./back-off.ts";
import { cutOff, type KafkaClients, type KafkaLink, kafkaClients } from "./kafka-client.ts";
import { kafkaFailure, kafkaRefusal, typeOf } from "./kafka-failure.ts";
import type { KafkaSettings } from "./kafka-settings.ts";
import { onceReady } from "./once-ready.ts";
import { withinCall } from "./within-call.ts";

/** How often the brokers are asked whether they are there. */
const pingMs = 3_000;
const shortestPauseMs = 20;
const longestBackOffMs = 1_000;
/** Longest wait for the farewells of one part, and of all of a component that closes; and that for one to brokers that are away. */
const farewellMs = { longest: 3_000, unheard: 200 };
const once: RetryOptions = { retries: 0 };
/** About a second and a half: a leader that moves is not missed. */
const briefly: RetryOptions = { initialRetryTime: 50, multiplier: 2, maxRetryTime: 1_000, retries: 5 };
/** About 20 seconds, through which a member keeps its place in its group. */
const patiently: RetryOptions = { initialRetryTime: 50, multiplier: 2, maxRetryTime: 1_000, retries: 23 };
/** Between looks for a topic that has just been created. */
const topicBackOffMs = 50;

/**
 * Connects to the brokers. Rejects with a sentence that names the component and what is wrong: UNAVAILABLE when none answers
 * in time, another code when one answers that credentials or settings are refused.
 */
export async function openKafka(settings: KafkaSettings, context: OpenContext): Promise<KafkaConnection> {
  const link = { why: "no broker answers", isClosed: false, sockets: new Set<Socket>() };
  const clients = await kafkaClients(settings, context, link);
  const connection = new KafkaConnection(settings, context, clients, link);
  return onceReady(connection, connection.ready());
}

/**
 * The way to one Kafka: it makes clients, creates topics, and asks the brokers again and again whether they are there, so that
 * calls fail at once while they are not.
 */
export class KafkaConnection implements AsyncDisposable {
  readonly name: string;
  readonly settings: KafkaSettings;
  readonly log: ComponentLog;
  readonly kafkajs: KafkaClients["kafkajs"];
  readonly #clients: KafkaClients;
  readonly #reachability: Reachability;
  readonly #link: KafkaLink;
  readonly #closing = new AbortController();
  /** Topics that are there; a set that is emptied when it grows too large. */
  readonly #topics = new Set<string>();
  #admin: Admin | undefined;
  #isDown = false;
  #closedAtMs: number | undefined;
  #watching: Promise<void> = Promise.resolve();
  #doubt = Promise.withResolvers<void>();

  constructor(
    settings: KafkaSettings,
    { name, log, reachability }: Pick<OpenContext, "name" | "log" | "reachability">,
    clients: KafkaClients,
    link: KafkaLink,
  ) {
    this.name = name;
    this.settings = settings;
    this.log = log;
    this.kafkajs = clients.kafkajs;
    this.#clients = clients;
    this.#reachability = reachability;
    this.#link = link;
  }

  /** Resolves once a broker answers; rejects when that takes too long or is refused. */
  async ready(): Promise<void> {
    const giveUpAtMs = performance.now() + this.settings.connectTimeoutMs;
    for (let attempt = 1; ; attempt++) {
      try {
        await this.#ping(Math.max(giveUpAtMs - performance.now(), 1));
        break;
      } catch (error) {
        const refusal = kafkaRefusal(this.name, error);
        if (refusal !== undefined) throw refusal;
        const waitMs = backOffMs(attempt, { longestMs: longestBackOffMs });
        if (performance.now() + waitMs > giveUpAtMs) throw this.failed(error);
        await delay(waitMs);
      }
    }
    this.#watching = this.#watch();
  }

  /** A client for requests that fail soon, so that their callers do. */
  hastyClient(): Kafka {
    return this.#clients.create(briefly);
  }

  /** A client that bridges a restart of a broker. */
  patientClient(): Kafka {
    return this.#clients.create(patiently);
  }

  /** Whether the brokers are known to be away. */
  get isDown(): boolean {
    return this.#isDown;
  }

  /** Throws when the brokers are known to be away. */
  requireReachable(): void {
    if (this.#isDown) throw this.failed(undefined);
  }

  /** The error of a request that failed, for callers; the brokers are asked at once whether they are there. */
  failed(error: unknown): RuntimeError {
    const failure = kafkaFailure(this.name, error ?? new TypeError("no broker"), this.#link.why);
    if (failure.code === "UNAVAILABLE") this.#doubt.resolve();
    if (failure.code !== "NOT_FOUND" || !this.settings.createTopics) return failure;
    const message = `the Kafka of '${this.name}' does not know the topic yet, or not any more`;
    return new RuntimeError("UNAVAILABLE", failure.reason, message);
  }

  /** Resolves once the topic is there, if topics may be created. Throws INVALID_ARGUMENT when it cannot have that name. */
  async ensureTopic(topic: string): Promise<void> {
    this.requireName(topic);
    if (!this.settings.createTopics || this.#topics.has(topic)) return;
    const { partitions, replicationFactor = -1, maxMessageBytes } = this.settings;
    const configEntries = [{ name: "max.message.bytes", value: String(maxMessageBytes) }];
    const admin = this.hastyClient().admin();
    try {
      await admin.connect();
      const topics = [{ topic, numPartitions: partitions, replicationFactor, configEntries }];
      await this.#create(admin, { topics, timeout: this.settings.requestTimeoutMs });
    } catch (error) {
      throw this.failed(error);
    } finally {
      admin.disconnect().catch(() => undefined);
    }
    if (this.#topics.size >= 10_000) this.#topics.clear();
    this.#topics.add(topic);
  }

  async #create(admin: Admin, request: Parameters<Admin["createTopics"]>[0]): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      try {
        await admin.createTopics(request);
        return;
      } catch (error) {
        // The broker that is asked for its leaders may hear of it last.
        if (typeOf(error) !== "UNKNOWN_TOPIC_OR_PARTITION" || attempt >= 20) throw error;
        await delay(topicBackOffMs);
      }
    }
  }

  /** Throws INVALID_ARGUMENT when no topic can have that name. */
  requireName(topic: string): void {
    if (/^[\w.-]{1,249}$/.test(topic) && topic !== "." && topic !== "..") return;
    const rule = "1 to 249 of the characters a-z, A-Z, 0-9, '.', '_' and '-'";
    const message = `'${topic.slice(0, 300)}' cannot be a topic of the Kafka of '${this.name}': a topic has ${rule}`;
    throw new RuntimeError("INVALID_ARGUMENT", "KAFKA_TOPIC_NAME", message);
  }

  /** The topic may be gone: it is looked for again. */
  forgetTopic(topic: string): void {
    this.#topics.delete(topic);
  }

  /** The farewells of the whole component end as soon as those of one part would. */
  startClosing(): void {
    this.#closedAtMs ??= this.farewellEndMs();
  }

  /** When farewells that begin now are over. */
  farewellEndMs(): number {
    return Math.min(performance.now() + farewellMs.longest, this.#closedAtMs ?? Number.POSITIVE_INFINITY);
  }

  /** Waits for what is to be ended, until it is time. */
  async farewell(work: Promise<unknown>, endMs = this.farewellEndMs()): Promise<void> {
    const patience = new AbortController();
    const leftMs = Math.max(endMs - performance.now(), 0);
    const longestMs = this.#isDown ? Math.min(leftMs, farewellMs.unheard) : leftMs;
    const late = delay(longestMs, undefined, { signal: patience.signal }).catch(() => undefined);
    await Promise.race([work.catch(() => undefined), late]);
    patience.abort();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.startClosing();
    this.#closing.abort();
    this.#link.isClosed = true;
    await this.#watching;
    await this.farewell(this.#discardAdmin());
    cutOff(this.#link);
  }

  async #watch(): Promise<void> {
    const { signal } = this.#closing;
    for (let attempt = 0; !signal.aborted; ) {
      const waitMs = attempt === 0 ? pingMs : backOffMs(attempt, { firstMs: 100, longestMs: longestBackOffMs });
      await this.#pause(waitMs, attempt === 0);
      if (signal.aborted) return;
      try {
        await this.#ping(this.settings.requestTimeoutMs);
        attempt = 0;
        this.#found();
      } catch (error) {
        attempt++;
        if (!signal.aborted) this.#missed(error);
      }
    }
  }

  /** Waits, less long when there is doubt. */
  async #pause(waitMs: number, endsByDoubt: boolean): Promise<void> {
    const over = new AbortController();
    const signal = AbortSignal.any([over.signal, this.#closing.signal]);
    const waited = delay(waitMs, undefined, { signal }).catch(() => undefined);
    await (endsByDoubt ? Promise.race([waited, this.#doubt.promise]) : waited);
    over.abort();
    if (!this.#closing.signal.aborted) await delay(shortestPauseMs);
    this.#doubt = Promise.withResolvers();
  }

  /** Rejects when no broker answers in time. */
  async #ping(longestMs: number): Promise<void> {
    const server = `the Kafka of '${this.name}'`;
    try {
      await withinCall(this.#ask(), this.#closing, { longestMs, server });
    } catch (error) {
      // It may hold on to a broker that is gone.
      this.#discardAdmin().catch(() => undefined);
      throw error;
    }
  }

  async #ask(): Promise<void> {
    if (this.#admin === undefined) {
      const admin = this.#clients.create(once).admin();
      this.#admin = admin;
      await admin.connect();
    }
    await this.#admin.describeCluster();
  }

  async #discardAdmin(): Promise<void> {
    const admin = this.#admin;
    this.#admin = undefined;
    await admin?.disconnect();
  }

  #missed(error: unknown): void {
    if (this.#isDown) return;
    this.#isDown = true;
    const why = kafkaRefusal(this.name, error)?.message ?? this.#link.why;
    this.#reachability.down(why);
    this.log.warn({ why }, `the Kafka of '${this.name}' cannot be reached; it is tried again`);
  }

  #found(): void {
    this.#link.why = "no broker answers";
    if (!this.#isDown) return;
    this.#isDown = false;
    this.#reachability.up();
    this.log.info({}, `the Kafka of '${this.name}' is back`);
  }
}
