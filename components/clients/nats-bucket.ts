import { z } from "zod";
import { RuntimeError } from "../error.ts";
import type { NatsConnection, NatsMessage } from "./nats.ts";
import { type BucketSettings, bucketStream } from "./nats-bucket-stream.ts";
import { NatsClock } from "./nats-clock.ts";
import {
  type BucketEntry,
  directlyRead,
  expiryOf,
  operationHeader,
  readFromLeader,
  type StoredMessage,
  storedMessage,
  ttlHeader,
  type WrittenEntry,
} from "./nats-entry.ts";
import { jetStreamCodes } from "./nats-failure.ts";
import { isRefusal, JetStream, type StreamInfo } from "./nats-jetstream.ts";
import { positionOf, scan } from "./nats-scan.ts";
import { NatsSweep } from "./nats-sweep.ts";
import { nameFields, nameHeader, nameWritten } from "./nats-written-name.ts";

/** Not the name of any entry. */
const clockKey = "=clock";
const mostRemovals = 256;

/** What a message of the stream says of a key. */
export interface BucketMessage {
  readonly key: string;
  /** The entry's name, where the key is a digest of it and the name is not too long. */
  readonly name: string | undefined;
  readonly revision: number;
  /** Whether there is nothing under the key since, or the entry has expired. */
  readonly isOver: boolean;
}

/** What lies under a key: an entry, or the mark of one that was deleted or has expired, or nothing (revision 0). */
export interface BucketSlot {
  readonly entry?: BucketEntry;
  readonly revision: number;
}

interface PutOptions {
  /** The write succeeds only while this is the revision of what lies there; 0 when nothing does. */
  readonly revision?: number | undefined;
  readonly ttlMs?: number | undefined;
  /** The entry's name, where the key is a digest of it. */
  readonly name?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** A bucket of JetStream's key-value store. Keys are tokens of a subject; one entry lies under each. */
export class NatsBucket implements AsyncDisposable {
  readonly jetStream: JetStream;
  readonly connection: NatsConnection;
  /** Whether what was written before stays beside the latest, as in a bucket that was not made here. */
  readonly keepsHistory: boolean;
  readonly #settings: BucketSettings;
  readonly #hasDirectReads: boolean;
  readonly #maySkipLeader: boolean;
  readonly #mayRemove: boolean;
  readonly #removals = new Set<Promise<void>>();
  readonly #watch: Disposable;
  /** Whether the bucket may be gone, since its server was away. */
  #isUnsure = false;
  #ensuring: Promise<void> | undefined;
  #clock: NatsClock | undefined;
  #sweep: NatsSweep | undefined;

  /** Opens the bucket, and makes it when there is none; `expires` when its entries may have a limit of life. The connection belongs to it from now on. */
  static async open(
    connection: NatsConnection,
    settings: BucketSettings,
    { expires }: { readonly expires: boolean },
  ): Promise<NatsBucket> {
    const jetStream = new JetStream(connection);
    try {
      const { config } = await jetStream.ensureStream(bucketStream(settings));
      const bucket = new NatsBucket(jetStream, settings, config);
      if (expires) await bucket.#startExpiry();
      return bucket;
    } catch (error) {
      await connection[Symbol.asyncDispose]();
      throw error;
    }
  }

  private constructor(jetStream: JetStream, settings: BucketSettings, config: StreamInfo["config"]) {
    this.jetStream = jetStream;
    this.connection = jetStream.connection;
    this.#settings = settings;
    this.#hasDirectReads = config.allow_direct;
    this.#maySkipLeader = config.num_replicas === 1;
    this.#mayRemove = !config.deny_delete;
    this.keepsHistory = config.max_msgs_per_subject !== 1;
    this.#watch = this.connection.watch((isUp) => {
      if (isUp) this.#isUnsure = true;
    });
  }

  /** Name of the stream behind the bucket. */
  get stream(): string {
    return `KV_${this.#settings.bucket}`;
  }

  /** The subject of a key, or of several with wildcards. */
  subjectOf(key: string): string {
    return `$KV.${this.#settings.bucket}.${key}`;
  }

  /** Lets entries expire by the server's clock, and has what has expired removed now and then. */
  async #startExpiry(): Promise<void> {
    this.#clock = await NatsClock.open(() => this.#askTime());
    this.#sweep = new NatsSweep(this.jetStream, {
      stream: this.stream,
      filter: this.subjectOf(">"),
      isOver: (message, writtenAtMs) => this.isOver(message, writtenAtMs),
      remove: (revision) => this.remove(revision),
    });
  }

  /** `leader` reads what the last write left there, `any` may be a moment behind on a bucket with replicas. */
  async get(key: string, from: "leader" | "any"): Promise<BucketSlot> {
    const found =
      this.#hasDirectReads && (from === "any" || this.#maySkipLeader)
        ? await this.#getDirect(key)
        : await this.#getFromLeader(key);
    if (found === undefined) return { revision: 0 };
    const { revision, expiresAtMs } = found;
    return found.isDeleted || this.#hasExpired(expiresAtMs) ? { revision } : { revision, entry: found };
  }

  /** Writes and resolves to the revision; undefined when the one that was asked for is not the current one. */
  async put(
    key: string,
    data: Uint8Array | string,
    { revision, ttlMs, name, headers = {} }: PutOptions = {},
  ): Promise<number | undefined> {
    return this.#write(key, data, {
      ...headers,
      ...expecting(revision),
      ...(ttlMs === undefined ? {} : { [ttlHeader]: String(ttlMs) }),
      ...nameFields(key, name),
    });
  }

  /** Deletes as `put` writes. The mark that says so stays when `keepMark` is set, for those who follow the bucket. */
  async delete(
    key: string,
    { revision, headers = {}, keepMark = false }: DeleteOptions = {},
  ): Promise<number | undefined> {
    const mark = await this.#write(key, "", { ...expecting(revision), ...headers, [operationHeader]: "DEL" });
    if (mark !== undefined && !keepMark) this.#removeLater(mark);
    return mark;
  }

  /** What was written under the keys, from the revision on and so many times, without the data; without a history each key once. */
  async *written(from: number, most: number): AsyncGenerator<BucketMessage> {
    const opening = this.subjectOf("").length;
    const { stream } = this;
    for await (const batch of scan(this.jetStream, {
      stream,
      filter: this.subjectOf(">"),
      from,
      most,
      headersOnly: true,
    })) {
      for (const message of batch) {
        const { sequence, writtenAtMs } = positionOf(message);
        const name = nameWritten(message.headers?.get(nameHeader));
        const isOver = this.isOver(message, writtenAtMs);
        yield { key: message.subject.slice(opening), name, revision: sequence, isOver };
      }
    }
  }

  /** Whether a message of the stream is an entry that has expired, or the mark of one that was deleted. */
  isOver(message: NatsMessage, writtenAtMs: number): boolean {
    return message.headers?.has(operationHeader) === true || this.#hasExpired(expiryOf(message, writtenAtMs));
  }

  /** Whether a moment of the server's clock has passed. */
  #hasExpired(atMs: number | undefined): boolean {
    return atMs !== undefined && this.now() >= atMs;
  }

  /** The server's time where entries expire, else ours; milliseconds since the epoch. */
  now(): number {
    return this.#clock?.now() ?? Date.now();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#clock?.[Symbol.dispose]();
    this.#watch[Symbol.dispose]();
    await this.#sweep?.[Symbol.asyncDispose]();
    await Promise.all(this.#removals);
    await this.connection[Symbol.asyncDispose]();
  }

  async #write(
    key: string,
    data: Uint8Array | string,
    fields: Readonly<Record<string, string>>,
  ): Promise<number | undefined> {
    const headers = Object.keys(fields).length === 0 ? undefined : this.connection.headers(fields);
    try {
      return await this.orMadeAnew(() => this.jetStream.publish(this.subjectOf(key), data, headers));
    } catch (error) {
      if (isRefusal(error, jetStreamCodes.wrongLastSequence)) return undefined;
      throw error;
    }
  }

  async #getDirect(key: string): Promise<WrittenEntry | undefined> {
    const subject = this.jetStream.subjectOf(`DIRECT.GET.${this.stream}.${this.subjectOf(key)}`);
    return directlyRead(await this.orMadeAnew(() => this.connection.request(subject, "")));
  }

  async #getFromLeader(key: string): Promise<WrittenEntry | undefined> {
    const message = await this.#lastOf(key);
    return message && readFromLeader(message);
  }

  async #lastOf(key: string): Promise<StoredMessage | undefined> {
    const request = { last_by_subj: this.subjectOf(key) };
    try {
      const method = `STREAM.MSG.GET.${this.stream}`;
      return (await this.orMadeAnew(() => this.jetStream.api(method, request, storedMessage))).message;
    } catch (error) {
      if (isRefusal(error, jetStreamCodes.messageNotFound)) return undefined;
      throw error;
    }
  }

  /** Makes the bucket again when it is gone, as one in memory is when its server was away. */
  ensure(): Promise<StreamInfo> {
    return this.jetStream.ensureStream(bucketStream(this.#settings));
  }

  /** Does what fails where the bucket is gone, and does it again in one that was made anew. */
  async orMadeAnew<T>(work: () => Promise<T>): Promise<T> {
    // The server answers no direct read of a bucket that is gone, so that it would be waited for.
    if (this.#isUnsure) await this.#ensureOnce();
    try {
      return await work();
    } catch (error) {
      if (!isGone(error)) throw error;
      await this.ensure();
      return work();
    }
  }

  #ensureOnce(): Promise<void> {
    this.#ensuring ??= this.ensure()
      .then(() => {
        this.#isUnsure = false;
      })
      .finally(() => {
        this.#ensuring = undefined;
      });
    return this.#ensuring;
  }

  /** The time that the server writes on an entry; it may be that of another who asks, between our asking and hearing. */
  async #askTime(): Promise<number> {
    await this.jetStream.publish(this.subjectOf(clockKey), "");
    const message = await this.#lastOf(clockKey);
    return message === undefined ? Date.now() : Date.parse(message.time);
  }

  /** Takes a message out of the stream: exactly this one, whatever lies under its key now. */
  async remove(revision: number): Promise<void> {
    if (!this.#mayRemove) return;
    const request = { seq: revision, no_erase: true };
    await this.jetStream.api(`STREAM.MSG.DELETE.${this.stream}`, request, z.unknown()).catch(() => undefined);
  }

  /** What is not removed now, the sweep finds. */
  #removeLater(revision: number): void {
    if (this.#removals.size >= mostRemovals) return;
    const removal = this.remove(revision).finally(() => this.#removals.delete(removal));
    this.#removals.add(removal);
  }
}

interface DeleteOptions {
  readonly revision?: number | undefined;
  readonly headers?: Readonly<Record<string, string>>;
  readonly keepMark?: boolean;
}

/** Nobody answers where the stream would, or JetStream says that there is none. */
const isGone = (error: unknown): boolean =>
  isRefusal(error, jetStreamCodes.streamNotFound) ||
  (error instanceof RuntimeError && (error.reason === "NATS_NO_JETSTREAM" || error.reason === "NATS_NO_RESPONDERS"));

const expecting = (revision: number | undefined): Readonly<Record<string, string>> =>
  revision === undefined ? {} : { "Nats-Expected-Last-Subject-Sequence": String(revision) };
