import { createHash } from "node:crypto";
import { cp, glob, mkdir, mkdtemp, readFile, rename, rm, stat, utimes, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { parse } from "@bytecodealliance/jco";
import { buildCache, run } from "./built-plugins.ts";
import { withLock } from "./file-lock.ts";

/** A guest in JavaScript or TypeScript, to be made a component of. */
export interface ComponentGuest {
  /** Its text, or the file that it lies in. */
  readonly source: string | URL;
  /** The world in WIT: the text of a package, or nothing when the world lies in `deps` itself. */
  readonly wit?: string;
  /** The folder of WIT whose `deps` the world may use; default proto/wit. */
  readonly witFolder?: string;
  readonly world: string;
  /** QuickJS by default: built in a second, of 1.6 MB. StarlingMonkey has what browsers have, and takes ten. */
  readonly backend?: "quickjs" | "starlingmonkey";
  /** `none`: the guest has no WASI, and imports only what its world does. Default `imported`. */
  readonly wasi?: "imported" | "none";
}

const witOfTheSidecar = join(import.meta.dirname, "../../proto/wit");
const guestCache = join(buildCache, "component-guests");
const keptMs = 14 * 24 * 3_600_000;

const require = createRequire(import.meta.url);
const jcoFolder = join(dirname(require.resolve("@bytecodealliance/jco")), "..");

/**
 * The component, which is built once for all tests and kept until the guest, its WIT or a tool changes. Rejects with jco's words
 * when it cannot be built.
 */
export async function componentGuest(guest: ComponentGuest): Promise<Uint8Array<ArrayBuffer>> {
  return new Uint8Array(await readFile(await componentGuestFile(guest)));
}

/** The file of the component. */
export async function componentGuestFile(guest: ComponentGuest): Promise<string> {
  const source = typeof guest.source === "string" ? guest.source : await readFile(guest.source, "utf8");
  const folder = guest.witFolder ?? witOfTheSidecar;
  const digest = await digestOf(guest, source, folder);
  const file = join(guestCache, `${digest}.wasm`);
  if (await isKept(file)) return file;
  await mkdir(guestCache, { recursive: true });
  await withLock(join(guestCache, `${digest}.lock`), async () => {
    if (await isKept(file)) return;
    const scratch = await mkdtemp(join(guestCache, "build-"));
    try {
      await rename(await build(guest, source, folder, scratch), file);
    } finally {
      await rm(scratch, { recursive: true, force: true });
    }
    await forgetOld();
  });
  return file;
}

async function build(guest: ComponentGuest, source: string, folder: string, scratch: string): Promise<string> {
  const isTypeScript = guest.source instanceof URL && guest.source.pathname.endsWith(".ts");
  const script = join(scratch, isTypeScript ? "guest.ts" : "guest.js");
  const wit = join(scratch, "wit");
  const out = join(scratch, "guest.wasm");
  await writeFile(script, source);
  if (guest.wit === undefined) await cp(folder, wit, { recursive: true });
  else {
    await mkdir(wit);
    await writeFile(join(wit, "world.wit"), guest.wit);
    await cp(join(folder, "deps"), join(wit, "deps"), { recursive: true }).catch(ignoreMissing);
    await copyRootPackage(guest.wit, folder, wit);
  }
  const backend = guest.backend ?? "quickjs";
  const options = ["--wit", wit, "--world-name", guest.world, "--backend", backend, "--out", out];
  if (backend === "quickjs") options.push("--backend-qjs-disable-async");
  if (guest.wasi === "none")
    options.push(...(backend === "quickjs" ? ["--backend-qjs-stub-wasi"] : ["--disable", "all"]));
  await run(process.execPath, [join(jcoFolder, "dist/jco.js"), "componentize", script, ...options], { cwd: scratch });
  return out;
}

/** The package in the folder itself is one that a world of a test's own may use: it becomes one of its `deps`. */
async function copyRootPackage(wit: string, folder: string, to: string): Promise<void> {
  for await (const file of glob("*.wit", { cwd: folder })) {
    const text = await readFile(join(folder, file), "utf8");
    const name = /^package ([^;@]+)/m.exec(text)?.[1];
    if (name === undefined || wit.includes(`package ${name}`)) continue;
    const place = join(to, "deps", name.replace(":", "-"));
    await mkdir(place, { recursive: true });
    await writeFile(join(place, file), text);
  }
}

async function digestOf(guest: ComponentGuest, source: string, folder: string): Promise<string> {
  const { wit, world, backend, wasi } = guest;
  const hash = createHash("sha256").update(JSON.stringify([source, wit, world, backend, wasi, await toolVersions()]));
  const files: string[] = [];
  for await (const file of glob("**/*.wit", { cwd: folder })) files.push(file);
  for (const file of files.sort()) hash.update(`\0${file}\0`).update(await readFile(join(folder, file)));
  return hash.digest("hex").slice(0, 24);
}

async function toolVersions(): Promise<readonly string[]> {
  const modules = join(jcoFolder, "../..");
  const tools = ["@bytecodealliance/jco", "@bytecodealliance/componentize-js", "componentize-qjs"];
  return Promise.all(
    tools.map(async (tool) => {
      const described: unknown = JSON.parse(await readFile(join(modules, tool, "package.json"), "utf8"));
      return `${tool} ${String(Object(described).version)}`;
    }),
  );
}

/** Whether the file is there; one that is used is kept for longer. */
async function isKept(file: string): Promise<boolean> {
  const now = new Date();
  return utimes(file, now, now).then(() => true, ignoreMissing);
}

async function forgetOld(): Promise<void> {
  for await (const entry of glob("*.wasm", { cwd: guestCache })) {
    const file = join(guestCache, entry);
    const kept = await stat(file).catch(ignoreMissing);
    if (kept && Date.now() - kept.mtimeMs > keptMs) await rm(file, { force: true });
  }
}

function ignoreMissing(error: NodeJS.ErrnoException): false {
  if (error.code === "ENOENT") return false;
  throw error;
}

/** The component that a text in WAT says. */
export async function assembleComponent(text: string): Promise<Uint8Array<ArrayBuffer>> {
  return new Uint8Array(await parse(text));
}
