import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { glob, mkdir, mkdtemp, readFile, rename, rm } from "node:fs/promises";
import { setPriority } from "node:os";
import { basename, dirname, join } from "node:path";
import { withLock } from "./file-lock.ts";
import { installedProgram, ProgramMissing } from "./programs.ts";

const sources = join(import.meta.dirname, "../plugins/go");
const cache = join(import.meta.dirname, "../../node_modules/.cache/outrigger");
const lowPriority = 10;
/** What the SDK needs for `-buildmode=c-shared`. */
const oldestGo = [1, 24] as const;
const environment = {
  ...process.env,
  GOOS: "wasip1",
  GOARCH: "wasm",
  GOFLAGS: "-mod=readonly -buildvcs=false",
  GOTOOLCHAIN: "local",
};

/** Go, or a module that the plugins are made of, is not on this machine and cannot be had. */
class GoMissing extends ProgramMissing {
  constructor(why: string) {
    super("go", "golang-go");
    this.message = `the plugins in Go cannot be built: ${why}`;
  }
}

/**
 * The modules of test/plugins/go by the names of their folders, built once for all tests and kept until a source changes.
 * Rejects with ProgramMissing where there is no Go that is new enough, and with the compiler's words when it refuses.
 */
export async function goPlugins(): Promise<ReadonlyMap<string, string>> {
  const go = await installedProgram("go", "golang-go", ["/usr/local/go/bin"]);
  const version = (await run(go, ["env", "GOVERSION"])).trim();
  if (isOlder(version)) throw new GoMissing(`${go} is ${version}, and go${oldestGo.join(".")} is needed`);
  const names = await pluginNames();
  const directory = join(cache, `go-plugins-${await digestOf(version)}`);
  await mkdir(cache, { recursive: true });
  await withLock(join(cache, "go-plugins.lock"), () => build(go, names, directory));
  return new Map(names.map((name) => [name, join(directory, `${name}.wasm`)]));
}

async function build(go: string, names: readonly string[], directory: string): Promise<void> {
  if (await isThere(directory)) return;
  await run(go, ["mod", "download"]).catch((error: Error) => {
    throw new GoMissing(error.message);
  });
  const fresh = await mkdtemp(`${directory}-`);
  try {
    // One module at a time: each needs the linker alone, and other tests need the machine too.
    for (const name of names)
      await run(go, ["build", "-p", "1", "-buildmode=c-shared", "-o", join(fresh, `${name}.wasm`), `./${name}`]);
    for await (const stale of glob("go-plugins-*", { cwd: cache }))
      if (join(cache, stale) !== fresh) await rm(join(cache, stale), { recursive: true, force: true });
    await rename(fresh, directory);
  } finally {
    await rm(fresh, { recursive: true, force: true });
  }
}

async function pluginNames(): Promise<readonly string[]> {
  const names: string[] = [];
  for await (const file of glob("*/main.go", { cwd: sources })) names.push(basename(dirname(file)));
  return names.sort();
}

async function digestOf(version: string): Promise<string> {
  const files: string[] = [];
  for await (const file of glob("**/{*.go,go.mod,go.sum}", { cwd: sources })) files.push(file);
  const hash = createHash("sha256").update(version);
  for (const file of files.sort()) hash.update(`\0${file}\0`).update(await readFile(join(sources, file)));
  return hash.digest("hex").slice(0, 16);
}

function isOlder(version: string): boolean {
  const [, major = 0, minor = 0] = (/^go(\d+)\.(\d+)/.exec(version) ?? []).map(Number);
  return major < oldestGo[0] || (major === oldestGo[0] && minor < oldestGo[1]);
}

async function isThere(directory: string): Promise<boolean> {
  for await (const _ of glob("*.wasm", { cwd: directory })) return true;
  return false;
}

/** What it wrote to its output; rejects with all that it wrote when it fails. */
function run(program: string, parameters: readonly string[]): Promise<string> {
  const child = spawn(program, parameters, { cwd: sources, env: environment, stdio: ["ignore", "pipe", "pipe"] });
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
