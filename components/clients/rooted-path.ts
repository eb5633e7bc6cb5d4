import { lstat, realpath } from "node:fs/promises";
import { join, relative, sep } from "node:path";
import { RuntimeError } from "../error.ts";
import { codeOf } from "../thrown.ts";
import { makeFolder } from "./make-folder.ts";

/** A folder that no name leads out of, whatever the name says and wherever links in the folder point. */
export interface RootedPath {
  /** The folder itself: absolute, its own links followed. */
  readonly root: string;
  /**
   * The absolute path of a name such as `2026/may/report.pdf`, whether or not there is a file. Links that stay below the
   * root are followed. Rejects with INVALID_ARGUMENT for a name that is empty, absolute, has a NUL, or a part that is
   * empty, `.`, `..` or over 255 bytes; for one over 4,000 bytes; and for a link that leads out or nowhere.
   */
  resolve(name: string): Promise<string>;
}

const longestPartBytes = 255;
const longestNameBytes = 4_000;

/** Makes the folder where it is missing. `owner` is who speaks in messages: `the binding 'files'`. */
export async function rootedPath(directory: string, owner: string): Promise<RootedPath> {
  await makeFolder(directory);
  const root = await realpath(directory);
  return { root, resolve: (name) => resolveBelow(root, name, owner) };
}

async function resolveBelow(root: string, name: string, owner: string): Promise<string> {
  const parts = name.split("/");
  const mistake = mistakeOf(name, parts);
  if (mistake !== undefined) throw refusal(name, owner, mistake);
  let path = root;
  for (const [index, part] of parts.entries()) {
    const next = join(path, part);
    const isLink = await isSymbolicLink(next);
    if (isLink === undefined) return join(path, ...parts.slice(index));
    path = isLink ? await targetOf(next) : next;
    if (!isBelow(root, path)) throw refusal(name, owner, "it passes a link that leads out of the folder, or nowhere");
  }
  return path;
}

function mistakeOf(name: string, parts: readonly string[]): string | undefined {
  if (name === "") return "it is empty";
  if (name.includes("\0")) return "it has a NUL character";
  if (name.startsWith("/")) return "it is absolute";
  if (sep !== "/" && /[\\:]/.test(name)) return "it has a backslash or a colon";
  if (parts.some((part) => part === "" || part === "." || part === ".."))
    return "one of its parts is empty, '.' or '..'";
  if (parts.some((part) => Buffer.byteLength(part) > longestPartBytes))
    return `one of its parts is longer than ${longestPartBytes} bytes`;
  if (Buffer.byteLength(name) > longestNameBytes) return `it is longer than ${longestNameBytes} bytes`;
  return undefined;
}

/** Undefined when nothing is there. */
async function isSymbolicLink(path: string): Promise<boolean | undefined> {
  try {
    return (await lstat(path)).isSymbolicLink();
  } catch (error) {
    if (isAbsence(error)) return undefined;
    throw error;
  }
}

/** Where a link leads in the end; empty when nowhere. */
async function targetOf(link: string): Promise<string> {
  try {
    return await realpath(link);
  } catch (error) {
    const isLoop = codeOf(error) === "ELOOP";
    if (isLoop || isAbsence(error)) return "";
    throw error;
  }
}

const isBelow = (root: string, path: string): boolean => {
  const way = relative(root, path);
  return path !== "" && way !== ".." && !way.startsWith(`..${sep}`);
};

/** Whether a file operation failed since there is no such file, or a part of its path is no folder. */
export function isAbsence(error: unknown): boolean {
  return ["ENOENT", "ENOTDIR"].includes(codeOf(error) ?? "");
}

function refusal(name: string, owner: string, why: string): RuntimeError {
  const shown = name.length > 100 ? `${name.slice(0, 100)}...` : name;
  const message = `${owner} refuses the name '${shown}': ${why}; expected a path below its folder, such as reports/may.pdf`;
  return new RuntimeError("INVALID_ARGUMENT", "NAME_INVALID", message);
}
