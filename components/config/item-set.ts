import { RuntimeError } from "../error.ts";
import type { ConfigChange, ConfigItem, ConfigSelection } from "./config-store.ts";

/** Bytes that an item takes beside its texts. */
const itemBytes = 256;

/** The items of one application, told apart by group, label and key. Never changed: a change makes another set. */
export class ItemSet {
  readonly #items: ReadonlyMap<string, ConfigItem>;
  /** An estimate of the memory that the items take. */
  readonly bytes: number;

  static readonly empty = new ItemSet(new Map(), 0);

  private constructor(items: ReadonlyMap<string, ConfigItem>, bytes: number) {
    this.#items = items;
    this.bytes = bytes;
  }

  /** Copies of the items that are selected. */
  select({ group, label, keys }: ConfigSelection): ConfigItem[] {
    const candidates =
      keys.length === 0
        ? [...this.#items.values()]
        : [...new Set(keys)].flatMap((key) => this.#items.get(identity({ group, label, key })) ?? []);
    return candidates.filter((item) => item.group === group && item.label === label).map(copyOf);
  }

  /** With copies of the items, each in place of the one with its group, label and key. */
  with(items: readonly ConfigItem[]): ItemSet {
    const next = new Map(this.#items);
    let bytes = this.bytes;
    for (const item of items) {
      const id = identity(item);
      bytes += sizeOf(item) - sizeOf(next.get(id));
      next.set(id, copyOf(item));
    }
    return new ItemSet(next, bytes);
  }

  without(items: readonly ConfigItem[]): ItemSet {
    const next = new Map(this.#items);
    let bytes = this.bytes;
    for (const item of items) {
      bytes -= sizeOf(next.get(identity(item)));
      next.delete(identity(item));
    }
    return new ItemSet(next, bytes);
  }

  /** What happened from `before` to this. */
  changesSince(before: ItemSet): ConfigChange[] {
    const changes: ConfigChange[] = [];
    for (const [id, item] of this.#items) {
      const earlier = before.#items.get(id);
      if (earlier === undefined || !isSame(earlier, item)) changes.push({ ...copyOf(item), deleted: false });
    }
    for (const [id, item] of before.#items) if (!this.#items.has(id)) changes.push(deletionOf(item));
    return changes;
  }

  [Symbol.iterator](): Iterator<ConfigItem> {
    return this.#items.values();
  }
}

/** The change that the end of an item is. */
export const deletionOf = (item: ConfigItem): ConfigChange => ({ ...copyOf(item), content: "", deleted: true });

/** Throws when all items together take more than the store may hold. */
export function checkRoom(store: string, sets: Iterable<ItemSet>, maxBytes: number): void {
  const bytes = Iterator.from(sets).reduce((sum, set) => sum + set.bytes, 0);
  if (bytes <= maxBytes) return;
  const message = `configuration store '${store}' may hold ${maxBytes} bytes and would take ${bytes}; raise maxBytes`;
  throw new RuntimeError("RESOURCE_EXHAUSTED", "CONFIG_STORE_FULL", message);
}

function sizeOf(item: ConfigItem | undefined): number {
  if (item === undefined) return 0;
  const texts = [item.key, item.content, item.group, item.label, ...Object.entries(item.tags).flat()];
  return [...texts, ...Object.entries(item.metadata).flat()].reduce((sum, text) => sum + 2 * text.length, itemBytes);
}

const identity = ({ group, label, key }: Pick<ConfigItem, "group" | "label" | "key">): string =>
  JSON.stringify([group, label, key]);

const copyOf = ({ key, content, group, label, tags, metadata }: ConfigItem): ConfigItem => ({
  key,
  content,
  group,
  label,
  tags: { ...tags },
  metadata: { ...metadata },
});

const isSame = (a: ConfigItem, b: ConfigItem): boolean =>
  a.content === b.content && isSameRecord(a.tags, b.tags) && isSameRecord(a.metadata, b.metadata);

function isSameRecord(a: Readonly<Record<string, string>>, b: Readonly<Record<string, string>>): boolean {
  const names = Object.keys(a);
  return names.length === Object.keys(b).length && names.every((name) => Object.hasOwn(b, name) && a[name] === b[name]);
}
