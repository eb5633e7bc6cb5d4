/**
 * Generates what is checked in from its one source: TypeScript and AssemblyScript from the .proto files, the types of interfaces
 * from the .wit files, the reference pages from the schemas and the suites. `node scripts/gen.ts FOLDER` writes below another root,
 * which is how `npm run check` sees whether all is current.
 */
import { execFileSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { cliReference } from "./cli-page.ts";
import { componentsReference } from "./components-page.ts";
import { generateAssemblyScript } from "./gen-assemblyscript.ts";
import { generateDescriptors } from "./gen-descriptors.ts";
import { proxyWasmReference } from "./proxy-wasm-page.ts";
import { configurationReference, configurationSchemaJson, manifestReference } from "./reference-pages.ts";

/** What `generate` writes, relative to its root. */
export const generated = [
  "proto/gen",
  "wasm-plugins/sdk/assembly/gen",
  "docs/reference/cli.md",
  "docs/reference/components.md",
  "docs/reference/configuration.md",
  "docs/reference/plugin-manifest.md",
  "docs/reference/proxy-wasm.md",
  "docs/reference/outrigger.schema.json",
];

function generate(root: string): void {
  execFileSync("buf", ["generate", "--output", join(root, "proto")], {
    cwd: "proto",
    stdio: ["ignore", "inherit", "inherit"],
  });
  generateDescriptors(join(root, "proto/gen/descriptors.ts"));
  execFileSync(process.execPath, ["scripts/gen-wit-signatures.ts", join(root, "proto/gen/wit-signatures.ts")]);
  generateAssemblyScript(join(root, "wasm-plugins/sdk/assembly/gen"));
  const write = (file: string, text: string): void => writeFileSync(join(root, file), text);
  mkdirSync(join(root, "docs/reference"), { recursive: true });
  write("docs/reference/cli.md", cliReference());
  write("docs/reference/components.md", componentsReference());
  write("docs/reference/configuration.md", configurationReference());
  write("docs/reference/plugin-manifest.md", manifestReference());
  write("docs/reference/proxy-wasm.md", proxyWasmReference());
  write("docs/reference/outrigger.schema.json", configurationSchemaJson());
}

if (import.meta.main) generate(resolve(process.argv[2] ?? "."));
