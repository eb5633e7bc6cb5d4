import { z } from "zod";
import type { ConfigItem, ConfigSelection } from "./config-store.ts";

/** The items that are told apart by their keys alone. */
type Scope = Pick<ConfigSelection, "appId" | "group" | "label">;

const texts = z.record(z.string(), z.string());
const written = z.object({ content: z.string(), tags: texts.default({}), metadata: texts.default({}) });

/** What the keys of all items of a scope begin with: APPLICATION/GROUP/LABEL/, in which a slash is %2F. */
export const scopePrefix = (prefix: string, { appId, group, label }: Scope): string =>
  `${prefix}${segment(appId)}/${segment(group)}/${segment(label)}/`;

const segment = (name: string): string => name.replaceAll("%", "%25").replaceAll("/", "%2F");

/** The bytes to keep for an item. */
export function encodeItem({ content, tags, metadata }: ConfigItem): Buffer {
  return Buffer.from(JSON.stringify({ content, tags, metadata }));
}

/** The item. What is not written as by us, such as with etcdctl, is all content. */
export function decodeItem({ group, label }: Scope, key: string, value: Uint8Array): ConfigItem {
  const text = Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString();
  const { data } = written.safeParse(jsonIn(text));
  return { key, group, label, ...(data ?? { content: text, tags: {}, metadata: {} }) };
}

function jsonIn(text: string): unknown {
  if (!text.startsWith("{")) return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
