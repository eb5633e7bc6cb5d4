import { randomUUID } from "node:crypto";
import { type BigIntStats, constants } from "node:fs";
import { open, readdir, readFile, realpath, rename, rm, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { makeFolder } from "../clients/make-folder.ts";
import { isAbsence } from "../clients/rooted-path.ts";
import { RuntimeError } from "../error.ts";
import { messageOf } from "../thrown.ts";
import type { ItemsLayout } from "./items-file.ts";

/** A file of items that is there now. */
export interface FoundFile {
  readonly path: string;
  /** Changes with the file, whatever links lead to it. */
  readonly fingerprint: string;
  /** Absent in a file that is laid out by application. */
  readonly appId?: string;
}

const extension = ".yaml";

/** The files below a path: one laid out by application, or a folder with a list `APPLICATION.yaml` for each. */
export class ItemsFolder {
  readonly layout: ItemsLayout;
  /** Where a change of a name, such as the swap of a link, shows. */
  readonly watched: readonly string[];
  readonly #path: string;

  /** Makes a missing folder. */
  static async open(path: string): Promise<ItemsFolder> {
    const found = await stat(path).catch(unlessMissing);
    const isFile = found === undefined ? path.endsWith(extension) : found.isFile();
    try {
      await makeFolder(isFile ? dirname(path) : path);
    } catch (cause) {
      throw unwritable(path, cause);
    }
    return new ItemsFolder(path, isFile ? "by-application" : "list");
  }

  private constructor(path: string, layout: ItemsLayout) {
    this.#path = path;
    this.layout = layout;
    this.watched = layout === "list" ? [path, dirname(path)] : [dirname(path)];
  }

  /** The files by path; undefined while the folder itself is not there. */
  async list(): Promise<readonly FoundFile[] | undefined> {
    if (this.layout === "by-application") {
      const found = await stat(this.#path, { bigint: true }).catch(unlessMissing);
      if (found?.isFile()) return [{ path: this.#path, fingerprint: fingerprintOf(found) }];
      return (await stat(dirname(this.#path)).catch(unlessMissing)) === undefined ? undefined : [];
    }
    const names = await readdir(this.#path).catch(unlessMissing);
    const candidates = names?.filter((name) => name.endsWith(extension) && !name.startsWith(".")).sort();
    const files = candidates?.map(async (name) => {
      const path = join(this.#path, name);
      const found = await stat(path, { bigint: true }).catch(unlessMissing);
      const appId = decoded(name.slice(0, -extension.length));
      return found?.isFile() ? [{ path, fingerprint: fingerprintOf(found), appId }] : [];
    });
    return files === undefined ? undefined : (await Promise.all(files)).flat();
  }

  /** Where a new application's items go. */
  pathFor(appId: string): string {
    if (this.layout === "by-application") return this.#path;
    const name = `${encodeURIComponent(appId).replace(/^\./, "%2E")}${extension}`;
    if (appId !== "" && name.length <= 255) return join(this.#path, name);
    const message = `the application id '${appId}' is empty or too long for the name of a file`;
    throw new RuntimeError("INVALID_ARGUMENT", "APP_ID_INVALID", message);
  }
}

/** The text of a file, empty when there is none. */
export const readText = async (path: string): Promise<string> =>
  (await readFile(path, "utf8").catch(unlessMissing)) ?? "";

/** Replaces a file at once and durably; a link stays, and what it leads to is replaced. */
export async function replaceText(path: string, text: string): Promise<void> {
  const target = (await realpath(path).catch(unlessMissing)) ?? path;
  const temporary = join(dirname(target), `.${basename(target).slice(0, 200)}.${randomUUID()}.new`);
  try {
    const before = await stat(target).catch(unlessMissing);
    await using file = await open(
      temporary,
      constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL,
      before?.mode ?? 0o666,
    );
    await file.writeFile(text);
    await file.sync();
    await rename(temporary, target);
    await using folder = await open(dirname(target));
    await folder.sync();
  } catch (cause) {
    await rm(temporary, { force: true }).catch(() => undefined);
    throw unwritable(path, cause);
  }
}

function unwritable(path: string, cause: unknown): RuntimeError {
  const why = messageOf(cause);
  const message = `the configuration at '${path}' cannot be written (${why}); check its owner and its disk`;
  return new RuntimeError("UNAVAILABLE", "CONFIG_NOT_WRITABLE", message, { cause });
}

const fingerprintOf = ({ dev, ino, size, mtimeNs, ctimeNs }: BigIntStats): string =>
  [dev, ino, size, mtimeNs, ctimeNs].join(":");

function decoded(name: string): string {
  try {
    return decodeURIComponent(name);
  } catch {
    return name;
  }
}

function unlessMissing(error: unknown): undefined {
  if (isAbsence(error)) return;
  throw error;
}
