import { globSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/**
 * Makes the declarations that jco writes fit QuickJS, which has numbers where others have `bigint`, gives `null` for an `option`
 * that is none, and takes `null` and `undefined` for one.
 */
export function rewriteTypes(folder: string): void {
  for (const file of globSync("**/*.d.ts", { cwd: folder })) {
    const path = join(folder, file);
    writeFileSync(path, forQuickJs(readFileSync(path, "utf8")));
  }
}

export function forQuickJs(declarations: string): string {
  return declarations
    .split("\n")
    .map((line) => {
      if (/^\s*(\*|\/\*|\/\/)/.test(line)) return line;
      const exact = line.replace(/\bbigint\b/g, "number").replace(/^(\s*\w+\?: .*?)(,?)$/, "$1 | null$2");
      const end = exact.lastIndexOf("): ");
      if (end < 0) return exact.replaceAll("| undefined", "| null | undefined");
      const taken = exact.slice(0, end).replaceAll("| undefined", "| null | undefined");
      return taken + exact.slice(end).replaceAll("| undefined", "| null");
    })
    .join("\n");
}
