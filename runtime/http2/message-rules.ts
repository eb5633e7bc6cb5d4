/** What makes a field section malformed (RFC 9113, sections 8.2 and 8.3): the stream is reset with PROTOCOL_ERROR then. */
import type { HeaderBlock } from "./header-block.ts";

/** What a check of a section found; kept with the block, since equal sections come again and again. */
export interface SectionFacts {
  /** What is wrong, as a sentence; undefined when nothing is. */
  readonly fault: string | undefined;
  /** The value of content-length; -1 without it. */
  readonly contentLength: number;
  /** Of a response; 0 for others. */
  readonly status: number;
}

type SectionKind = "request" | "response" | "trailers";

/**
 * What pseudo-header fields of a request look like (section 8.3.1): what goes on over HTTP/1.1 must not end a request line
 * early (section 10.3).
 */
const requestPseudo = new Map<string, RegExp>([
  [":method", /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/],
  [":scheme", /^[A-Za-z][A-Za-z0-9+.-]*$/],
  [":authority", /^[!-?A-~\x80-\xff]*$/],
  [":path", /^[/*][!-~\x80-\xff]*$/],
]);
const connectionSpecific = new Set(["connection", "proxy-connection", "keep-alive", "transfer-encoding", "upgrade"]);
/** By the code of a character: 1 where a name may have it. A loop over it costs a third of a regular expression. */
const nameOctets = new Uint8Array(128);
for (const character of "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz") nameOctets[character.charCodeAt(0)] = 1;
/** A number of three digits; 101 is of HTTP/1.1 alone (section 8.6). */
const statusForm = /^(?!101)[1-9]\d\d$/;
export function sectionFacts(block: HeaderBlock, kind: SectionKind): SectionFacts {
  const known = block.facts;
  if (known?.kind === kind) return known;
  const facts = inspect(block.flat, kind);
  block.facts = facts;
  return facts;
}

function inspect(flat: readonly string[], kind: SectionKind): SectionFacts & { readonly kind: SectionKind } {
  let contentLength = -1;
  let status = 0;
  let hasRegular = false;
  const seen: string[] = [];
  const wrong = (fault: string) => ({ kind, fault, contentLength, status });
  for (let at = 0; at < flat.length; at += 2) {
    const name = flat[at] ?? "";
    const value = flat[at + 1] ?? "";
    if (!isFieldValue(value)) return wrong(`the value of '${name}' holds an octet that is not allowed`);
    if (name.charCodeAt(0) === 0x3a) {
      if (hasRegular) return wrong(`'${name}' comes after regular fields`);
      if (seen.includes(name)) return wrong(`'${name}' comes twice`);
      const form = kind === "request" ? requestPseudo.get(name) : name === ":status" ? statusForm : undefined;
      if (form === undefined || kind === "trailers") {
        return wrong(`'${name.slice(0, 64)}' is no pseudo-header field of a ${kind}`);
      }
      if (!form.test(value)) return wrong(`'${name}' cannot be '${value.slice(0, 64)}'`);
      seen.push(name);
      if (name === ":status") status = Number(value);
      continue;
    }
    hasRegular = true;
    if (!isFieldName(name)) return wrong(`'${name.slice(0, 64)}' is not a field name in lower case`);
    if (connectionSpecific.has(name)) return wrong(`'${name}' belongs to HTTP/1.1`);
    if (name === "te" && value !== "trailers") return wrong("'te' may only be 'trailers'");
    if (name === "content-length") {
      if (!/^\d{1,15}$/.test(value) || (contentLength >= 0 && contentLength !== Number(value))) {
        return wrong("'content-length' is not one number");
      }
      contentLength = Number(value);
    }
  }
  return { kind, fault: missing(kind, seen, flat), contentLength, status };
}

/** Section 8.2: a token in lower case. */
function isFieldName(name: string): boolean {
  for (let at = 0; at < name.length; at += 1) if (nameOctets[name.charCodeAt(at)] !== 1) return false;
  return name.length > 0;
}

/** No NUL, CR or LF anywhere, and no blank at either end (section 8.2.1). */
function isFieldValue(value: string): boolean {
  const { length } = value;
  for (let at = 0; at < length; at += 1) {
    const code = value.charCodeAt(at);
    if (code <= 13 && (code === 0 || code === 10 || code === 13)) return false;
  }
  return length === 0 || !(isBlank(value.charCodeAt(0)) || isBlank(value.charCodeAt(length - 1)));
}

const isBlank = (code: number): boolean => code === 0x20 || code === 0x09;

function missing(kind: SectionKind, seen: readonly string[], flat: readonly string[]): string | undefined {
  if (kind === "response") return seen.length === 1 ? undefined : "':status' is missing";
  if (kind === "trailers") return undefined;
  const field = (name: string): string | undefined =>
    seen.includes(name) ? flat[seen.indexOf(name) * 2 + 1] : undefined;
  const method = field(":method");
  if (method === "CONNECT") {
    const isPlain = seen.length === 2 && seen.includes(":authority");
    return isPlain ? undefined : "CONNECT takes ':method' and ':authority' alone";
  }
  const absent = [":method", ":scheme", ":path"].find((name) => !seen.includes(name));
  if (absent !== undefined) return `'${absent}' is missing`;
  const path = field(":path") ?? "";
  return path.startsWith("/") || (path === "*" && method === "OPTIONS") ? undefined : `':path' cannot be '*'`;
}
