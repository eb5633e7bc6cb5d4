const maxDepth = 4;
const maxItems = 100;
const maxBytes = 32;

/** A value as a line of the log shows it: text as it is, errors with their stack and causes, anything else as its parts. */
export function describe(value: unknown): string {
  return typeof value === "string" ? value : part(value, 0, []);
}

/** An error as text: name, message, what the host said, where it was thrown, and its causes. */
export function errorText(error: unknown): string {
  return error instanceof Error ? errorPart(error, 0, []) : describe(error);
}

function part(value: unknown, depth: number, above: readonly object[]): string {
  if (typeof value === "string") return JSON.stringify(value);
  if (typeof value === "bigint") return `${value}n`;
  if (typeof value === "function") return `[function ${value.name || "without a name"}]`;
  if (typeof value !== "object" || value === null) return String(value);
  if (above.includes(value)) return "[circular]";
  if (value instanceof Error) return errorPart(value, depth, [...above, value]);
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? "Invalid Date" : value.toISOString();
  if (value instanceof RegExp) return String(value);
  if (value instanceof Uint8Array) return bytesPart(value);
  if (depth >= maxDepth) return Array.isArray(value) ? "[…]" : "{…}";
  return composite(value, depth + 1, [...above, value]);
}

function composite(value: object, depth: number, above: readonly object[]): string {
  const show = (item: unknown): string => part(item, depth, above);
  if (Array.isArray(value)) return `[${listed(value, show)}]`;
  if (value instanceof Set) return `Set {${listed([...value], show)}}`;
  if (value instanceof Map)
    return `Map {${listed([...value], ([key, item]: [unknown, unknown]) => `${show(key)} => ${show(item)}`)}}`;
  return `{${listed(Object.entries(value), ([key, item]) => `${key}: ${show(item)}`)}}`;
}

function listed<Item>(items: readonly Item[], show: (item: Item) => string): string {
  const shown = items.slice(0, maxItems).map(show);
  const rest = items.length - shown.length;
  return [...shown, ...(rest > 0 ? [`… ${rest} more`] : [])].join(", ");
}

function bytesPart(bytes: Uint8Array): string {
  const hex = Array.from(bytes.subarray(0, maxBytes), (byte) => byte.toString(16).padStart(2, "0")).join("");
  return `<${bytes.length} bytes${bytes.length === 0 ? "" : `: ${hex}${bytes.length > maxBytes ? "…" : ""}`}>`;
}

/** Most errors of the host are a kind and a sentence. */
function payloadPart(payload: unknown, depth: number, above: readonly object[]): string {
  const { tag, val }: { readonly tag?: unknown; readonly val?: unknown } = Object(payload);
  return typeof tag === "string" && typeof val === "string" ? `${tag}: ${val}` : part(payload, depth, above);
}

function errorPart(error: Error, depth: number, above: readonly object[]): string {
  const { name, message, stack = "", cause } = error;
  const payload = "payload" in error ? error.payload : undefined;
  const head = payload === undefined ? `${name}: ${message}` : `${name}: ${payloadPart(payload, depth, above)}`;
  // Some engines begin the stack with the name and the message, others with the first place.
  const places = stack
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line.startsWith("at "))
    .map((line) => `\n    ${line}`);
  const why =
    cause === undefined || depth >= maxDepth ? "" : `\ncaused by ${part(cause, depth + 1, [...above, error])}`;
  return `${head}${places.join("")}${why}`;
}
