import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { glob, mkdir, mkdtemp, readFile, rename, rm } from "node:fs/promises";
import { setPriority } from "node:os";
import { join } from "node:path";
import { withLock } from "./file-lock.ts";
import { ProgramMissing } from "./programs.ts";

/** The folder of each language's plugins. */
export const pluginSources = join(import.meta.dirname, "../plugins");
/** Where what tests build is kept. */
export const buildCache = join(import.meta.dirname, "../../node_modules/.cache/outrigger");

const lowPriority = 10;

/** A compiler, or what the plugins of its language are made of, is not on this machine and cannot be had. */
export class ToolchainMissing extends ProgramMissing {
  constructor(language: string, why: string) {
    super(language, language);
    this.message = `the plugins in ${language} cannot be built: ${why}`;
  }
}

/** How plugins are built. */
export interface PluginBuild {
  /** What they are kept under. */
  readonly name: string;
  /** The files of test/plugins that they are made of. */
  readonly sources: string;
  /** What builds them, with its version. */
  readonly toolchain: string;
  /** Writes modules into the directory. */
  readonly build: (directory: string) => Promise<void>;
}

/** The directory with the modules, which are built once for all tests and kept until a source or the toolchain changes. */
export async function builtPlugins({ name, sources, toolchain, build }: PluginBuild): Promise<string> {
  const directory = join(buildCache, `${name}-plugins-${await digestOf(sources, toolchain)}`);
  await mkdir(buildCache, { recursive: true });
  await withLock(join(buildCache, `${name}-plugins.lock`), async () => {
    if ((await modulesIn(directory)).size > 0) return;
    const fresh = await mkdtemp(`${directory}-`);
    try {
      await build(fresh);
      for await (const stale of glob(`${name}-plugins-*`, { cwd: buildCache }))
        if (join(buildCache, stale) !== fresh) await rm(join(buildCache, stale), { recursive: true, force: true });
      await rename(fresh, directory);
    } finally {
      await rm(fresh, { recursive: true, force: true });
    }
  });
  return directory;
}

/** The modules of a directory by name. */
export async function modulesIn(directory: string): Promise<ReadonlyMap<string, string>> {
  const names: string[] = [];
  for await (const file of glob("*.wasm", { cwd: directory })) names.push(file.slice(0, -".wasm".length));
  return new Map(names.sort().map((name) => [name, join(directory, `${name}.wasm`)]));
}

async function digestOf(sources: string, toolchain: string): Promise<string> {
  const files: string[] = [];
  for await (const file of glob(sources, { cwd: pluginSources })) files.push(file);
  const hash = createHash("sha256").update(toolchain);
  for (const file of files.sort()) hash.update(`\0${file}\0`).update(await readFile(join(pluginSources, file)));
  return hash.digest("hex").slice(0, 16);
}

/** Where a program runs, and with which variables besides those of this process. */
export interface RunOptions {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
}

/** What it wrote to its output; rejects with all that it wrote when it fails. It has less of the processor than others. */
export function run(
  program: string,
  parameters: readonly string[],
  { cwd, env = {} }: RunOptions = {},
): Promise<string> {
  const environment = { ...process.env, ...env };
  const child = spawn(program, parameters, {
    env: environment,
    stdio: ["ignore", "pipe", "pipe"],
    ...(cwd === undefined ? {} : { cwd }),
  });
  if (child.pid !== undefined) setPriority(child.pid, lowPriority);
  let output = "";
  let complaint = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    output += text;
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    complaint += text;
  });
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code) => {
      if (code === 0) resolve(output);
      else reject(new Error(`${program} ${parameters.join(" ")} failed (${code}):\n${output}${complaint}`));
    });
  });
}
