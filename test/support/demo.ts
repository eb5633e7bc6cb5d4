import { readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parse, stringify } from "yaml";
import { buildPlugin } from "../../scripts/build-plugins.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));

/** The configuration of `npm start`, with its plugins in `<directory>/plugins`. */
export async function demoConfiguration(): Promise<Record<string, unknown>> {
  const demo = parse(await readFile(join(root, "outrigger.yaml"), "utf8"));
  return { ...demo, plugins: { ...demo.plugins, directory: "./plugins" } };
}

/** Deploys a plugin of wasm-plugins/ as its users do: the manifest, then the module by a rename; as another version when one is given. */
export async function deploy(directory: string, plugin: string, version?: string): Promise<void> {
  const target = join(directory, "plugins", plugin);
  await buildPlugin(plugin, version === undefined ? { out: `${target}.new` } : { out: `${target}.new`, version });
  const manifest = parse(await readFile(join(root, "wasm-plugins", plugin, `${plugin}.yaml`), "utf8"));
  await writeFile(`${target}.yaml`, stringify(version === undefined ? manifest : { ...manifest, version }));
  await rename(`${target}.new`, `${target}.wasm`);
}
