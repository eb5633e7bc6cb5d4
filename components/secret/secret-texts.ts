import { parseDocument } from "yaml";
import type { Secret } from "./secret-store.ts";

/** How the mappings of a file become secrets. */
export interface SecretsLayout {
  /** Stands between the keys of nested mappings, where their values have one name. */
  readonly separator: string;
  /** Whether a mapping at the top is one secret of several values, in place of several secrets. */
  readonly isMultiValued: boolean;
}

/**
 * The secrets of a file in YAML or JSON, each value the text that stands there. What it throws says where the file is wrong
 * and nothing of what it holds.
 */
export function parseSecrets(source: string, layout: SecretsLayout): ReadonlyMap<string, Secret> {
  const top = parseTop(source);
  const secrets = new Map<string, Secret>();
  if (layout.isMultiValued) {
    for (const [name, value] of pairsOf(top)) {
      const values = isNested(value) ? flatten(value, "", layout.separator) : new Map([[name, textOf(value)]]);
      secrets.set(name, Object.fromEntries(values));
    }
  } else {
    for (const [name, value] of flatten(top, "", layout.separator)) {
      secrets.set(name, Object.fromEntries([[name, value]]));
    }
  }
  return secrets;
}

type Nested = ReadonlyMap<unknown, unknown> | readonly unknown[];

function parseTop(source: string): Nested {
  // Every scalar is the text that stands in the file: a password 1.10 does not become the number 1.1.
  const document = parseDocument(source, { schema: "failsafe", prettyErrors: false, logLevel: "silent" });
  const [error] = document.errors;
  if (error !== undefined) {
    const line = source.slice(0, error.pos[0]).split("\n").length;
    throw new Error(`line ${line} is not valid YAML (${error.code})`);
  }
  let content: unknown;
  try {
    content = document.toJS({ mapAsMap: true });
  } catch {
    throw new Error("it has aliases that lead nowhere, or to too much");
  }
  if (content === null || content === "") return new Map();
  if (content instanceof Map) return content;
  throw new Error("expected a mapping of names to secrets");
}

/** Most mappings within each other: an alias can make one a part of itself. */
const deepest = 32;

function flatten(nested: Nested, path: string, separator: string, depth = 0): Map<string, string> {
  if (depth > deepest) throw new Error(`mappings are nested deeper than ${deepest} levels`);
  const found = new Map<string, string>();
  for (const [key, value] of pairsOf(nested)) {
    const name = path === "" ? key : `${path}${separator}${key}`;
    const values = isNested(value) ? flatten(value, name, separator, depth + 1) : [[name, textOf(value)] as const];
    for (const [inner, text] of values) {
      if (found.has(inner)) throw new Error(`'${inner}' is there twice`);
      found.set(inner, text);
    }
  }
  return found;
}

function* pairsOf(nested: Nested): Generator<[key: string, value: unknown]> {
  for (const [key, value] of nested.entries()) {
    if (typeof key === "object") throw new Error("a key is a mapping or a list; expected a text");
    const name = String(key);
    if (name === "") throw new Error("a key is empty; give it a name");
    yield [name, value];
  }
}

const isNested = (value: unknown): value is Nested => value instanceof Map || Array.isArray(value);
const textOf = (value: unknown): string => (typeof value === "string" ? value : "");
