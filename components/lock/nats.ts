import { openNats } from "../clients/nats.ts";
import { NatsBucket } from "../clients/nats-bucket.ts";
import { natsNameOf } from "../clients/nats-name.ts";
import { jetStreamSettings, natsMaxBytes, natsName, natsSettings } from "../clients/nats-settings.ts";
import { type CallContext, throwIfAborted } from "../component.ts";
import { RuntimeError } from "../error.ts";
import { defineLockStore, type LockOutcome, type LockStore, type TryLock, type Unlock } from "./lock-store.ts";

/** How often a holder looks again at a lock that changes while it is read. */
const mostLooks = 8;

/**
 * Locks in a bucket of NATS JetStream. A lease is an entry with the owner as its value; every change of it insists on the
 * revision that was read, so who comes late changes nothing. A lease ends by the clock of the server, see NatsClock.
 */
export const natsLockStore = defineLockStore({
  type: "nats",
  capabilities: ["durable", "shared"],
  config: natsSettings.extend({
    ...jetStreamSettings,
    bucket: natsName
      .default("outrigger-locks")
      .describe("Bucket for the leases, made when there is none; default outrigger-locks"),
    maxBytes: natsMaxBytes.describe(
      "Most bytes of the bucket, when it is made here; default 1 GiB. A lock over it is refused",
    ),
  }),
  capabilitiesWith: ({ storage }) => (storage === "file" ? ["durable", "shared"] : ["shared"]),
  open: async (settings, context) => {
    const bucket = await NatsBucket.open(await openNats(settings, context), settings, { expires: true });
    return new NatsLockStore(context.name, bucket);
  },
});

class NatsLockStore implements LockStore {
  readonly #name: string;
  readonly #bucket: NatsBucket;

  constructor(name: string, bucket: NatsBucket) {
    this.#name = name;
    this.#bucket = bucket;
  }

  async tryLock({ resource, owner, leaseMs }: TryLock, call: CallContext): Promise<boolean> {
    throwIfAborted(call);
    const key = natsNameOf(resource);
    this.#bucket.connection.checkSize("the owner of the lock", Buffer.byteLength(owner));
    const take = async (revision: number): Promise<boolean> =>
      (await this.#bucket.put(key, owner, { revision, ttlMs: leaseMs, name: resource })) !== undefined;
    if (await take(0)) return true;
    const slot = await this.#bucket.get(key, "leader");
    return slot.entry === undefined && (await take(slot.revision));
  }

  async unlock(request: Unlock, call: CallContext): Promise<LockOutcome> {
    throwIfAborted(call);
    return this.#change(request, (key, revision) => this.#bucket.delete(key, { revision }));
  }

  async renew({ resource, owner, leaseMs }: TryLock, call: CallContext): Promise<LockOutcome> {
    throwIfAborted(call);
    return this.#change({ resource, owner }, (key, revision) =>
      this.#bucket.put(key, owner, { revision, ttlMs: leaseMs, name: resource }),
    );
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#bucket[Symbol.asyncDispose]();
  }

  /** Changes the lease if it is the owner's and has not ended. */
  async #change(
    { resource, owner }: Unlock,
    change: (key: string, revision: number) => Promise<number | undefined>,
  ): Promise<LockOutcome> {
    const key = natsNameOf(resource);
    for (let look = 0; look < mostLooks; look++) {
      const { entry } = await this.#bucket.get(key, "leader");
      if (entry === undefined) return "not-locked";
      if (new TextDecoder().decode(entry.data) !== owner) return "owned-by-other";
      if ((await change(key, entry.revision)) !== undefined) return "success";
    }
    const message = `a lock of '${this.#name}' is changed by many calls of its holder at once; try again`;
    throw new RuntimeError("ABORTED", "LOCK_CONTENDED", message);
  }
}
