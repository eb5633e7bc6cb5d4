import { readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { componentNew, preview1AdapterReactorPath } from "@bytecodealliance/jco";
import { builtPlugins, modulesIn, pluginSources, run, ToolchainMissing } from "./built-plugins.ts";
import { fetchCrates, findToolchain, type RustToolchain } from "./rust-plugins.ts";

const workspace = join(pluginSources, "rust-components");
const target = "wasm32-wasip1";

/**
 * The components of test/plugins/rust-components by the names of their folders. Their worlds are in a folder `wit` of their own,
 * or in proto/wit. Rejects with ProgramMissing where there is no Rust that can build them.
 */
export async function rustComponents(): Promise<ReadonlyMap<string, string>> {
  const toolchain = await findToolchain();
  if (toolchain.targets.wasi !== target) throw new ToolchainMissing("Rust", "components need Rust 1.78 or newer");
  const directory = await builtPlugins({
    name: "rust-component",
    sources:
      "{rust-components/Cargo.toml,rust-components/Cargo.lock,rust-components/*/Cargo.toml,rust-components/*/{src,wit}/**/*.{rs,wit},../../proto/wit/**/*.wit}",
    toolchain: await run(toolchain.rustc, ["--version"]),
    build: (fresh) => build(toolchain, fresh),
  });
  return modulesIn(directory);
}

async function build({ rustc, cargo }: RustToolchain, directory: string): Promise<void> {
  const built = join(directory, "target");
  const options = { cwd: workspace, env: { RUSTC: rustc, CARGO_TARGET_DIR: built } };
  await fetchCrates(cargo, options);
  await run(cargo, ["build", "--quiet", "--release", "--locked", "--offline", "--target", target], options);
  const adapter = new Uint8Array(await readFile(preview1AdapterReactorPath()));
  for (const [name, path] of await modulesIn(join(built, target, "release"))) {
    const component = await componentNew(new Uint8Array(await readFile(path)), [["wasi_snapshot_preview1", adapter]]);
    await writeFile(join(directory, `${name}.wasm`), component);
  }
  await rm(built, { recursive: true, force: true });
}
