/** Imports for what is the plugin's own: how it is configured, and its log. */
import type { ConfigSelector, ConfigValue } from "../../plugin/uniform-api.ts";
import { payForBytes, payForResult } from "../charge.ts";
import type { GuestHost, ImportedInterface } from "../provider.ts";
import { pairsOf, sizeOfPairs } from "./pairs.ts";
import { outriggerVersions } from "./version.ts";
import { throwWit } from "./wit-error.ts";

const decoder = new TextDecoder();

export const pluginInterface: ImportedInterface = {
  name: "outrigger:runtime/plugin",
  versions: outriggerVersions,
  waiting: [],
  make(host) {
    const text = decoder.decode(host.program.configuration);
    return {
      configuration() {
        payForBytes(host, text.length);
        return text;
      },
    };
  },
};

export const logInterface: ImportedInterface = {
  name: "outrigger:runtime/log",
  versions: outriggerVersions,
  waiting: [],
  make: (host) => ({
    write(level: Parameters<GuestHost["log"]>[0], message: string) {
      payForBytes(host, message.length);
      host.log(level, message);
    },
  }),
};

export const configInterface: ImportedInterface = {
  name: "outrigger:runtime/config",
  versions: outriggerVersions,
  waiting: ["get", "select"],
  make(host) {
    const { config } = host.services.api;
    return {
      async get(store: string, key: string) {
        payForBytes(host, key.length);
        const [found] = await config.get(store, { keys: [key], group: "", label: "" }, host.signal).catch(throwWit);
        payForResult(host, found?.content.length ?? 0);
        return found?.content;
      },

      async select(store: string, selector: ConfigSelector) {
        payForBytes(host, selector.keys.join("").length);
        const items = (await config.get(store, selector, host.signal).catch(throwWit)).map(itemOf);
        for (const { key, content, tags, metadata } of items)
          payForResult(host, key.length + content.length + sizeOfPairs(tags) + sizeOfPairs(metadata));
        return items;
      },
    };
  },
};

const itemOf = ({ key, content, group, label, tags, metadata }: ConfigValue) => ({
  key,
  content,
  group,
  label,
  tags: pairsOf(tags),
  metadata: pairsOf(metadata),
});
