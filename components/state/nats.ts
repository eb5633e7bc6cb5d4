import { openNats } from "../clients/nats.ts";
import { type BucketSlot, NatsBucket } from "../clients/nats-bucket.ts";
import { nameOfNats, natsNameOf } from "../clients/nats-name.ts";
import { jetStreamSettings, natsMaxBytes, natsName, natsSettings } from "../clients/nats-settings.ts";
import { nameBytesOf } from "../clients/nats-written-name.ts";
import { type CallContext, throwIfAborted } from "../component.ts";
import { RuntimeError } from "../error.ts";
import { etagMismatch, expectedEtag } from "./etag.ts";
import { cursorUnknown } from "./key-cursor.ts";
import {
  type DeleteState,
  defineStateStore,
  type GetState,
  type KeyPage,
  type ListKeys,
  type SetState,
  type StateEntry,
  type StateStore,
} from "./state-store.ts";

/** How often a first-write looks again at a key that others write and delete meanwhile. */
const mostLooks = 8;
/** Entries that are looked at for one page, however few of them come on it. */
const leastOfPage = 1_000;

/** State in a bucket of NATS JetStream: an etag is the bucket's revision. */
export const natsStateStore = defineStateStore({
  type: "nats",
  capabilities: ["keys", "ttl", "durable", "shared"],
  config: natsSettings.extend({
    ...jetStreamSettings,
    bucket: natsName
      .default("outrigger-state")
      .describe("Bucket for the entries, made when there is none; default outrigger-state"),
    maxBytes: natsMaxBytes.describe(
      "Most bytes of the bucket, when it is made here; default 1 GiB. A write over it is refused",
    ),
  }),
  capabilitiesWith: ({ storage }) =>
    storage === "file" ? ["keys", "ttl", "durable", "shared"] : ["keys", "ttl", "shared"],
  open: async (settings, context) => {
    const bucket = await NatsBucket.open(await openNats(settings, context), settings, { expires: true });
    return new NatsStateStore(context.name, bucket);
  },
});

class NatsStateStore implements StateStore {
  readonly #name: string;
  readonly #bucket: NatsBucket;

  constructor(name: string, bucket: NatsBucket) {
    this.#name = name;
    this.#bucket = bucket;
  }

  async get({ key, consistency }: GetState, call: CallContext): Promise<StateEntry | undefined> {
    throwIfAborted(call);
    const { entry } = await this.#bucket.get(natsNameOf(key), consistency === "strong" ? "leader" : "any");
    if (entry === undefined) return undefined;
    const { data, revision, expiresAtMs } = entry;
    // The client's own buffer holds other messages, too.
    const value = Buffer.from(data);
    if (expiresAtMs === undefined) return { key, value, etag: String(revision) };
    return { key, value, etag: `${revision}.${Math.ceil(expiresAtMs)}`, expiresAtMs: Math.ceil(expiresAtMs) };
  }

  async set(request: SetState, call: CallContext): Promise<void> {
    throwIfAborted(call);
    const { key, value, ttlMs, concurrency } = request;
    const at = natsNameOf(key);
    const nameBytes = nameBytesOf(at, key);
    const what = nameBytes === 0 ? "the value" : "the value with the name";
    this.#bucket.connection.checkSize(`${what} of key '${key.slice(0, 100)}'`, value.byteLength + nameBytes);
    const expected = expectedEtag(request);
    const put = (revision?: number): Promise<number | undefined> =>
      this.#bucket.put(at, value, { revision, ttlMs, name: key });
    if (expected !== undefined) {
      if ((await put(this.#revisionOf(expected, request))) === undefined) throw etagMismatch(this.#name, request);
      return;
    }
    if (concurrency === "first-write") return this.#make(request, put);
    await put();
  }

  async delete(request: DeleteState, call: CallContext): Promise<void> {
    throwIfAborted(call);
    const key = natsNameOf(request.key);
    const expected = expectedEtag(request);
    if (expected === undefined) await this.#bucket.delete(key);
    else {
      const revision = this.#revisionOf(expected, request);
      if ((await this.#bucket.delete(key, { revision })) === undefined) throw etagMismatch(this.#name, request);
    }
  }

  /** In the order in which they were written last, so that a key that is written meanwhile comes at the end, perhaps again. */
  async keys({ prefix, cursor, limit }: ListKeys, call: CallContext): Promise<KeyPage> {
    throwIfAborted(call);
    if (cursor !== undefined && !/^[1-9]\d{0,15}$/.test(cursor)) throw cursorUnknown(this.#name, cursor);
    return this.#bucket.orMadeAnew(async () => {
      const keys = new Set<string>();
      const most = Math.max(limit, leastOfPage);
      let [next, read] = [Number(cursor ?? 1), 0];
      for await (const { key, name: written, revision, isOver } of this.#bucket.written(next, most)) {
        throwIfAborted(call);
        if (keys.size === limit) return { keys: await this.#live(keys), cursor: String(next) };
        next = revision + 1;
        read++;
        const name = nameOfNats(key, written);
        if (name?.startsWith(prefix) !== true) continue;
        if (isOver) keys.delete(name);
        else keys.add(name);
      }
      return { keys: await this.#live(keys), cursor: read < most ? undefined : String(next) };
    });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#bucket[Symbol.asyncDispose]();
  }

  /** Those that are still there, where what the keys came from may be of the past. */
  async #live(keys: ReadonlySet<string>): Promise<readonly string[]> {
    if (!this.#bucket.keepsHistory) return [...keys];
    const found = [...keys].map(async (key) => {
      const { entry } = await this.#bucket.get(natsNameOf(key), "leader");
      return entry === undefined ? [] : [key];
    });
    return (await Promise.all(found)).flat();
  }

  /** Writes where nothing is, or only the mark of what was deleted or has expired. */
  async #make(request: SetState, put: (revision: number) => Promise<number | undefined>): Promise<void> {
    let slot: BucketSlot = { revision: 0 };
    for (let look = 0; look < mostLooks; look++) {
      if ((await put(slot.revision)) !== undefined) return;
      slot = await this.#bucket.get(natsNameOf(request.key), "leader");
      if (slot.entry !== undefined) throw etagMismatch(this.#name, request);
    }
    const message = `key '${request.key}' of state store '${this.#name}' is written and deleted by many at once; try again`;
    throw new RuntimeError("ABORTED", "STATE_CONTENDED", message);
  }

  /** The revision that an etag stands for. It also says when the entry ends: then it is worth nothing. */
  #revisionOf(etag: string, request: SetState | DeleteState): number {
    const [, revision, expiresAtMs] = /^([1-9]\d{0,15})(?:\.(\d{1,16}))?$/.exec(etag) ?? [];
    const isOver = expiresAtMs !== undefined && Number(expiresAtMs) <= this.#bucket.now();
    if (revision === undefined || isOver) throw etagMismatch(this.#name, request);
    return Number(revision);
  }
}
