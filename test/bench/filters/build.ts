/** The filters of the benchmarks, each one file in AssemblyScript on the SDK for plugins. */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { stringify } from "yaml";

const folder = fileURLToPath(new URL(".", import.meta.url));

export type FilterName = "empty" | "header-change";

/** Compiles the filter and puts module and manifest into a directory of plugins; rejects with the compiler's words. */
export async function deployFilter(name: FilterName, directory: string): Promise<void> {
  const wasm = await compile(name);
  // A directory that is watched takes the module last: without its manifest it would be deployed as it is.
  writeFileSync(join(directory, `${name}.yaml`), stringify({ name, version: "1.0.0", kind: "filter" }));
  writeFileSync(join(directory, `${name}.wasm`), wasm);
}

async function compile(name: string): Promise<Uint8Array> {
  const { default: asc } = await import("assemblyscript/asc");
  const entry = join(folder, "filter.ts");
  let wasm: Uint8Array | undefined;
  const { error, stderr } = await asc.main(
    ["--baseDir", folder, "--config", "asconfig.json", "--outFile", "out.wasm"],
    {
      readFile: (file, baseDir) => {
        const path = resolve(baseDir, file);
        const source = path === entry ? join(folder, `${name}.as`) : path;
        return existsSync(source) ? readFileSync(source, "utf8") : null;
      },
      writeFile: (file, contents) => {
        if (file === "out.wasm" && typeof contents !== "string") wasm = contents;
      },
    },
  );
  if (error !== null || wasm === undefined) {
    throw new Error(`the filter ${name} does not compile: ${error?.message ?? "no module came out"}\n${stderr}`);
  }
  return wasm;
}
