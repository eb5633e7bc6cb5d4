import { type CodePlace, originalOffsets } from "../plugin/sandbox/code-map.ts";

const frame = /^\s+at (?:(\S.*) \()?wasm:\/\/wasm\/[^:]*:wasm-function\[(\d+)\]:0x([\da-f]+)\)?$/;
const mostFrames = 10;
const longestName = 100;

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
    names.push(name === undefined ? `function ${index}` : name.slice(0, longestName));
    places.push({ functionIndex: Number(index), offset: Number.parseInt(offset, 16) });
    if (names.length === mostFrames) break;
  }
  if (names.length === 0) return [];
  return originalOffsets(codeMap, places).flatMap((offset, at) =>
    offset === undefined ? [] : [`${names[at]} at 0x${offset.toString(16)}`],
  );
}
