import { readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parse, stringify } from "yaml";
import { buildPlugin, buildPlugins } from "../../scripts/build-plugins.ts";
import { temporaryDirectory } from "./sidecar.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));

/** The configuration of `npm start`, with its plugins in `<directory>/plugins`. */
export async function demoConfiguration(): Promise<Record<string, unknown>> {
  const demo = parse(await readFile(join(root, "outrigger.yaml"), "utf8"));
  return { ...demo, plugins: { ...demo.plugins, directory: "./plugins" } };
}

/** A plugin of wasm-plugins/ that is built and ready to be dropped into a plugins directory. */
export interface BuiltPlugin {
  readonly module: Uint8Array;
  readonly manifest: string;
}

/** The plugin as `npm run build:plugins` builds it, or compiled anew as another version. */
export async function build(plugin: string, version?: string): Promise<BuiltPlugin> {
  if (version === undefined) {
    await buildPlugins();
    const built = join(root, "wasm-plugins/build", plugin);
    return { module: await readFile(`${built}.wasm`), manifest: await readFile(`${built}.yaml`, "utf8") };
  }
  await using directory = await temporaryDirectory();
  const out = join(directory.path, `${plugin}.wasm`);
  await buildPlugin(plugin, { out, version });
  const manifest = parse(await readFile(join(root, "wasm-plugins", plugin, `${plugin}.yaml`), "utf8"));
  return { module: await readFile(out), manifest: stringify({ ...manifest, version }) };
}

/** Drops a plugin into `<directory>/plugins` as its users do: the manifest, then the module by a rename. */
export async function deploy(directory: string, plugin: string, built?: BuiltPlugin): Promise<void> {
  const { module, manifest } = built ?? (await build(plugin));
  const target = join(directory, "plugins", plugin);
  await writeFile(`${target}.yaml`, manifest);
  await writeFile(`${target}.new`, module);
  await rename(`${target}.new`, `${target}.wasm`);
}
