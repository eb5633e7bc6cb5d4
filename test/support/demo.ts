import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parse } from "yaml";
import { buildPlugin } from "../../scripts/build-plugins.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));

/** The configuration of `npm start`, with its plugins in `<directory>/plugins`. */
export async function demoConfiguration(): Promise<Record<string, unknown>> {
  const demo = parse(await readFile(join(root, "outrigger.yaml"), "utf8"));
  return { ...demo, plugins: { ...demo.plugins, directory: "./plugins" } };
}

/** Deploys a plugin of wasm-plugins/ by building it into the watched directory, as another version when one is given. */
export async function deploy(directory: string, plugin: string, version?: string): Promise<void> {
  const out = join(directory, "plugins");
  await buildPlugin(join(root, "wasm-plugins", plugin), version === undefined ? { out } : { out, version });
}
