import { existsSync, globSync } from "node:fs";
import { glob } from "node:fs/promises";
import { basename, extname, join } from "node:path";
import { builtPlugins, modulesIn, pluginSources, run, ToolchainMissing } from "./built-plugins.ts";
import { findProgram, installPackages } from "./programs.ts";

const debianPackages = ["clang", "lld", "wasi-libc", "libc++-dev-wasm32", "libclang-rt-dev-wasm32"];
/** What the compilers need beside themselves. */
const libraries = [
  "/usr/include/wasm32-wasi/stdio.h",
  "/usr/include/wasm32-wasi/c++/v1/string",
  "/usr/lib/{llvm-*/lib,}/clang/*/lib/wasi/libclang_rt.builtins-wasm32.a",
];

const warnings = ["-Wall", "-Wextra", "-Werror"];
const names = ["-Wl,--strip-debug"];
/** What a plugin is, as the compiler is told. */
const kinds = {
  /** Nothing but its own code. */
  bare: ["--target=wasm32", "-O2", "-nostdlib", "-Wl,--no-entry"],
  command: ["--target=wasm32-wasi", "-O1", "-D_GNU_SOURCE"],
  reactor: ["--target=wasm32-wasi", "-Os", "-mexec-model=reactor", "-Wl,--export=malloc"],
} as const;
const kindOf: Readonly<Record<string, keyof typeof kinds>> = { bare: "bare", clerk: "command" };
/** Instructions that came after the first version of WebAssembly. */
const newer = ["-mbulk-memory", "-msign-ext", "-mnontrapping-fptoint", "-mmutable-globals", "-mmultivalue"];
const cpp = ["-std=c++17", "-fno-exceptions", ...newer];

/**
 * The modules of test/plugins/c and test/plugins/cpp by the names of their files. Rejects with ProgramMissing where there is no
 * Clang with libraries for WebAssembly, and with the compiler's words when it refuses.
 */
export async function cPlugins(): Promise<ReadonlyMap<string, string>> {
  if (!isReady()) await installPackages(debianPackages);
  if (!isReady())
    throw new ToolchainMissing("C and C++", `Debian's packages ${debianPackages.join(", ")} could not be installed`);
  const clang = findProgram("clang") ?? "clang";
  const directory = await builtPlugins({
    name: "c",
    sources: "{c,cpp}/*",
    toolchain: `${await run(clang, ["--version"])}${JSON.stringify([kinds, cpp])}`,
    build,
  });
  return modulesIn(directory);
}

function isReady(): boolean {
  const programs = ["clang", "clang++", "wasm-ld"];
  return (
    programs.every((program) => findProgram(program) !== undefined) &&
    libraries.every((library) => existsSync(library) || globSync(library).length > 0)
  );
}

async function build(directory: string): Promise<void> {
  for await (const source of glob("{c/*.c,cpp/*.cc}", { cwd: pluginSources })) {
    const isC = extname(source) === ".c";
    const name = basename(source, extname(source));
    const output = join(directory, `${name}.wasm`);
    const choices = [...kinds[kindOf[name] ?? "reactor"], ...(isC ? [] : cpp), ...warnings, ...names];
    // Clang would have the optimizer of another package, which npm puts into the path, take away the names of functions.
    const options = { cwd: pluginSources, env: { PATH: "/usr/bin:/bin" } };
    await run(findProgram(isC ? "clang" : "clang++") ?? "", [...choices, "-o", output, source], options);
  }
}
