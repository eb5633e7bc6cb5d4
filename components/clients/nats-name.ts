import { createHash } from "node:crypto";

/** Longest name that is written out: a subject of several of them fits the server's limit with all that stands around it. */
const longest = 160;

/**
 * A name as a part of a subject. Letters, digits, `_`, `-` and `/` stand for themselves, and so does a dot between two of
 * them; every other byte of its UTF-8 is written `=XX`, and a name that would be long is a digest behind `=_`. So no name
 * has wildcards, two names never meet, and what comes out is a valid key of a NATS bucket.
 */
export const natsNameOf = (name: string): string => encoded(name, /[^\w/.-]|^\.|\.$|\.(?=\.)|(?<=\.)\./gu);

/** The same with its dots written out, so that it is exactly one token of a subject. */
export const natsTokenOf = (name: string): string => encoded(name, /[^\w/-]/gu);

/** The name that a token stands for; undefined when only its digest is there. */
export function nameOfToken(token: string): string | undefined {
  if (token === "=") return "";
  if (token.startsWith("=_")) return undefined;
  return Buffer.from(
    token.replace(/=([\dA-F]{2})/g, (_, byte: string) => String.fromCharCode(Number.parseInt(byte, 16))),
    "latin1",
  ).toString();
}

/** The name that `natsNameOf` made the key of; `written` is the one that was kept beside a digest. Undefined when it made none. */
export function nameOfNats(key: string, written: string | undefined): string | undefined {
  const name = nameOfToken(key) ?? written;
  return name !== undefined && natsNameOf(name) === key ? name : undefined;
}

/** A name of fixed length for what several names tell apart, for consumers: those are names of files on the server. */
export const natsDigestOf = (...names: readonly string[]): string => digest(JSON.stringify(names)).slice(0, 22);

function encoded(name: string, special: RegExp): string {
  if (name.length <= longest) {
    const text = name === "" ? "=" : name.replace(special, bytesOf);
    if (text.length <= longest) return text;
  }
  return `=_${digest(name)}`;
}

const bytesOf = (text: string): string =>
  [...Buffer.from(text)].map((byte) => `=${byte.toString(16).toUpperCase().padStart(2, "0")}`).join("");

const digest = (text: string): string => createHash("sha256").update(text).digest("base64url");
