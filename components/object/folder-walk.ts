import type { Dirent } from "node:fs";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { isAbsence } from "../clients/rooted-path.ts";
import type { CallContext } from "../component.ts";
import { besideFolder } from "./file-places.ts";

/** Which files to walk over. */
export interface Walk {
  readonly root: string;
  /** An entry of the root that is not looked into. */
  readonly except: string;
  /** Only names that begin with it. */
  readonly prefix: string;
  /** Only names behind it. */
  readonly after: string;
}

/** An entry of a folder, by the name that what it holds begins with: a folder's ends in `/`. */
interface Entry {
  readonly name: string;
  readonly bytes: Buffer;
  readonly isFolder: boolean;
}

/** The names of regular files below the root, `/` between their parts, in the order of their UTF-8 bytes. Links are left out. */
export async function* filesBelow(walk: Walk, call: CallContext, folder = ""): AsyncGenerator<string, void> {
  call.signal.throwIfAborted();
  const after = Buffer.from(walk.after);
  let previous = "";
  for (const { name, bytes, isFolder } of await entriesOf(walk, folder)) {
    if (isFolder) {
      const isBefore = bytes.compare(after) < 0 && !walk.after.startsWith(name);
      const isAsked = name.startsWith(walk.prefix) || walk.prefix.startsWith(name);
      if (isAsked && !isBefore) yield* filesBelow(walk, call, name);
    } else if (name.startsWith(walk.prefix) && bytes.compare(after) > 0 && name !== previous) yield name;
    previous = name;
  }
}

async function entriesOf({ root, except }: Walk, folder: string): Promise<Entry[]> {
  const found = await readdir(join(root, folder), { withFileTypes: true }).catch((error: unknown): Dirent[] => {
    if (isAbsence(error)) return [];
    throw error;
  });
  return found
    .filter((one) => (one.isFile() || one.isDirectory()) && !(folder === "" && one.name === except))
    .map((one) => {
      const isFolder = one.isDirectory();
      const name = folder + (isFolder ? `${one.name}/` : withoutEnd(one.name));
      return { name, bytes: Buffer.from(name), isFolder };
    })
    .sort((one, other) => one.bytes.compare(other.bytes));
}

const withoutEnd = (name: string): string => (name.endsWith(besideFolder) ? name.slice(0, -besideFolder.length) : name);
