import { existsSync } from "node:fs";
import { copyFile, rm } from "node:fs/promises";
import { homedir } from "node:os";
import { basename, join } from "node:path";
import { builtPlugins, modulesIn, pluginSources, type RunOptions, run, ToolchainMissing } from "./built-plugins.ts";
import { findProgram, installPackages } from "./programs.ts";

/** With nothing around the plugin, and with WASI. */
const targetKinds = ["unknown", "wasi"] as const;
/** What a plugin is built for: `wasm32-unknown-unknown`, or WASI preview 1. */
export type RustTarget = (typeof targetKinds)[number];

const workspace = join(pluginSources, "rust");
const debian = { rustc: "/usr/bin/rustc", cargo: "/usr/bin/cargo" };
const debianPackages = ["rustc", "cargo", "libstd-rust-dev-wasm32"];
const rustupPlace = join(homedir(), ".cargo/bin");

export interface RustToolchain {
  readonly rustc: string;
  readonly cargo: string;
  readonly targets: Readonly<Record<RustTarget, string>>;
}

/**
 * The modules of test/plugins/rust by the names of their folders, for each target. Rejects with ProgramMissing where there is
 * no Rust that builds for both, and with the compiler's words when it refuses.
 */
export async function rustPlugins(): Promise<Readonly<Record<RustTarget, ReadonlyMap<string, string>>>> {
  const toolchain = await findToolchain();
  const { rustc, targets } = toolchain;
  const directory = await builtPlugins({
    name: "rust",
    sources: "rust/{Cargo.toml,Cargo.lock,*/Cargo.toml,*/src/*.rs}",
    toolchain: `${await run(rustc, ["--version"])}${targets.wasi}`,
    build: (fresh) => build(toolchain, fresh),
  });
  const modules = [...(await modulesIn(directory))];
  const of = (kind: RustTarget): ReadonlyMap<string, string> =>
    new Map(
      modules
        .filter(([name]) => name.endsWith(`.${kind}`))
        .map(([name, path]) => [name.slice(0, -kind.length - 1), path]),
    );
  return { unknown: of("unknown"), wasi: of("wasi") };
}

/** Who has Rust has it build for WebAssembly, too; who has not gets Debian's. */
export async function findToolchain(): Promise<RustToolchain> {
  const rustc = findProgram("rustc", [rustupPlace]);
  const cargo = findProgram("cargo", [rustupPlace]);
  const own = rustc === undefined || cargo === undefined ? undefined : await extended(rustc, cargo);
  const found = own ?? (await ready(debian.rustc, debian.cargo));
  if (found !== undefined) return found;
  await installPackages(debianPackages);
  const installed = await ready(debian.rustc, debian.cargo);
  if (installed !== undefined) return installed;
  throw new ToolchainMissing("Rust", `Debian's packages ${debianPackages.join(", ")} could not be installed`);
}

/** The toolchain, with what rustup adds to it if it has to. */
async function extended(rustc: string, cargo: string): Promise<RustToolchain | undefined> {
  const known = await ready(rustc, cargo);
  const rustup = findProgram("rustup", [rustupPlace]);
  if (known !== undefined || rustup === undefined) return known;
  await run(rustup, ["target", "add", ...Object.values(await targetsOf(rustc))]).catch(() => "");
  return ready(rustc, cargo);
}

/** The toolchain if it is there and builds for both targets. */
async function ready(rustc: string, cargo: string): Promise<RustToolchain | undefined> {
  if (!existsSync(rustc) || !existsSync(cargo)) return undefined;
  const targets = await targetsOf(rustc);
  for (const target of Object.values(targets)) {
    const libraries = await run(rustc, ["--print", "target-libdir", "--target", target]);
    if (!existsSync(libraries.trim())) return undefined;
  }
  return { rustc, cargo, targets };
}

/** WASI preview 1 had another name before Rust 1.78. */
async function targetsOf(rustc: string): Promise<RustToolchain["targets"]> {
  const known = (await run(rustc, ["--print", "target-list"])).split("\n");
  return { unknown: "wasm32-unknown-unknown", wasi: known.includes("wasm32-wasip1") ? "wasm32-wasip1" : "wasm32-wasi" };
}

async function build({ rustc, cargo, targets }: RustToolchain, directory: string): Promise<void> {
  const built = join(directory, "target");
  const env = {
    RUSTC: rustc,
    CARGO_TARGET_DIR: built,
    // Cargo before 1.68 would clone the index of all crates.
    RUSTC_BOOTSTRAP: "1",
    CARGO_UNSTABLE_SPARSE_REGISTRY: "true",
  };
  const options = { cwd: workspace, env };
  await fetchCrates(cargo, options);
  const chosen = Object.values(targets).flatMap((target) => ["--target", target]);
  await run(cargo, ["build", "--quiet", "--release", "--locked", "--offline", ...chosen], options);
  for (const kind of targetKinds)
    for (const path of (await modulesIn(join(built, targets[kind], "release"))).values())
      await copyFile(path, join(directory, `${basename(path, ".wasm")}.${kind}.wasm`));
  await rm(built, { recursive: true, force: true });
}

/** Gets what the plugins of a workspace are made of; rejects with ToolchainMissing when it cannot be had. */
export async function fetchCrates(cargo: string, options: RunOptions): Promise<void> {
  await run(cargo, ["fetch", "--locked"], options).catch((error: Error) => {
    throw new ToolchainMissing("Rust", error.message);
  });
}
