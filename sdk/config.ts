import {
  type ConfigurationItem,
  RuntimeService,
  type SubscribeConfigurationRequest,
  type SubscribeConfigurationResponse,
} from "../proto/gen/spec/proto/runtime/v1/runtime.ts";
import type { CallOptions, Channel } from "./channel.ts";
import { Stream } from "./stream.ts";

/** An item of configuration; an empty group or label is one of its own. */
export interface ConfigItem {
  readonly key: string;
  readonly content: string;
  readonly group: string;
  readonly label: string;
  readonly tags: Readonly<Record<string, string>>;
  readonly metadata: Readonly<Record<string, string>>;
}

/** The item as it is now, or what is left of it when `deleted`. */
export interface ConfigChange extends ConfigItem {
  readonly deleted: boolean;
}

/** Which items of which store. */
export interface ConfigSelection {
  readonly store: string;
  /** Default the application of the runtime. */
  readonly appId?: string;
  readonly group?: string;
  readonly label?: string;
  /** Default every key. */
  readonly keys?: readonly string[];
}

export type ConfigItemToSave = Pick<ConfigItem, "key" | "content"> & Partial<ConfigItem>;

/** Configuration that the application reads, and follows as it changes. */
export class ConfigClient {
  readonly #channel: Channel;

  constructor(channel: Channel) {
    this.#channel = channel;
  }

  async get(selection: ConfigSelection, options?: CallOptions): Promise<ConfigItem[]> {
    const request = { ...selectionOf(selection), subscribeUpdate: false };
    const { items } = await this.#channel.unary(RuntimeService.getConfiguration, request, options);
    return items;
  }

  async save(
    request: { readonly store: string; readonly appId?: string; readonly items: readonly ConfigItemToSave[] },
    options?: CallOptions,
  ): Promise<void> {
    const { store, appId = "", items } = request;
    const message = { storeName: store, appId, items: items.map(messageOf), metadata: {} };
    await this.#channel.unary(RuntimeService.saveConfiguration, message, options);
  }

  async delete(
    selection: ConfigSelection & { readonly keys: readonly string[] },
    options?: CallOptions,
  ): Promise<void> {
    await this.#channel.unary(RuntimeService.deleteConfiguration, selectionOf(selection), options);
  }

  /** Resolves once changes from now on will be told. Leaving the loop or disposing ends the subscription. */
  async subscribe(selection: ConfigSelection, options?: CallOptions): Promise<ConfigSubscription> {
    const stream = new Stream(this.#channel, RuntimeService.subscribeConfiguration, selectionOf(selection), options);
    await stream.inEffect();
    return new ConfigSubscription(stream);
  }
}

/** Changes as they happen, one item at a time. */
export class ConfigSubscription implements AsyncIterable<ConfigChange>, AsyncDisposable {
  readonly #stream: Stream<SubscribeConfigurationRequest, SubscribeConfigurationResponse>;

  constructor(stream: Stream<SubscribeConfigurationRequest, SubscribeConfigurationResponse>) {
    this.#stream = stream;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<ConfigChange, void> {
    for await (const { items } of this.#stream) {
      for (const item of items) yield { ...item, deleted: item.metadata.deleted === "true" };
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#stream[Symbol.asyncDispose]();
  }
}

function selectionOf(selection: ConfigSelection): SubscribeConfigurationRequest {
  const { store, appId = "", group = "", label = "", keys = [] } = selection;
  return { storeName: store, appId, group, label, keys: [...keys], metadata: {} };
}

function messageOf({ key, content, group = "", label = "", tags, metadata }: ConfigItemToSave): ConfigurationItem {
  return { key, content, group, label, tags: { ...tags }, metadata: { ...metadata } };
}
