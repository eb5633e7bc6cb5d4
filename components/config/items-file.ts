import { parse, stringify } from "yaml";
import { z } from "zod";
import type { ConfigItem } from "./config-store.ts";

const text = z.union([z.string(), z.number(), z.boolean()]).transform(String);
const texts = z.record(z.string(), text).default({});

const item = z.strictObject({
  key: z.string().min(1),
  content: text,
  group: z.string().default(""),
  label: z.string().default(""),
  tags: texts,
  metadata: texts,
});

/** Reads a YAML list of items; throws a sentence that says what is wrong. */
export function parseItems(source: string): ConfigItem[] {
  const value: unknown = parse(source) ?? [];
  const result = z.array(item).safeParse(value);
  if (result.success) return result.data;
  throw new Error(z.prettifyError(result.error).replaceAll("\n", " "));
}

/** Writes items as YAML, without what is empty. */
export function formatItems(items: readonly ConfigItem[]): string {
  const short = items.map(({ key, content, group, label, tags, metadata }) => ({
    key,
    content,
    ...(group === "" ? {} : { group }),
    ...(label === "" ? {} : { label }),
    ...(Object.keys(tags).length === 0 ? {} : { tags }),
    ...(Object.keys(metadata).length === 0 ? {} : { metadata }),
  }));
  return stringify(short);
}
