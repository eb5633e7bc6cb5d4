import type { z } from "zod";
import type { CallContext, ComponentDefinition } from "../component.ts";

/** Items are told apart by (appId, group, label, key); an empty group or label is one of its own. */
export interface ConfigItem {
  readonly key: string;
  readonly content: string;
  readonly group: string;
  readonly label: string;
  readonly tags: Readonly<Record<string, string>>;
  readonly metadata: Readonly<Record<string, string>>;
}

export interface ConfigSelection {
  readonly appId: string;
  readonly group: string;
  readonly label: string;
  /** Empty means every key. */
  readonly keys: readonly string[];
}

/** A change: the item as it is now, or, when `deleted`, with empty content. */
export interface ConfigChange extends ConfigItem {
  readonly deleted: boolean;
}

/** Configuration that applications read, and follow as it changes. */
export interface ConfigStore extends AsyncDisposable {
  get(selection: ConfigSelection, call: CallContext): Promise<ConfigItem[]>;
  save(request: { readonly appId: string; readonly items: readonly ConfigItem[] }, call: CallContext): Promise<void>;
  delete(selection: ConfigSelection, call: CallContext): Promise<void>;
  /** Resolves once changes from now on will be told; disposing ends this subscription and no other. `lost` is called once when the store can tell no more. */
  subscribe(
    selection: ConfigSelection,
    listener: { changed(changes: readonly ConfigChange[]): void; lost(error: Error): void },
  ): Promise<AsyncDisposable>;
}

/** `durable`: items outlast the component. `shared`: all who have it open with the same settings, in any process, have the same items and are told of each other's changes. */
export type ConfigCapability = "durable" | "shared";

export const defineConfigStore = <Schema extends z.ZodObject>(
  definition: ComponentDefinition<ConfigStore, Schema, ConfigCapability>,
): ComponentDefinition<ConfigStore, Schema, ConfigCapability> => definition;
