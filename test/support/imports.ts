import { readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";

/** One import of a file of the tree: what it names, and whether only types come of it. */
export interface ImportOf {
  readonly from: string;
  /** A path from the root for a file of the tree, or the name of a package. */
  readonly target: string;
  readonly typesOnly: boolean;
}

const pattern =
  /(?:^|\n)\s*(?:import|export)\s+(type\s+)?(?:([^"';]*?)\s*from\s*)?["']([^"']+)["']|\bimport\(\s*["']([^"']+)["']\s*\)/g;

/** Every static, dynamic and type import of a source text. */
export function importsOf(file: string, text: string): ImportOf[] {
  return [...text.matchAll(pattern)].map(([, type, names = "", specifier, dynamic]) => {
    const target = specifier ?? dynamic ?? "";
    const named = /^\{([\s\S]*)\}$/.exec(names.trim())?.[1];
    const everyNameIsType = named?.split(",").every((name) => name.trim() === "" || /^\s*type\s/.test(name)) ?? false;
    return {
      from: file,
      target: target.startsWith(".") ? normalize(join(dirname(file), target)) : target,
      typesOnly: type !== undefined || everyNameIsType,
    };
  });
}

export const readImports = (root: string, file: string): ImportOf[] =>
  importsOf(file, readFileSync(join(root, file), "utf8"));
