import { cp, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { componentEmbed, componentNew } from "@bytecodealliance/jco";
import { assemble } from "./wat.ts";

const wit = join(import.meta.dirname, "../../proto/wit");

/**
 * The component that a core module makes, whose text in WAT has the canonical ABI written out: for guests that do what no compiler
 * would let them. `world` is what its world has in it, such as `export outrigger:runtime/handler@0.1.0;`.
 */
export async function coreComponent(name: string, text: string, world: string): Promise<Uint8Array<ArrayBuffer>> {
  const folder = await mkdtemp(join(tmpdir(), "outrigger-wit-"));
  try {
    await cp(join(wit, "deps"), join(folder, "deps"), { recursive: true });
    await mkdir(join(folder, "deps/outrigger"));
    await cp(join(wit, "outrigger.wit"), join(folder, "deps/outrigger/outrigger.wit"));
    await writeFile(join(folder, "world.wit"), `package test:core;\nworld core { ${world} }\n`);
    const module = await assemble(name, text);
    return new Uint8Array(
      await componentNew(await componentEmbed({ binary: module, witPath: folder, world: "core" }), []),
    );
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
