import wabt from "wabt";
import { late } from "../../runtime/late.ts";

const features = { exceptions: true, tail_call: true, extended_const: true } as const;

/** One for all texts: each would decode and compile half a megabyte of its own. */
const load = late(() => wabt());

/** Assembles WebAssembly text; throws with wabt's message and the name when it is wrong. */
export async function assemble(name: string, text: string): Promise<Uint8Array<ArrayBuffer>> {
  const tools = await load();
  const module = tools.parseWat(`${name}.wat`, text, features);
  try {
    module.resolveNames();
    module.validate();
    return new Uint8Array(module.toBinary({ write_debug_names: true }).buffer);
  } finally {
    module.destroy();
  }
}
