import { openNats } from "../clients/nats.ts";
import { NatsBucket } from "../clients/nats-bucket.ts";
import { natsTokenOf } from "../clients/nats-name.ts";
import { scan } from "../clients/nats-scan.ts";
import { jetStreamSettings, natsMaxBytes, natsName, natsSettings } from "../clients/nats-settings.ts";
import { type CallContext, type ComponentLog, throwIfAborted } from "../component.ts";
import { RuntimeError } from "../error.ts";
import { type ConfigItem, type ConfigSelection, type ConfigStore, defineConfigStore } from "./config-store.ts";
import { headersOfItem, itemHeader, itemOf, itemOfMessage } from "./nats-item.ts";
import { type ConfigPlace, NatsConfigWatch } from "./nats-watch.ts";
import { ConfigSubscribers } from "./subscribers.ts";

/** Requests on their way at a time for one call. */
const mostAtATime = 64;
/** How often a delete looks again at an item that is written meanwhile. */
const mostLooks = 8;

/** Configuration in a bucket of NATS JetStream: the content of an item is the value of its entry, the rest is in headers. */
export const natsConfigStore = defineConfigStore({
  type: "nats",
  capabilities: ["durable", "shared"],
  config: natsSettings.extend({
    ...jetStreamSettings,
    bucket: natsName
      .default("outrigger-config")
      .describe(
        "Bucket for the items, made when there is none; default outrigger-config. Keys are APPLICATION.GROUP.LABEL.KEY",
      ),
    maxBytes: natsMaxBytes.describe(
      "Most bytes of the bucket, when it is made here; default 1 GiB. Items over it are refused",
    ),
  }),
  capabilitiesWith: ({ storage }) => (storage === "file" ? ["durable", "shared"] : ["shared"]),
  open: async (settings, context) => {
    const bucket = await NatsBucket.open(await openNats(settings, context), settings, { expires: false });
    return new NatsConfigStore(context.name, context.log, bucket);
  },
});

class NatsConfigStore implements ConfigStore {
  readonly #name: string;
  readonly #bucket: NatsBucket;
  readonly #subscribers: ConfigSubscribers;
  /** Begun with the first subscription, for all of them. */
  #watch: Promise<NatsConfigWatch> | undefined;

  constructor(name: string, log: ComponentLog, bucket: NatsBucket) {
    this.#name = name;
    this.#bucket = bucket;
    this.#subscribers = new ConfigSubscribers(name, log);
  }

  async get(selection: ConfigSelection, call: CallContext): Promise<ConfigItem[]> {
    throwIfAborted(call);
    if (selection.keys.length === 0) return this.#all(selection);
    const found = await eachOf([...new Set(selection.keys)], async (key) => {
      const { entry } = await this.#bucket.get(entryKeyOf(selection, key), "leader");
      return entry === undefined ? [] : [itemOf({ ...selection, key }, entry.data, entry.header(itemHeader))];
    });
    return found.flat();
  }

  async save(
    { appId, items }: { readonly appId: string; readonly items: readonly ConfigItem[] },
    call: CallContext,
  ): Promise<void> {
    throwIfAborted(call);
    // The last of one name is the one that counts.
    const byKey = new Map(items.map((item) => [entryKeyOf({ ...item, appId }, item.key), item]));
    await eachOf([...byKey], async ([key, item]) => {
      const headers = headersOfItem(appId, item);
      const bytes = Buffer.byteLength(item.content) + Object.values(headers).join("").length;
      this.#bucket.connection.checkSize(`the item '${item.key.slice(0, 100)}'`, bytes);
      await this.#bucket.put(key, item.content, { headers });
    });
  }

  async delete(selection: ConfigSelection, call: CallContext): Promise<void> {
    throwIfAborted(call);
    const keys = selection.keys.length > 0 ? selection.keys : (await this.#all(selection)).map(({ key }) => key);
    await eachOf([...new Set(keys)], (key) => this.#delete(selection, key));
  }

  async subscribe(
    selection: ConfigSelection,
    listener: Parameters<ConfigStore["subscribe"]>[1],
  ): Promise<AsyncDisposable> {
    this.#watch ??= NatsConfigWatch.start(this.#bucket, {
      subscribers: this.#subscribers,
      read: (place) => this.#all(place),
    });
    let watch: NatsConfigWatch;
    try {
      watch = await this.#watch;
    } catch (error) {
      this.#watch = undefined;
      throw error;
    }
    const following = await watch.follow(selection);
    const subscription = this.#subscribers.add(selection, listener);
    return {
      [Symbol.asyncDispose]: async () => {
        following[Symbol.dispose]();
        await subscription[Symbol.asyncDispose]();
      },
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const watch = await this.#watch?.catch(() => undefined);
    await watch?.[Symbol.asyncDispose]();
    this.#subscribers.close();
    await this.#bucket[Symbol.asyncDispose]();
  }

  #all(place: ConfigPlace): Promise<ConfigItem[]> {
    return this.#bucket.orMadeAnew(() => this.#scan(place));
  }

  async #scan(place: ConfigPlace): Promise<ConfigItem[]> {
    const items = new Map<string, ConfigItem>();
    const { jetStream, stream } = this.#bucket;
    const filter = this.#bucket.subjectOf(`${prefixOf(place)}.*`);
    for await (const batch of scan(jetStream, { stream, filter })) {
      for (const message of batch) {
        const { change } = itemOfMessage(message) ?? {};
        if (change === undefined) continue;
        const { deleted, ...item } = change;
        if (deleted) items.delete(item.key);
        else items.set(item.key, item);
      }
    }
    return [...items.values()];
  }

  /** Leaves a mark, for those who follow; none where nothing was. */
  async #delete(selection: ConfigSelection, name: string): Promise<void> {
    const key = entryKeyOf(selection, name);
    const { group, label } = selection;
    const headers = headersOfItem(selection.appId, { key: name, group, label, tags: {}, metadata: {} });
    for (let look = 0; look < mostLooks; look++) {
      const { entry, revision } = await this.#bucket.get(key, "leader");
      if (entry === undefined) return;
      if ((await this.#bucket.delete(key, { revision, headers, keepMark: true })) !== undefined) return;
    }
    const message = `the item '${name}' of '${this.#name}' is written by many at once; delete it again`;
    throw new RuntimeError("ABORTED", "CONFIG_CONTENDED", message);
  }
}

const prefixOf = ({ appId, group, label }: ConfigPlace): string => [appId, group, label].map(natsTokenOf).join(".");

const entryKeyOf = (place: ConfigPlace, key: string): string => `${prefixOf(place)}.${natsTokenOf(key)}`;

/** Does the work for all, so many at a time, and gives the results in order. */
async function eachOf<One, Result>(
  all: readonly One[],
  work: (one: One) => Promise<Result>,
): Promise<readonly Result[]> {
  const results: Result[] = [];
  for (let from = 0; from < all.length; from += mostAtATime) {
    results.push(...(await Promise.all(all.slice(from, from + mostAtATime).map(work))));
  }
  return results;
}
