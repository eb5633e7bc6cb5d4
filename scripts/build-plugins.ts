// Builds the plugins below wasm-plugins/ into wasm-plugins/build/, which a sidecar may be watching; with --all those too that
// take long. Says nothing and loads no compiler when everything is current.
import { createHash } from "node:crypto";
import { existsSync, globSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { messageOf } from "../components/thrown.ts";
import { needsBrowserApis } from "../wasm-plugins/kit/engine.ts";

const checkout = fileURLToPath(new URL("..", import.meta.url));
const pluginsDirectory = join(checkout, "wasm-plugins");
const sdk = join(pluginsDirectory, "sdk");
const kit = join(pluginsDirectory, "kit");
const wit = join(checkout, "proto/wit");

export interface BuildOptions {
  /** The file that the module becomes. */
  readonly out: string;
  /** What the plugin says its version is, where it has an `assembly/version.ts` or is a component; by default the manifest's. */
  readonly version?: string;
  /** `quick` leaves the module large and slow, and takes a fifth of the time to make it: for tests. Default `small`. */
  readonly optimize?: Optimization;
}

type Optimization = "small" | "quick";
const flags: Readonly<Record<Optimization, readonly string[]>> = {
  small: [],
  quick: ["--optimizeLevel", "0", "--shrinkLevel", "0"],
};

/**
 * Puts the module of a plugin, named by its folder below wasm-plugins/ or by a path, into a file; compiles it only when its
 * sources changed since. Rejects with the compiler's words.
 */
export async function buildPlugin(plugin: string, { out, version, optimize = "small" }: BuildOptions): Promise<void> {
  const wasm = await moduleOf(resolve(pluginsDirectory, plugin), version, optimize);
  mkdirSync(dirname(out), { recursive: true });
  replaceFile(out, wasm);
}

/**
 * Builds the plugins into wasm-plugins/build/; components that need what browsers have only with `all`, for each takes half a
 * minute. Gives the names of those whose files there changed.
 */
export async function buildPlugins({ all = false }: { readonly all?: boolean } = {}): Promise<string[]> {
  const out = join(pluginsDirectory, "build");
  mkdirSync(out, { recursive: true });
  const changed: string[] = [];
  for (const folder of pluginFolders(all)) {
    const wasm = await moduleOf(folder, undefined, "small");
    const target = join(out, basename(folder));
    // The manifest first: without a module it deploys nothing; a module without it would be taken for another kind.
    const manifestChanged = replaceFile(`${target}.yaml`, readFileSync(manifestOf(folder)));
    const wasmChanged = replaceFile(`${target}.wasm`, wasm);
    if (manifestChanged || wasmChanged) changed.push(basename(folder));
  }
  return changed;
}

/** The compiled plugin, kept in the `build` folder beside its sources under what it was made from. */
async function moduleOf(folder: string, wanted: string | undefined, optimize: Optimization): Promise<Uint8Array> {
  const version = wanted ?? versionOf(manifestOf(folder)) ?? "0.0.0";
  const isComponent = existsSync(join(folder, "wit"));
  const sources = isComponent ? componentSources() : [...filesBelow(sdk), compilerManifest()];
  sources.push(...filesBelow(folder), fileURLToPath(import.meta.url));
  const kept = join(folder, "build", `${version}-${digestOf(sources, optimize).slice(0, 16)}.wasm`);
  if (existsSync(kept)) return readFileSync(kept);
  const wasm = isComponent ? await componentOf(folder, version) : await compile(folder, version, optimize);
  mkdirSync(dirname(kept), { recursive: true });
  for (const stale of globSync(`${version}-*.wasm`, { cwd: dirname(kept) }))
    rmSync(join(dirname(kept), stale), { force: true });
  replaceFile(kept, wasm);
  return wasm;
}

function pluginFolders(all: boolean): string[] {
  const folders = globSync("*/{asconfig.json,wit/world.wit}", { cwd: pluginsDirectory })
    .map((path) => join(pluginsDirectory, path.split(/[\\/]/, 1)[0] ?? ""))
    .filter((folder) => folder !== sdk)
    .sort();
  if (all) return folders;
  return folders.filter((folder) => existsSync(join(folder, "asconfig.json")) || !needsBrowserApis(folder));
}

/** What every component is made of besides its own sources. */
function componentSources(): string[] {
  const tools = ["@bytecodealliance/jco", "componentize-qjs", "@bytecodealliance/componentize-js", "esbuild"];
  const manifests = tools.map((tool) => join(checkout, "node_modules", tool, "package.json"));
  return [...filesBelow(kit), ...filesBelow(wit), ...manifests];
}

function filesBelow(folder: string): string[] {
  return globSync("**/*.{ts,json,yaml,wit}", {
    cwd: folder,
    exclude: ["build/**", "node_modules/**", "test-plugin/**", "examples/**", "test/**", "fakes/**", "**/*.test.ts"],
  })
    .sort()
    .map((path) => join(folder, path));
}

function compilerManifest(): string {
  return join(checkout, "node_modules/assemblyscript/package.json");
}

function digestOf(files: readonly string[], optimize: Optimization): string {
  const hash = createHash("sha256").update(flags[optimize].join(" "));
  for (const file of files) hash.update(`${file}\0`).update(readFileSync(file)).update("\0");
  return hash.digest("hex");
}

function readIfThere(path: string): string | undefined {
  return existsSync(path) ? readFileSync(path, "utf8") : undefined;
}

function manifestOf(folder: string): string {
  return join(folder, `${basename(folder)}.yaml`);
}

function versionOf(manifest: string): string | undefined {
  return /^version:[ \t]*["']?([^"'\s#]+)/m.exec(readIfThere(manifest) ?? "")?.[1];
}

async function compile(folder: string, version: string, optimize: Optimization): Promise<Uint8Array> {
  const { default: asc } = await import("assemblyscript/asc");
  const versionFile = join(folder, "assembly", "version.ts");
  let wasm: Uint8Array | undefined;
  const { error, stderr } = await asc.main(
    ["--baseDir", folder, "--config", "asconfig.json", "--outFile", "out.wasm", ...flags[optimize]],
    {
      readFile: (file, baseDir) => {
        const path = resolve(baseDir, file);
        const text = readIfThere(path) ?? null;
        return path === versionFile ? withVersion(text, version) : text;
      },
      writeFile: (file, contents) => {
        if (file === "out.wasm" && typeof contents !== "string") wasm = contents;
      },
    },
  );
  if (error !== null || wasm === undefined) {
    throw new Error(`the plugin in ${folder} does not compile: ${error?.message ?? "no module came out"}\n${stderr}`);
  }
  return wasm;
}

async function componentOf(folder: string, version: string): Promise<Uint8Array> {
  const { buildComponent } = await import("../wasm-plugins/kit/build.ts");
  mkdirSync(join(folder, "build"), { recursive: true });
  const scratch = mkdtempSync(join(folder, "build/scratch-"));
  try {
    const out = join(scratch, "out.wasm");
    await buildComponent({ folder, wit, out, version, scratch });
    return readFileSync(out);
  } catch (cause) {
    throw new Error(`the plugin in ${folder} cannot be built: ${messageOf(cause)}`, { cause });
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

/** The source of `assembly/version.ts` with its only string literal replaced. */
function withVersion(source: string | null, version: string): string | null {
  return source === null ? null : source.replace(/"[^"]*"/, JSON.stringify(version));
}

/** Puts a file in place in one step, unless it is the same already; a watcher never sees half of it. */
function replaceFile(path: string, contents: Uint8Array): boolean {
  if (existsSync(path) && readFileSync(path).equals(contents)) return false;
  const temporary = join(dirname(path), `.${basename(path)}.${process.pid}.tmp`);
  writeFileSync(temporary, contents);
  renameSync(temporary, path);
  return true;
}

if (import.meta.main) {
  const built = await buildPlugins({ all: process.argv.includes("--all") });
  if (built.length > 0) process.stdout.write(`built ${built.join(", ")} into wasm-plugins/build\n`);
}
