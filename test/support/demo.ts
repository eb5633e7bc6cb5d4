import { copyFile, readFile, rename, writeFile } from "node:fs/promises";
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

/** Puts a plugin of wasm-plugins/ into the directory as a deploy does: the manifest first, then the module by a rename. */
export async function deploy(directory: string, plugin: string, version?: string): Promise<void> {
  const module = join(directory, `${plugin}.new`);
  await buildPlugin(plugin, { out: module, ...(version === undefined ? {} : { version }) });
  const manifest = join(directory, "plugins", `${plugin}.yaml`);
  if (version === undefined) await copyFile(join(root, "wasm-plugins", plugin, `${plugin}.yaml`), manifest);
  else {
    const source = parse(await readFile(join(root, "wasm-plugins", plugin, `${plugin}.yaml`), "utf8"));
    await writeFile(`${manifest}.new`, stringify({ ...source, version }));
    await rename(`${manifest}.new`, manifest);
  }
  await rename(module, join(directory, "plugins", `${plugin}.wasm`));
}
