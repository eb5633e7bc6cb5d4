/** `npm run build`: compiles to dist/ what is published from there, with its own copy of proto/gen beside it. */
import { execFileSync } from "node:child_process";
import { cpSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { argv } from "node:process";

const here = import.meta.dirname;

/** Builds the package into the directory, which is emptied first. */
export function buildSdk(directory: string): void {
  rmSync(directory, { recursive: true, force: true });
  execFileSync("tsc", ["--project", join(here, "tsconfig.build.json"), "--outDir", directory], { stdio: "inherit" });
  // In the checkout the sources are the package, and are not to be published; these are.
  const { private: _, scripts: __, ...manifest } = JSON.parse(readFileSync(join(here, "package.json"), "utf8"));
  const exports = { ".": { types: "./sdk/index.d.ts", default: "./sdk/index.js" } };
  writeFileSync(join(directory, "package.json"), `${JSON.stringify({ ...manifest, exports }, undefined, 2)}\n`);
  cpSync(join(dirname(here), "LICENSE"), join(directory, "LICENSE"));
  cpSync(join(here, "README.md"), join(directory, "README.md"));
}

if (import.meta.main) buildSdk(argv[2] ?? join(here, "dist"));
