/**
 * `node kit/build.ts [--wit FOLDER]`, in the folder of a plugin: makes a component of src/NAME.ts and puts its manifest into it.
 * NAME is that of the folder's package.json. A plugin whose world exports `wasi:http` runs on StarlingMonkey, which has what
 * browsers have; every other runs on QuickJS, which is small and quick.
 */
import { spawn } from "node:child_process";
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { build } from "esbuild";
import { needsBrowserApis } from "./engine.ts";
import { rewriteTypes } from "./guest-types.ts";

export interface ComponentOptions {
  /** The plugin's folder. */
  readonly folder: string;
  /** A folder with the WIT of the sidecar, where the plugin's `wit` has none. */
  readonly wit?: string | undefined;
  /** The file that the component becomes. */
  readonly out: string;
  /** What the plugin takes for its version; default the manifest's. */
  readonly version?: string | undefined;
  /** Where files lie that it is made of; default the folder's `build`. */
  readonly scratch?: string;
}

const kit = import.meta.dirname;
const require = createRequire(import.meta.url);
const jco = join(dirname(require.resolve("@bytecodealliance/jco")), "jco.js");
const tsc = join(dirname(require.resolve("typescript/package.json")), "bin/tsc");

function nameOf(folder: string): string {
  const { name }: { readonly name?: unknown } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
  if (typeof name === "string" && name !== "") return name;
  throw new Error(`${join(folder, "package.json")} has no name`);
}

const manifestOf = (folder: string): string => join(folder, `${nameOf(folder)}.yaml`);

const versionOf = (folder: string): string =>
  /^version:[ \t]*["']?([^"'\s#]+)/m.exec(readFileSync(manifestOf(folder), "utf8"))?.[1] ?? "0.0.0";

/** Writes `build/types` from the WIT, and checks the sources and the tests against them. Rejects with what is wrong. */
export async function checkTypes({ folder, wit }: Pick<ComponentOptions, "folder" | "wit">): Promise<void> {
  const built = join(folder, "build");
  const types = join(built, "types");
  rmSync(types, { recursive: true, force: true });
  await run(jco, ["guest-types", witOf(folder, wit, built), "--world-name", "plugin", "--out-dir", types], folder);
  if (!needsBrowserApis(folder)) rewriteTypes(types);
  for (const project of [folder, join(folder, "test")].filter((place) => existsSync(join(place, "tsconfig.json"))))
    await run(tsc, ["--noEmit", "--project", project], folder);
}

/** Makes a component of the plugin. Rejects with what is wrong. */
export async function buildComponent(options: ComponentOptions): Promise<void> {
  const { folder, wit, out, version = versionOf(folder), scratch = join(folder, "build") } = options;
  const source = join(folder, "src", `${nameOf(folder)}.ts`);
  const bundle = join(scratch, `${nameOf(folder)}.js`);
  const hasBrowserApis = needsBrowserApis(folder);
  await build({
    stdin: { contents: entryOf(source, hasBrowserApis), resolveDir: folder, loader: "ts" },
    outfile: bundle,
    bundle: true,
    format: "esm",
    platform: "neutral",
    mainFields: ["module", "main"],
    target: "es2023",
    define: { "globalThis.pluginVersion": JSON.stringify(version) },
    external: ["outrigger:*", "wasi:*", "wasmcloud:*"],
    logLevel: "warning",
  });
  const backend = hasBrowserApis ? [] : ["--backend", "quickjs", "--backend-qjs-disable-async"];
  mkdirSync(dirname(out), { recursive: true });
  const world = ["--wit", witOf(folder, wit, scratch), "--world-name", "plugin"];
  await run(jco, ["componentize", bundle, ...world, ...backend, "--out", out], folder);
}

/** What the component is: on QuickJS the exports of the source, after what the engine lacks; else `answer`, behind wasi:http. */
function entryOf(source: string, hasBrowserApis: boolean): string {
  const quoted = (file: string): string => JSON.stringify(resolve(kit, file));
  const from = quoted(source);
  const lines = hasBrowserApis
    ? [
        `import { answer } from ${from};`,
        `import { serving } from ${quoted("guest/incoming-handler.ts")};`,
        "export const incomingHandler = serving(answer);",
      ]
    : [
        `import ${quoted("polyfill/index.ts")};`,
        `import { throwReadableErrors } from ${quoted("guest/readable-errors.ts")};`,
        `import * as plugin from ${from};`,
        "throwReadableErrors(plugin);",
        `export * from ${from};`,
      ];
  return lines.join("\n");
}

/** Puts the manifest into the component, so that one file is all that is deployed. */
async function pack(folder: string, out: string): Promise<void> {
  await run("outrigger", ["pack", out, "--manifest", manifestOf(folder)], folder).catch(
    (cause: NodeJS.ErrnoException) => {
      if (cause.code !== "ENOENT") throw cause;
      throw new Error(
        `${out} is built, but its manifest is not in it, for there is no command 'outrigger': install the package here, in a folder above or with --global`,
      );
    },
  );
}

/** The plugin's WIT; what it lacks of the sidecar's is put beside it, in a folder `wit` of the other one. */
function witOf(folder: string, sidecar: string | undefined, scratch: string): string {
  const own = join(folder, "wit");
  if (sidecar === undefined) return own;
  const whole = join(scratch, "wit");
  rmSync(whole, { recursive: true, force: true });
  cpSync(join(sidecar, "deps"), join(whole, "deps"), { recursive: true });
  cpSync(join(sidecar, "outrigger.wit"), join(whole, "deps/outrigger/outrigger.wit"));
  cpSync(own, whole, { recursive: true });
  return whole;
}

/** Runs a command, or a script on this Node; rejects with what it wrote when it fails. */
function run(program: string, parameters: readonly string[], folder: string): Promise<void> {
  const command = existsSync(program) ? process.execPath : program;
  const child = spawn(command, command === program ? [...parameters] : [program, ...parameters], {
    cwd: folder,
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding("utf8").on("data", (text: string) => {
      output += text;
    });
  return new Promise((done, failed) => {
    child.once("error", failed);
    child.once("close", (code) => (code === 0 ? done() : failed(new Error(output.trim()))));
  });
}

if (import.meta.main) {
  const { values } = parseArgs({ options: { wit: { type: "string" } } });
  const folder = process.cwd();
  const wit = values.wit === undefined ? undefined : resolve(values.wit);
  const out = join(folder, "build", `${nameOf(folder)}.wasm`);
  try {
    await checkTypes({ folder, wit });
    await buildComponent({ folder, wit, out });
    await pack(folder, out);
    process.stdout.write(`built ${out}\n`);
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    process.exitCode = 1;
  }
}
