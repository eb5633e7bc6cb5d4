import { Buffer } from "node:buffer";
import { BinaryReader } from "./sandbox/binary-reader.ts";
import { SandboxError } from "./sandbox/sandbox-error.ts";
import { isComponentBinary } from "./sandbox/sandboxed-component.ts";
import { sectionsOf } from "./wasm-sections.ts";

export type PluginKind = "filter" | "service";

const exportSection = 11;
/** By which components are called as filters, in any version. */
const filterInterfaces = ["outrigger:runtime/filter@", "outrigger:runtime/response-filter@"];

/**
 * What a plugin is whose manifest does not say: a component is a filter when it exports what filters are called by, and else a
 * service; a module is a filter. A file that is cut off or malformed is taken as far as it can be read.
 */
export function kindByExports(bytes: Uint8Array): PluginKind {
  if (!isComponentBinary(bytes)) return "filter";
  for (const { id, contentStart, end } of sectionsOf(bytes)) {
    if (id !== exportSection) continue;
    const reader = new BinaryReader(bytes, "component", contentStart, Math.min(end, bytes.length));
    if (exportsFilter(reader)) return "filter";
  }
  return "service";
}

function exportsFilter(reader: BinaryReader): boolean {
  try {
    for (let rest = reader.u32(); rest > 0; rest--) {
      reader.u8();
      const name = Buffer.from(reader.name()).toString("latin1");
      if (filterInterfaces.some((prefix) => name.startsWith(prefix))) return true;
      passOverRest(reader);
    }
    return false;
  } catch (error) {
    if (error instanceof SandboxError) return false;
    throw error;
  }
}

const sort = { core: 0, value: 2, type: 3 } as const;

/** What stands behind the name of an export: what it is, its index, and the type it is said to be of. */
function passOverRest(reader: BinaryReader): void {
  if (reader.u8() === sort.core) reader.u8();
  reader.u32();
  const isTyped = reader.u8() === 1;
  if (!isTyped) return;
  const kind = reader.u8();
  if (kind === sort.core) reader.u8();
  const isBound = kind === sort.value || kind === sort.type;
  if (!isBound || reader.u8() === 0) reader.u32();
}
