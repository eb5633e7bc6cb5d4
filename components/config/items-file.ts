import { type Document, isMap, isSeq, parseDocument, type YAMLMap, YAMLSeq } from "yaml";
import { z } from "zod";
import type { ConfigItem } from "./config-store.ts";

/** `list`: the file is the list of one application's items. `by-application`: it has such a list under each id. */
export type ItemsLayout = "list" | "by-application";

/** What stands where nothing was written, after a colon or in the whole file, is as good as none. */
const orNone = <Schema extends z.ZodType>(none: z.input<Schema>, schema: Schema) =>
  z.preprocess((value) => (value === "" || value === null ? none : value), schema);

const texts = orNone({}, z.record(z.string(), z.string())).default({});
const entry = z.strictObject({
  key: z.string().min(1),
  content: z.string().default(""),
  group: z.string().default(""),
  label: z.string().default(""),
  tags: texts,
  metadata: texts,
});
const entries = orNone([], z.array(entry));
const layouts = {
  list: entries.transform((list) => new Map([["", list]])),
  "by-application": orNone({}, z.record(z.string(), entries)).transform((apps) => new Map(Object.entries(apps))),
};

/** Every scalar is the text that stands in the file: a version 1.10 does not become the number 1.1. */
const yaml = { schema: "failsafe", lineWidth: 0 } as const;

/** Items as people write them in YAML. Throws a sentence that says what is wrong; a list's application is "". */
export function parseItems(source: string, layout: ItemsLayout): Map<string, ConfigItem[]> {
  const apps = layouts[layout].safeParse(parseYaml(source).toJS() ?? null);
  if (!apps.success) throw new Error(apps.error.issues.map(sentenceOf).join("; "));
  for (const list of apps.data.values()) refuseTwice(list);
  return apps.data;
}

/** The file with an application's items replaced by these; comments and the order of what stays are kept. */
export function replaceItems(
  source: string,
  layout: ItemsLayout,
  { appId, items }: { readonly appId: string; readonly items: readonly ConfigItem[] },
): string {
  const document = parseYaml(source);
  const list = listOf(document, layout === "list" ? [] : [appId]);
  const wanted = new Map(items.map((item) => [identity(item), item]));
  list.items = list.items.filter((node) => isMap(node) && wanted.has(identityOf(node)));
  for (const node of list.items) {
    if (!isMap(node)) continue;
    const item = wanted.get(identityOf(node));
    wanted.delete(identityOf(node));
    if (item !== undefined) update(document, node, item);
  }
  for (const item of wanted.values()) list.add(document.createNode(shortOf(item)));
  if (layout === "by-application" && items.length === 0) document.delete(appId);
  return document.toString(yaml);
}

const sentenceOf = ({ path, message }: z.core.$ZodIssue): string =>
  path.length === 0 ? message : `${path.join(".")}: ${message}`;

function parseYaml(source: string): Document {
  const document = parseDocument(source, yaml);
  const [error] = document.errors;
  if (error !== undefined) throw new Error(error.message.split("\n")[0] ?? error.message);
  return document;
}

function refuseTwice(items: readonly ConfigItem[]): void {
  const seen = new Set<string>();
  for (const item of items) {
    const id = identity(item);
    if (seen.has(id)) throw new Error(`key '${item.key}' is there twice with the same group and label`);
    seen.add(id);
  }
}

function listOf(document: Document, path: readonly string[]): YAMLSeq {
  const found = document.getIn(path);
  if (isSeq(found)) return found;
  const made = new YAMLSeq();
  if (path.length === 0) document.contents = made;
  else document.setIn(path, made);
  return made;
}

function update(document: Document, node: YAMLMap, item: ConfigItem): void {
  const wanted: Record<string, unknown> = shortOf(item);
  for (const field of Object.keys(entry.shape)) {
    const value = wanted[field];
    if (value === undefined) node.delete(field);
    else if (JSON.stringify(value) !== JSON.stringify(textOf(node, field))) {
      node.set(field, typeof value === "string" ? value : document.createNode(value));
    }
  }
}

/** An item without what is empty. */
function shortOf({ key, content, group, label, tags, metadata }: ConfigItem): Record<string, unknown> {
  return {
    key,
    content,
    ...(group === "" ? {} : { group }),
    ...(label === "" ? {} : { label }),
    ...(Object.keys(tags).length === 0 ? {} : { tags }),
    ...(Object.keys(metadata).length === 0 ? {} : { metadata }),
  };
}

const identity = ({ group, label, key }: ConfigItem): string => JSON.stringify([group, label, key]);

const identityOf = (node: YAMLMap): string =>
  JSON.stringify([textOf(node, "group") ?? "", textOf(node, "label") ?? "", textOf(node, "key")]);

function textOf(node: YAMLMap, field: string): unknown {
  const value: unknown = node.get(field);
  return isMap(value) ? value.toJSON() : value;
}
