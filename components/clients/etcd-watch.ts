import { setTimeout as delay } from "node:timers/promises";
import type { KeyValue } from "../../proto/gen/etcd/kv.ts";
import { Event_EventType } from "../../proto/gen/etcd/kv.ts";
import type { WatchRequest, WatchResponse } from "../../proto/gen/etcd/rpc.ts";
import type { ComponentLog } from "../component.ts";
import { backOffMs } from "./back-off.ts";
import type { EtcdConnection } from "./etcd.ts";
import { type GrpcError, grpcErrorOf, isAway } from "./etcd-failure.ts";
import { endOf, rangeOf } from "./etcd-requests.ts";

/** Keys that are read at a time; each may have the most that a server takes. */
const pageSize = 64n;

/** What became of a key: its value, or `undefined` when it is gone, and then what it was before, if that is known. */
export interface KeyChange {
  readonly key: Uint8Array;
  readonly value: Uint8Array | undefined;
  readonly before: Uint8Array | undefined;
}

interface WatchOptions {
  readonly connection: EtcdConnection;
  readonly prefix: Buffer;
  readonly log: ComponentLog;
  /** Hears of the changes in their order; must not throw. */
  changed(changes: readonly KeyChange[]): void;
}

/** How one stream of a watch ended. */
type End = { readonly gap: true } | { readonly gap: false; readonly error: GrpcError };

/**
 * Tells what becomes of the keys below a prefix. When the connection is lost it goes on behind the last change it told. When
 * the server has forgotten what came then, it reads all keys again and tells in what they differ from those it knew.
 */
export class EtcdPrefixWatch implements AsyncDisposable {
  readonly #options: WatchOptions;
  readonly #closing = new AbortController();
  /** The revision of the last write of each key, by the key's bytes. */
  readonly #revisions: Map<string, bigint>;
  /** Up to this revision all has been told. */
  #told: bigint;
  #isRefused = false;
  readonly #following: Promise<void>;

  /** Resolves once all changes from now on will be told. */
  static async open(options: WatchOptions): Promise<EtcdPrefixWatch> {
    const { revision, entries } = await readPrefix(options.connection, options.prefix, { keysOnly: true });
    return new EtcdPrefixWatch(options, revision, entries);
  }

  private constructor(options: WatchOptions, revision: bigint, entries: readonly KeyValue[]) {
    this.#options = options;
    this.#told = revision;
    this.#revisions = new Map(entries.map(({ key, modRevision }) => [bytesIn(key), modRevision]));
    options.connection.closed.addEventListener("abort", this.#close, { once: true });
    this.#following = this.#follow();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#close();
    this.#options.connection.closed.removeEventListener("abort", this.#close);
    await this.#following;
  }

  readonly #close = (): void => this.#closing.abort();

  async #follow(): Promise<void> {
    const { signal } = this.#closing;
    for (let attempt = 1; !signal.aborted; attempt++) {
      const before = this.#told;
      const { stream, failed } = this.#options.connection.watch();
      const end = await this.#listen(stream);
      if (signal.aborted) return;
      if (end.gap) await this.#readAgain();
      else {
        this.#warn(end.error);
        await failed(end.error);
      }
      if (this.#told > before) attempt = 0;
      else await delay(backOffMs(attempt), undefined, { signal }).catch(() => undefined);
    }
  }

  #warn(error: GrpcError): void {
    // That no server answers is told by the connection.
    if (isAway(error) || this.#isRefused) return;
    this.#isRefused = true;
    this.#options.log.warn({ why: error.details }, "etcd refuses to tell of changes; it is asked again");
  }

  /** Tells what comes on the stream; resolves when it has ended. */
  #listen(stream: ReturnType<EtcdConnection["watch"]>["stream"]): Promise<End> {
    const { signal } = this.#closing;
    return new Promise((resolve) => {
      const finish = (end: End): void => {
        signal.removeEventListener("abort", cancel);
        resolve(end);
        stream.cancel();
      };
      const cancel = (): void => finish({ gap: false, error: { code: 1, details: "the watch was closed" } });
      signal.addEventListener("abort", cancel, { once: true });
      stream.on("error", (error: unknown) => finish({ gap: false, error: grpcErrorOf(error) }));
      stream.on("end", () => finish({ gap: false, error: { code: 14, details: "the server ended the watch" } }));
      stream.on("data", (response: WatchResponse) => {
        const end = signal.aborted ? undefined : this.#take(response);
        if (end !== undefined) finish(end);
      });
      stream.write(watchFrom(this.#options.prefix, this.#told + 1n));
    });
  }

  /** Tells what a response tells, or answers how it ends the stream. */
  #take({ header, created, canceled, compactRevision, cancelReason, events }: WatchResponse): End | undefined {
    const revision = header?.revision ?? 0n;
    if (compactRevision > 0n) return { gap: true };
    if (canceled) return { gap: false, error: { code: 7, details: cancelReason } };
    // A store that was put back to an earlier state: its next changes are not those that we wait for.
    if (created) {
      this.#isRefused = false;
      return revision < this.#told ? { gap: true } : undefined;
    }
    const last = events.at(-1)?.kv?.modRevision;
    this.#told = last ?? revision;
    const changes = events.flatMap(({ type, kv, prevKv }) => {
      if (kv === undefined) return [];
      const isGone = type === Event_EventType.DELETE;
      if (isGone) this.#revisions.delete(bytesIn(kv.key));
      else this.#revisions.set(bytesIn(kv.key), kv.modRevision);
      return [{ key: kv.key, value: isGone ? undefined : kv.value, before: prevKv?.value }];
    });
    if (changes.length > 0) this.#options.changed(changes);
    return undefined;
  }

  /** Tells the difference between what is there now and what was known. */
  async #readAgain(): Promise<void> {
    const { connection, prefix, log } = this.#options;
    try {
      const { revision, entries } = await readPrefix(connection, prefix);
      const gone = new Set(this.#revisions.keys());
      const changes: KeyChange[] = [];
      for (const { key, value, modRevision } of entries) {
        const id = bytesIn(key);
        gone.delete(id);
        if (this.#revisions.get(id) === modRevision) continue;
        this.#revisions.set(id, modRevision);
        changes.push({ key, value, before: undefined });
      }
      for (const id of gone) {
        this.#revisions.delete(id);
        changes.push({ key: Buffer.from(id, "latin1"), value: undefined, before: undefined });
      }
      this.#told = revision;
      if (changes.length > 0) this.#options.changed(changes);
    } catch (error) {
      log.debug({ err: error }, "what etcd has cannot be read again yet");
    }
  }
}

/** All that lies below the prefix at one revision. */
export async function readPrefix(
  connection: EtcdConnection,
  prefix: Buffer,
  { keysOnly = false }: { readonly keysOnly?: boolean } = {},
): Promise<{ revision: bigint; entries: readonly KeyValue[] }> {
  const rangeEnd = endOf(prefix);
  const entries: KeyValue[] = [];
  let revision = 0n;
  for (let from = prefix; ; ) {
    const limit = keysOnly ? pageSize * 16n : pageSize;
    const page = await connection.range(rangeOf(from, { rangeEnd, limit, keysOnly, revision }));
    if (revision === 0n) revision = page.header?.revision ?? 0n;
    entries.push(...page.kvs);
    const last = page.kvs.at(-1);
    if (!page.more || last === undefined) return { revision, entries };
    from = Buffer.concat([last.key, Buffer.of(0)]);
  }
}

const watchFrom = (prefix: Buffer, startRevision: bigint): WatchRequest => ({
  requestUnion: {
    $case: "createRequest",
    value: { key: prefix, rangeEnd: endOf(prefix), startRevision, progressNotify: true, prevKv: true },
  },
});

/** Bytes as a text that can be the key of a map. */
const bytesIn = (key: Uint8Array): string => Buffer.from(key.buffer, key.byteOffset, key.byteLength).toString("latin1");
