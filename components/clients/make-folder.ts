import { mkdirSync, statSync } from "node:fs";
import { mkdir, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { codeOf } from "../thrown.ts";

/**
 * Makes a folder where it is missing, and those above it. `mkdir` of Node with `recursive` never ends below a folder that
 * takes none and says so with ENOENT, such as /proc.
 */
export async function makeFolder(path: string): Promise<void> {
  try {
    await mkdir(path);
  } catch (error) {
    if (await isFolder(path)) return;
    if (!isMissing(error) || dirname(path) === path) throw error;
    await makeFolder(dirname(path));
    await mkdir(path).catch(async (again: unknown) => {
      if (!(await isFolder(path))) throw again;
    });
  }
}

/** As `makeFolder`, for threads that may wait. */
export function makeFolderSync(path: string): void {
  try {
    mkdirSync(path);
  } catch (error) {
    if (isFolderSync(path)) return;
    if (!isMissing(error) || dirname(path) === path) throw error;
    makeFolderSync(dirname(path));
    try {
      mkdirSync(path);
    } catch (again) {
      if (!isFolderSync(path)) throw again;
    }
  }
}

const isFolder = (path: string): Promise<boolean> =>
  stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  );

function isFolderSync(path: string): boolean {
  try {
    return statSync(path).isDirectory();
  } catch {
    return false;
  }
}

const isMissing = (error: unknown): boolean => codeOf(error) === "ENOENT";
