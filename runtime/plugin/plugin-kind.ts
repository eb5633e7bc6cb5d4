import { Buffer } from "node:buffer";
import { isComponentBinary } from "./sandbox/sandboxed-component.ts";
import { sectionsOf } from "./wasm-sections.ts";

export type PluginKind = "filter" | "service";

/** Of a component; besides numbers it holds nothing but names. */
const exportSection = 11;
const filterInterfaces = ["outrigger:runtime/filter@", "outrigger:runtime/response-filter@"];

/**
 * What a plugin is whose manifest does not say: a component is a filter when it exports what filters are called by, and else a
 * service; a module is a filter.
 */
export function kindByExports(bytes: Uint8Array): PluginKind {
  if (!isComponentBinary(bytes)) return "filter";
  for (const { id, contentStart, end } of sectionsOf(bytes)) {
    if (id !== exportSection) continue;
    const { buffer, byteOffset, length } = bytes.subarray(contentStart, end);
    const names = Buffer.from(buffer, byteOffset, length);
    if (filterInterfaces.some((name) => names.includes(name))) return "filter";
  }
  return "service";
}
