import { readdirSync, readFileSync } from "node:fs";

const directory = new URL(".", import.meta.url);

/** The guests of this folder by name; each exports a function of its name that takes a size and returns a checksum. */
export const guestNames: readonly string[] = readdirSync(directory)
  .filter((file) => file.endsWith(".as"))
  .map((file) => file.slice(0, -".as".length))
  .sort();

/** Compiles the guests of this folder, written in AssemblyScript, to one optimised module. */
export async function compileGuests(): Promise<Uint8Array<ArrayBuffer>> {
  // Imported here and not above, so that interceptModules can see the modules that the compiler itself is made of.
  const { main } = await import("assemblyscript/asc");
  let compiled: Uint8Array | undefined;
  const sources = guestNames.map((name) => `${name}.ts`);
  const { error, stderr } = await main([...sources, "-O3", "--outFile", "guests.wasm"], {
    readFile: (name) =>
      sources.includes(name) ? readFileSync(new URL(name.replace(/ts$/, "as"), directory), "utf8") : null,
    writeFile: (_, contents) => {
      if (typeof contents !== "string") compiled = contents;
    },
    listFiles: () => [],
  });
  if (error !== null || compiled === undefined) throw new Error(`the guests do not compile: ${stderr.toString()}`);
  return new Uint8Array(compiled);
}

/** What the guests import from AssemblyScript's runtime. */
export const guestImports: WebAssembly.Imports = {
  env: {
    abort(): never {
      throw new Error("a guest gave up");
    },
    seed: () => 1,
  },
};

/**
 * Runs `load` with every module that it instantiates passed through `replace`, and so gets at the modules that packages
 * carry inside their JavaScript.
 */
export async function interceptModules<Result>(
  load: () => Promise<Result>,
  replace: (bytes: Uint8Array<ArrayBuffer>) => Uint8Array<ArrayBuffer>,
): Promise<Result> {
  const instantiate = WebAssembly.instantiate;
  const replacement = (source: unknown, imports?: WebAssembly.Imports): unknown =>
    Reflect.apply(instantiate, WebAssembly, [
      source instanceof Uint8Array ? replace(new Uint8Array(source)) : source,
      imports,
    ]);
  Object.assign(WebAssembly, { instantiate: replacement });
  try {
    return await load();
  } finally {
    Object.assign(WebAssembly, { instantiate });
  }
}
