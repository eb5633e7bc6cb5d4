import { type CodePlace, originalOffsets } from "../plugin/sandbox/code-map.ts";
import { readableName } from "./rust-names.ts";

const frame = /^\s+at (?:(\S.*) \()?wasm:\/\/wasm\/[^:]*:wasm-function\[(\d+)\]:0x([\da-f]+)\)?$/;
const mostFrames = 10;
const longestName = 100;
/** What V8 puts before the names of a module that has one itself. */
const moduleName = /^[\w-]+\.wasm\./;
const panicHandler = "rust_begin_unwind";

/**
 * The functions of the guest that an error came out of, the innermost first: `parse_price at 0x1a2b`, by the module's name
 * section, else by their index, and where in the module as its author built it. Functions that are not the author's are
 * left out.
 */
export function guestFrames(cause: unknown, codeMap: Uint8Array): string[] {
  if (!(cause instanceof Error) || cause.stack === undefined) return [];
  const names: string[] = [];
  const places: CodePlace[] = [];
  for (const line of cause.stack.split("\n")) {
    const [, name, index, offset] = frame.exec(line) ?? [];
    if (index === undefined || offset === undefined) continue;
    const readable = name === undefined ? `function ${index}` : readableName(name.replace(moduleName, ""));
    // What Rust does about a panic is not where it was.
    if (readable.endsWith(panicHandler)) {
      names.length = 0;
      places.length = 0;
      continue;
    }
    names.push(readable.slice(0, longestName));
    places.push({ functionIndex: Number(index), offset: Number.parseInt(offset, 16) });
  }
  if (names.length === 0) return [];
  const frames = originalOffsets(codeMap, places).flatMap((offset, at) =>
    offset === undefined ? [] : [`${names[at]} at 0x${offset.toString(16)}`],
  );
  return frames.slice(0, mostFrames);
}
