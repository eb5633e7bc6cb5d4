/** `npm run build`: bundles the sidecar into dist/, which is what is published (`npm pack ./dist`) and what the image runs. */
import { chmodSync, copyFileSync, cpSync, globSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { build, type Metafile } from "esbuild";
import { leanImports } from "./lean-imports.ts";

const root = join(import.meta.dirname, "..");

/** Threads and processes look for their file beside the bundle that starts them, so that all of it lies in one folder. */
const entryPoints = {
  main: "runtime/main.ts",
  "sqlite-worker": "components/clients/sqlite-worker.ts",
  "compile-worker": "runtime/plugin/sandbox/compile-worker.ts",
  "transpile-process": "runtime/wasm-component/transpile-process.ts",
  "finish-component": "runtime/wasm-component/finish-component.ts",
};

/** Files of jco that its code reads from beside itself. */
const transpilerFiles =
  "node_modules/@bytecodealliance/{jco-transpile/vendor/js-component-bindgen-component.*.wasm,preview2-shim/dist/io/worker-thread.bundle.js}";

/** What `outrigger new` makes projects of. */
const projectFolders = ["wasm-plugins/kit", "wasm-plugins/template", "proto/wit"];

/** Bundles the sidecar into the directory, which is emptied first. `runtime/main.js` is the command. */
export async function buildSidecar(directory: string): Promise<void> {
  rmSync(directory, { recursive: true, force: true });
  const { metafile } = await build({
    absWorkingDir: root,
    entryPoints,
    outdir: join(directory, "runtime"),
    bundle: true,
    splitting: true,
    format: "esm",
    platform: "node",
    target: "node24",
    supported: { using: true },
    // Names stay, so that a stack trace can be read; `node --enable-source-maps` tells the lines of the sources.
    minifySyntax: true,
    // Every byte of the text stays in memory: 2 MB less, and 10 ms less to read it.
    minifyWhitespace: true,
    lineLimit: 160,
    sourcemap: "linked",
    legalComments: "none",
    plugins: [leanImports],
    metafile: true,
    logLevel: "warning",
  });
  const main = join(directory, "runtime/main.js");
  writeFileSync(main, `#!/usr/bin/env node\n${compileCache}\n${readFileSync(main, "utf8")}`);
  chmodSync(main, 0o755);
  const map = JSON.parse(readFileSync(`${main}.map`, "utf8"));
  writeFileSync(`${main}.map`, JSON.stringify({ ...map, mappings: `;;${map.mappings}` }));
  for (const file of globSync(transpilerFiles, { cwd: root }))
    copyFileSync(join(root, file), join(directory, "runtime", basename(file)));
  writeFileSync(join(directory, "THIRD-PARTY-LICENSES"), licenses(metafile));
  writeFileSync(join(directory, "package.json"), `${JSON.stringify(publishedManifest(), undefined, 2)}\n`);
  for (const file of ["LICENSE", "README.md"]) copyFileSync(join(root, file), join(directory, file));
  for (const folder of projectFolders) cpSync(join(root, folder), join(directory, folder), { recursive: true });
}

/** The bundle holds what the checkout depends on: whoever installs it installs nothing else. */
function publishedManifest(): object {
  const { name, version, description, license, type, engines } = JSON.parse(
    readFileSync(join(root, "package.json"), "utf8"),
  );
  const bin = { outrigger: "runtime/main.js" };
  return {
    name,
    version,
    description,
    license,
    type,
    engines,
    bin,
    files: ["runtime", ...projectFolders, "THIRD-PARTY-LICENSES"],
  };
}

/**
 * Compiled code is kept beside the bundle, where whoever can write could change the bundle as well; where nobody can, there is
 * none. It saves a start 25 ms.
 */
const compileCache =
  'process.getBuiltinModule("node:module").enableCompileCache(import.meta.dirname + "/../compile-cache");';

/** The licenses of the packages that the bundle has parts of, as they ask for it. */
function licenses({ inputs }: Metafile): string {
  const folders = new Set(
    Object.keys(inputs).flatMap((path) => /^[^:]*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(path) ?? []),
  );
  const notices = [...folders].sort().map((folder) => {
    const { name, version, license }: Record<string, unknown> = JSON.parse(
      readFileSync(join(root, folder, "package.json"), "utf8"),
    );
    const text = globSync(join(root, folder, "{LICENSE,LICENCE,license}*"))
      .slice(0, 1)
      .map((file) => readFileSync(file, "utf8").trim());
    return [`${name} ${version} (${license})`, ...text].join("\n\n");
  });
  return `${notices.join(`\n\n${"-".repeat(80)}\n\n`)}\n`;
}

if (import.meta.main) await buildSidecar(process.argv[2] ?? join(root, "dist"));
