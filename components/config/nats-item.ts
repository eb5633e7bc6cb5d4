import type { NatsMessage } from "../clients/nats.ts";
import { operationHeader } from "../clients/nats-entry.ts";
import { nameOfToken } from "../clients/nats-name.ts";
import type { ConfigChange, ConfigItem } from "./config-store.ts";

/** What an item is beside its content, as JSON in ASCII; absent on what other clients of NATS have written. */
export const itemHeader = "Outrigger-Item";

type Identity = Pick<ConfigItem, "key" | "group" | "label">;

/** The headers of the entry of an item. */
export function headersOfItem(appId: string, item: Omit<ConfigItem, "content">): Readonly<Record<string, string>> {
  const { key, group, label, tags, metadata } = item;
  const json = JSON.stringify({
    appId,
    key,
    group,
    label,
    tags: Object.entries(tags),
    metadata: Object.entries(metadata),
  });
  const ascii = json.replace(/[^ -~]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`);
  return { [itemHeader]: ascii };
}

/** The item of an entry whose name is known. */
export function itemOf({ key, group, label }: Identity, content: Uint8Array, header: string): ConfigItem {
  const { tags, metadata } = notedIn(header);
  return {
    key,
    content: new TextDecoder("utf-8", { ignoreBOM: true }).decode(content),
    group,
    label,
    tags: Object.fromEntries(pairsOf(tags)),
    metadata: Object.fromEntries(pairsOf(metadata)),
  };
}

/** What a message of the bucket says of which application's item; undefined when that cannot be known. */
export function itemOfMessage(message: NatsMessage): { appId: string; change: ConfigChange } | undefined {
  const header = message.headers?.get(itemHeader) ?? "";
  const noted = notedIn(header);
  // $KV.bucket.application.group.label.key
  const tokens = message.subject.split(".").slice(2);
  if (tokens.length !== 4) return undefined;
  const [appId, group, label, key] = [noted.appId, noted.group, noted.label, noted.key].map((text, index) =>
    typeof text === "string" ? text : nameOfToken(tokens[index] ?? ""),
  );
  if (appId === undefined || group === undefined || label === undefined || key === undefined) return undefined;
  const deleted = message.headers?.has(operationHeader) === true;
  return { appId, change: { ...itemOf({ key, group, label }, message.data, header), deleted } };
}

function notedIn(header: string): Readonly<Partial<Record<"appId" | "tags" | "metadata" | keyof Identity, unknown>>> {
  if (header === "") return {};
  try {
    return Object(JSON.parse(header));
  } catch {
    return {};
  }
}

const pairsOf = (value: unknown): [string, string][] =>
  Array.isArray(value)
    ? value.filter(
        (pair): pair is [string, string] => Array.isArray(pair) && pair.every((one) => typeof one === "string"),
      )
    : [];
