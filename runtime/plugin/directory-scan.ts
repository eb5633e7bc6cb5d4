import { readdir, realpath, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { codeOf } from "../../components/thrown.ts";
import { manifestExtensions, signatureExtension } from "./companion-files.ts";

/** A module in the directory, with what tells one state of it and of its manifest from another. */
export interface PluginFile {
  /** `orders` for `orders.wasm`. */
  readonly stem: string;
  readonly path: string;
  /** Changes when the module, its manifest or its signature is written, replaced, added or removed, or a link to them is swapped. */
  readonly signature: string;
  /** When one of them was last changed, in milliseconds since the epoch. */
  readonly changedMs: number;
  readonly moduleBytes: number;
  /** Whether a manifest or a signature lies beside the module. */
  readonly hasCompany: boolean;
}

export interface DirectoryScan {
  readonly files: ReadonlyMap<string, PluginFile>;
  /** Folders in which a change may matter, and the names there that do; undefined for every name. */
  readonly interests: ReadonlyMap<string, ReadonlySet<string> | undefined>;
}

/** Looks through the directory once; undefined when it does not exist. Files of editors and of copies in progress are left out. */
export async function scanDirectory(directory: string): Promise<DirectoryScan | undefined> {
  const interests = new Map<string, Set<string> | undefined>([[dirname(directory), new Set([basename(directory)])]]);
  let names: string[];
  try {
    names = await readdir(directory);
  } catch (error) {
    if (isAbsent(error)) return undefined;
    throw error;
  }
  interests.set(directory, undefined);
  const files = new Map<string, PluginFile>();
  for (const name of names.sort()) {
    if (!name.endsWith(".wasm") || name.startsWith(".")) continue;
    const path = join(directory, name);
    const module = await look(path, interests);
    if (module === undefined || !module.isFile) continue;
    const stem = basename(name, ".wasm");
    const manifests = manifestExtensions.map((extension) => look(join(directory, stem + extension), interests));
    const signature = look(path + signatureExtension, interests);
    const company = await Promise.all([...manifests, signature]);
    const states = [module, ...company];
    files.set(stem, {
      stem,
      path,
      signature: states.map((state) => state?.signature ?? "").join("|"),
      changedMs: Math.max(...states.map((state) => state?.changedMs ?? 0)),
      moduleBytes: module.bytes,
      hasCompany: company.some((state) => state !== undefined),
    });
  }
  return { files, interests };
}

/** What tells one state of a file from another, through links; adds the folder of what it really is to the interests. */
async function look(
  path: string,
  interests: Map<string, Set<string> | undefined>,
): Promise<
  | { readonly signature: string; readonly changedMs: number; readonly bytes: number; readonly isFile: boolean }
  | undefined
> {
  try {
    const found = await stat(path, { bigint: true });
    const real = await realpath(path);
    if (!interests.has(dirname(real))) interests.set(dirname(real), new Set());
    interests.get(dirname(real))?.add(basename(real));
    const { dev, ino, size, mtimeNs, ctimeNs } = found;
    const signature = [real, dev, ino, size, mtimeNs, ctimeNs].join(":");
    return { signature, changedMs: Number(found.ctimeMs), bytes: Number(size), isFile: found.isFile() };
  } catch (error) {
    if (isAbsent(error)) return undefined;
    throw error;
  }
}

/** Links that lead nowhere count as absent: a swap may be under way. */
function isAbsent(error: unknown): boolean {
  const code = codeOf(error);
  return code === "ENOENT" || code === "ENOTDIR" || code === "ELOOP";
}
