// Builds the plugins below wasm-plugins/ into wasm-plugins/build/, which a sidecar may be watching. Says nothing and
// loads no compiler when everything is current.
import { createHash } from "node:crypto";
import { existsSync, globSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const checkout = fileURLToPath(new URL("..", import.meta.url));
const pluginsDirectory = join(checkout, "wasm-plugins");
const sdk = join(pluginsDirectory, "sdk");

export interface BuildOptions {
  /** Where NAME.wasm and NAME.yaml go. */
  readonly out: string;
  /** In place of the manifest's version: in the manifest that is written, and in `assembly/version.ts`. */
  readonly version?: string;
}

export interface BuiltPlugin {
  readonly wasm: string;
  /** Absent when the folder has no manifest. */
  readonly manifest?: string;
}

/** Compiles the plugin in a folder and puts it, with its manifest, into a directory. Rejects with the compiler's words. */
export async function buildPlugin(folder: string, options: BuildOptions): Promise<BuiltPlugin> {
  const name = basename(resolve(folder));
  const manifest = readManifest(folder, options.version);
  const wasm = await compile(resolve(folder), manifest === undefined ? options.version : versionOf(manifest));
  const built = { wasm: join(options.out, `${name}.wasm`), manifest: join(options.out, `${name}.yaml`) };
  mkdirSync(options.out, { recursive: true });
  // The manifest first: without a module it deploys nothing, a new module without it would be taken for another kind.
  if (manifest !== undefined) replaceFile(built.manifest, manifest);
  replaceFile(built.wasm, wasm);
  return manifest === undefined ? { wasm: built.wasm } : built;
}

/** Builds every plugin whose sources, or whose built files, changed since it was last built; gives their names. */
export async function buildPlugins(): Promise<string[]> {
  const out = join(pluginsDirectory, "build");
  const library = digestOf(filesBelow(sdk).concat(fileURLToPath(import.meta.url), compilerManifest()));
  const built: string[] = [];
  for (const folder of pluginFolders()) {
    const stampFile = join(folder, "build", "stamp");
    if (readIfThere(stampFile) === stampOf(folder, library, out)) continue;
    await buildPlugin(folder, { out });
    mkdirSync(dirname(stampFile), { recursive: true });
    writeFileSync(stampFile, stampOf(folder, library, out));
    built.push(basename(folder));
  }
  return built;
}

function pluginFolders(): string[] {
  return globSync("*/asconfig.json", { cwd: pluginsDirectory })
    .map((path) => join(pluginsDirectory, dirname(path)))
    .filter((folder) => folder !== sdk)
    .sort();
}

/** What the built files were made from, and what they are. */
function stampOf(folder: string, library: string, out: string): string {
  const built = ["wasm", "yaml"].map((type) => join(out, `${basename(folder)}.${type}`)).filter(existsSync);
  return `${library} ${digestOf(filesBelow(folder))} ${digestOf(built)}\n`;
}

function filesBelow(folder: string): string[] {
  return globSync("**/*.{ts,json,yaml}", { cwd: folder, exclude: ["build/**", "node_modules/**"] })
    .sort()
    .map((path) => join(folder, path));
}

function compilerManifest(): string {
  return join(checkout, "node_modules/assemblyscript/package.json");
}

function digestOf(files: readonly string[]): string {
  const hash = createHash("sha256");
  for (const file of files) hash.update(`${file}\0`).update(readFileSync(file)).update("\0");
  return hash.digest("hex");
}

function readIfThere(path: string): string | undefined {
  return existsSync(path) ? readFileSync(path, "utf8") : undefined;
}

const versionLine = /^version:[ \t]*["']?([^"'\s#]+).*$/m;

function readManifest(folder: string, version: string | undefined): string | undefined {
  const manifest = readIfThere(join(folder, `${basename(resolve(folder))}.yaml`));
  return version === undefined ? manifest : manifest?.replace(versionLine, `version: ${version}`);
}

function versionOf(manifest: string): string | undefined {
  return versionLine.exec(manifest)?.[1];
}

async function compile(folder: string, version: string | undefined): Promise<Uint8Array> {
  const { default: asc } = await import("assemblyscript/asc");
  const versionFile = join(folder, "assembly", "version.ts");
  let wasm: Uint8Array | undefined;
  const { error, stderr } = await asc.main(
    ["--baseDir", folder, "--config", "asconfig.json", "--outFile", "out.wasm"],
    {
      readFile: (file, baseDir) => {
        const path = resolve(baseDir, file);
        const text = readIfThere(path) ?? null;
        return path === versionFile && version !== undefined ? withVersion(text, version) : text;
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

/** The source of `assembly/version.ts` with its only string literal replaced. */
function withVersion(source: string | null, version: string): string | null {
  return source === null ? null : source.replace(/"[^"]*"/, JSON.stringify(version));
}

/** Puts a file in place in one step, unless it is the same already; a watcher never sees half of it. */
function replaceFile(path: string, contents: string | Uint8Array): void {
  if (existsSync(path) && readFileSync(path).equals(Buffer.from(contents))) return;
  const temporary = join(dirname(path), `.${basename(path)}.${process.pid}.tmp`);
  writeFileSync(temporary, contents);
  renameSync(temporary, path);
}

if (import.meta.main) {
  const built = await buildPlugins();
  if (built.length > 0) process.stdout.write(`built ${built.join(", ")} into wasm-plugins/build\n`);
}
