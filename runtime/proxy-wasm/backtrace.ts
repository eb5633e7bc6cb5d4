const frame = /^\s+at (?:(\S.*) \()?wasm:\/\/wasm\/[^:]*:wasm-function\[(\d+)\]:0x[\da-f]+\)?$/;
const mostFrames = 10;
const longestName = 100;

/**
 * The functions of the guest that an error came out of, the innermost first: by the module's name section, else by their
 * index. The host's own functions are left out, and so is the callback that was entered unless it has a name of its own.
 */
export function guestFunctions(cause: unknown): string[] {
  if (!(cause instanceof Error) || cause.stack === undefined) return [];
  const found: string[] = [];
  let isLastNamed = true;
  for (const line of cause.stack.split("\n")) {
    const [, name, index] = frame.exec(line) ?? [];
    if (index === undefined) continue;
    isLastNamed = name !== undefined;
    found.push(name === undefined ? `function ${index}` : name.slice(0, longestName));
    if (found.length === mostFrames) break;
  }
  return isLastNamed ? found : found.slice(0, -1);
}
