/** Where files lie whose names may be those of folders: `a` and `a/b` are two files, which no file system has side by side. */
import { type BigIntStats, constants } from "node:fs";
import { type FileHandle, mkdir, open, rename, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { isAbsence } from "../clients/rooted-path.ts";

/** Ends the file of a name that is a folder's, too. No name may end so. */
export const besideFolder = ".outrigger-file";

/** A file that is there. */
export interface FoundFile {
  readonly path: string;
  readonly stats: BigIntStats;
}

/** The regular file for a path: there, or beside the folder that is there. */
export async function findFile(path: string): Promise<FoundFile | undefined> {
  return (await fileAt(path)) ?? (await fileAt(path + besideFolder));
}

/** As `findFile`, open to be read. */
export async function openFile(path: string): Promise<FileHandle | undefined> {
  for (let found = await findFile(path); found !== undefined; found = await findFile(path)) {
    try {
      // What was found is opened, not a link that came meanwhile; a pipe must not wait for who writes to it.
      return await open(found.path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    } catch (error) {
      // It was deleted, or has moved beside a folder.
      if (!isAbsence(error)) throw error;
    }
  }
  return undefined;
}

/** For a folder that was made for a file, and removed as empty by another sidecar before the file came. */
const tries = 3;

/** Moves a file to the path, or beside the folder that is there; resolves to where it is, and what folders have changed for it. */
export async function moveFile(
  from: string,
  { path, root }: { readonly path: string; readonly root: string },
): Promise<{ readonly place: string; readonly changed: readonly string[] }> {
  const folder = dirname(path);
  for (let left = tries; ; left--) {
    try {
      const made = await makeFolder(folder, root);
      const place = (await isFolder(path)) ? path + besideFolder : path;
      await rename(from, place);
      const changed = [folder];
      for (let one = folder; made !== undefined && one !== dirname(made); one = dirname(one))
        changed.push(dirname(one));
      return { place, changed };
    } catch (error) {
      if (left === 1 || !isAbsence(error)) throw error;
    }
  }
}

/** Resolves once the disk knows what the folders hold; one that is no longer there holds nothing. */
export async function syncFolders(folders: readonly string[]): Promise<void> {
  for (const folder of folders) {
    try {
      await using handle = await open(folder);
      await handle.sync();
    } catch (error) {
      if (!isAbsence(error)) throw error;
    }
  }
}

/** Makes the folder, and the way to it: files that are in it move aside. Resolves to the first that it made. */
async function makeFolder(folder: string, root: string): Promise<string | undefined> {
  try {
    return await mkdir(folder, { recursive: true });
  } catch (error) {
    let moved = false;
    for (let part = folder; part.length > root.length; part = dirname(part)) {
      if ((await fileAt(part)) === undefined) continue;
      await rename(part, part + besideFolder);
      moved = true;
    }
    if (!moved) throw error;
    return mkdir(folder, { recursive: true });
  }
}

async function fileAt(path: string): Promise<FoundFile | undefined> {
  const stats = await statsAt(path);
  return stats?.isFile() ? { path, stats } : undefined;
}

const isFolder = async (path: string): Promise<boolean> => (await statsAt(path))?.isDirectory() === true;

async function statsAt(path: string): Promise<BigIntStats | undefined> {
  try {
    return await stat(path, { bigint: true });
  } catch (error) {
    if (isAbsence(error)) return undefined;
    throw error;
  }
}
