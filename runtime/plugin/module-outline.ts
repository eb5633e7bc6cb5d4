import { messageOf } from "../../components/thrown.ts";
import { rewrite } from "./sandbox/rewrite.ts";
import type { SandboxLimits } from "./sandbox/sandboxed-module.ts";
import { readLeb, type Section, sectionsOf } from "./wasm-sections.ts";

/** What a module shows of itself without being run. */
export interface ModuleOutline {
  readonly sections: readonly { readonly name: string; readonly bytes: number }[];
  /** Undefined when the module cannot be compiled. */
  readonly module: WebAssembly.Module | undefined;
  /** In pages of 64 KiB; undefined without a memory of its own. */
  readonly memory: { readonly minimumPages: number; readonly maximumPages: number | undefined } | undefined;
  /** Why it cannot be compiled, or the sandbox does not take it; undefined when all is well. */
  readonly problem: string | undefined;
}

const sectionNames = [
  "custom",
  "type",
  "import",
  "function",
  "table",
  "memory",
  "global",
  "export",
  "start",
  "element",
  "code",
  "data",
  "data count",
  "tag",
];
const mostNameBytes = 256;

/** Reads the outline of bytes that are framed as WebAssembly. */
export async function outlineOf(bytes: Uint8Array<ArrayBuffer>, limits: SandboxLimits): Promise<ModuleOutline> {
  const sections = [...sectionsOf(bytes)];
  const memory = sections.find(({ id }) => id === sectionNames.indexOf("memory"));
  const [module, problem] = await compile(bytes, limits);
  return {
    sections: sections.map((section) => ({ name: nameOf(bytes, section), bytes: section.end - section.start })),
    module,
    memory: memory === undefined ? undefined : memoryOf(bytes, memory),
    problem,
  };
}

async function compile(
  bytes: Uint8Array<ArrayBuffer>,
  limits: SandboxLimits,
): Promise<[WebAssembly.Module | undefined, string | undefined]> {
  let module: WebAssembly.Module | undefined;
  try {
    module = await WebAssembly.compile(bytes);
    rewrite(bytes, limits);
    return [module, undefined];
  } catch (error) {
    return [module, messageOf(error)];
  }
}

function nameOf(bytes: Uint8Array, { id, contentStart, end }: Section): string {
  if (id !== 0) return sectionNames[id] ?? `section ${id}`;
  const length = readLeb(bytes, contentStart);
  if (length === undefined) return "custom";
  const name = bytes.subarray(length.end, Math.min(length.end + Math.min(length.value, mostNameBytes), end));
  return `custom ${new TextDecoder().decode(name).replace(/[^ -~]/g, "?")}`;
}

/** Of the first memory: a module that the sandbox takes has no other. */
function memoryOf(bytes: Uint8Array, { contentStart }: Section): ModuleOutline["memory"] {
  const count = readLeb(bytes, contentStart);
  if (count === undefined || count.value === 0) return undefined;
  const flags = bytes[count.end] ?? 0;
  const minimum = readLeb(bytes, count.end + 1);
  if (minimum === undefined) return undefined;
  const maximum = (flags & 1) === 0 ? undefined : readLeb(bytes, minimum.end);
  return { minimumPages: minimum.value, maximumPages: maximum?.value };
}
