import { validateHeaderName, validateHeaderValue } from "node:http";
import { RuntimeError } from "../error.ts";

/** Fields that belong to the connection or to the framing of a message, or choose another host. */
const reserved = /^(connection|content-length|expect|host|keep-alive|te|trailer|transfer-encoding|upgrade|proxy-.*)$/i;

/**
 * The URL below `base` that a path such as `/orders/7?full=1` names. Throws INVALID_ARGUMENT for one that names a host of its
 * own, climbs with `..`, or cannot stand in a request.
 */
export function urlBelow(base: URL, path: string, owner: string): URL {
  if (path === "") return base;
  const mistake = mistakeOfPath(path);
  if (mistake !== undefined) throw refusal("PATH_INVALID", `${owner} refuses the path '${shown(path)}': ${mistake}`);
  const separator = base.pathname.endsWith("/") || path.startsWith("?") ? "" : "/";
  const url = new URL(`${base.href}${separator}${path.replace(/^\//, "")}`);
  if (url.origin === base.origin && url.pathname.startsWith(base.pathname)) return url;
  throw refusal("PATH_INVALID", `${owner} refuses the path '${shown(path)}': it leaves the address of the binding`);
}

function mistakeOfPath(path: string): string | undefined {
  if (!/^[\x21-\x7e]+$/.test(path)) return "it has a blank or a character that must be percent-encoded";
  if (/^[a-z][a-z\d+.-]*:/i.test(path)) return "it looks like an address of its own; let it begin with /";
  if (path.startsWith("//") || path.includes("\\"))
    return "it begins with // or has a backslash, which may mean a host";
  if (path.includes("#")) return "it has a fragment, which no server gets";
  const [steps = ""] = path.split("?");
  let decoded: string;
  try {
    decoded = decodeURIComponent(steps);
  } catch {
    return "its percent-encoding is broken";
  }
  return decoded.split(/[/\\]/).some((step) => step === ".." || step === ".") ? "it has a step '..' or '.'" : undefined;
}

/** The headers among metadata: what begins with a capital. Throws INVALID_ARGUMENT for one that cannot be sent. */
export function headersOf(metadata: Readonly<Record<string, string>>, owner: string): Record<string, string> {
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(metadata)) {
    if (!/^[A-Z]/.test(name)) continue;
    const mistake = mistakeOfHeader(name, value);
    if (mistake !== undefined)
      throw refusal("HEADER_INVALID", `${owner} refuses the header '${shown(name)}': ${mistake}`);
    headers[name.toLowerCase()] = value;
  }
  return headers;
}

/** Undefined when the header can be sent. */
export function mistakeOfHeader(name: string, value: string): string | undefined {
  if (reserved.test(name)) return "it belongs to the connection, which is not the caller's";
  try {
    validateHeaderName(name);
    validateHeaderValue(name, value);
    return undefined;
  } catch {
    return "its name or its value has characters that no header may have";
  }
}

/** Fields of a response as metadata, named as Go's servers and clients write them: `Content-Type`. */
export function metadataOf(rawHeaders: readonly string[]): Record<string, string> {
  const metadata: Record<string, string> = {};
  for (let index = 0; index + 1 < rawHeaders.length; index += 2) {
    const name = (rawHeaders[index] ?? "").toLowerCase().replace(/(^|-)[a-z]/g, (start) => start.toUpperCase());
    const value = rawHeaders[index + 1] ?? "";
    metadata[name] = Object.hasOwn(metadata, name) ? `${metadata[name]}, ${value}` : value;
  }
  return metadata;
}

const shown = (text: string): string => (text.length > 100 ? `${text.slice(0, 100)}...` : text);

const refusal = (reason: string, message: string): RuntimeError =>
  new RuntimeError("INVALID_ARGUMENT", reason, message);
