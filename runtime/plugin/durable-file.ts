/** Files that are there, whole, whenever the process or the machine ends. */
import { randomBytes } from "node:crypto";
import { mkdir, open, readdir, rename, rm, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";

const draft = /^\..*\.draft$/;

/** Writes the file anew, all of it or nothing; resolves when it outlives a loss of power. */
export async function replaceFile(path: string, content: string | Uint8Array): Promise<void> {
  const folder = dirname(path);
  const temporary = join(folder, `.${basename(path)}.${randomBytes(6).toString("hex")}.draft`);
  try {
    await using file = await open(temporary, "wx", 0o600);
    await file.writeFile(content);
    await file.sync();
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
  await syncFolder(folder);
}

/** Removes the file, if it is there, for good. */
export async function removeFile(path: string): Promise<void> {
  await rm(path, { force: true });
  await syncFolder(dirname(path));
}

/** What was renamed, made or removed in the folder stays so. */
export async function syncFolder(path: string): Promise<void> {
  await using folder = await open(path, "r");
  await folder.sync();
}

/** Makes a folder that its owner alone may read, where it is missing; the one above must be there. */
export async function makeOwnFolder(path: string): Promise<void> {
  try {
    await mkdir(path, 0o700);
  } catch (error) {
    if ((await stat(path).catch(() => undefined))?.isDirectory() !== true) throw error;
    return;
  }
  await syncFolder(dirname(path));
}

/** The files of the folder by name, without what a process that was killed had not finished; that is removed. */
export async function listFiles(folder: string): Promise<string[]> {
  const names = await readdir(folder);
  for (const name of names) if (draft.test(name)) await rm(join(folder, name), { force: true });
  return names.filter((name) => !draft.test(name)).sort();
}
