import { glob, mkdir } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { buildPlugin } from "../../scripts/build-plugins.ts";
import { withLock } from "./file-lock.ts";

const folder = "sdk/examples";
const sources = join(import.meta.dirname, "../../wasm-plugins", folder);
const cache = join(import.meta.dirname, "../../node_modules/.cache/outrigger");

/** An example of the AssemblyScript library: a module, and a manifest for each plugin that it is. */
export interface PluginExample {
  readonly name: string;
  readonly module: string;
  readonly manifests: readonly string[];
}

/** All of wasm-plugins/sdk/examples, compiled, if they were not since they changed. Rejects with the compiler's words. */
export async function pluginExamples(): Promise<readonly PluginExample[]> {
  const names: string[] = [];
  for await (const file of glob("*/asconfig.json", { cwd: sources })) names.push(dirname(file));
  await mkdir(cache, { recursive: true });
  const examples: PluginExample[] = [];
  await withLock(join(cache, "plugin-examples.lock"), async () => {
    for (const name of names.sort()) examples.push(await build(name));
  });
  return examples;
}

async function build(name: string): Promise<PluginExample> {
  const module = join(cache, "plugin-examples", `${name}.wasm`);
  await buildPlugin(join(folder, name), { out: module, optimize: "quick" });
  const manifests: string[] = [];
  for await (const file of glob("*.yaml", { cwd: join(sources, name) })) manifests.push(join(sources, name, file));
  return { name, module, manifests: manifests.sort((one, other) => basename(one).length - basename(other).length) };
}
