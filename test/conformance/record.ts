/**
 * `node test/conformance/record.ts FILE`: writes the lines of the matrix with their checks to the file, one JSON a line. Nothing
 * runs and no server starts.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { glob } from "node:fs/promises";
import { join } from "node:path";
import { recordVariable } from "./matrix.ts";

const [file = "matrix.jsonl"] = process.argv.slice(2);
process.env[recordVariable] = file;
writeFileSync(file, "");
const names = await Array.fromAsync(glob("*.test.ts", { cwd: import.meta.dirname }));
for (const name of names.sort()) {
  const path = join(import.meta.dirname, name);
  if (/^await with(out)?Server\(/m.test(readFileSync(path, "utf8"))) await import(path);
}
