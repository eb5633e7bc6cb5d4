import { makeArtifact, type PluginArtifact, readManifestBeside, readModule } from "./artifact.ts";
import type { PluginFile } from "./directory-scan.ts";
import { checkModule } from "./module-check.ts";
import { isPacked } from "./packed-manifest.ts";
import type { PluginDirectoryOptions } from "./watch.ts";

/** A file to be deployed, read already or not. */
export interface SettledFile {
  readonly file: PluginFile;
  readonly artifact?: PluginArtifact;
}

/** Larger modules are not read before they are quiet: someone may be copying them for long. */
const maxBytes = 4 * 1024 ** 2;

/**
 * Those of the changed files that need not prove quiet: a module with its manifest inside, and nothing beside it, says of itself
 * whether it is whole. Others that are whole are compiled while they are waited for; `isWhole` is told of those with a manifest.
 */
export async function earlyFiles(
  changed: readonly PluginFile[],
  { admit, registry }: Pick<PluginDirectoryOptions, "admit" | "registry">,
  isWhole: (file: PluginFile) => void,
): Promise<SettledFile[]> {
  const early: SettledFile[] = [];
  for (const file of changed) {
    if (file.moduleBytes > maxBytes) continue;
    const artifact = await readWhole(file, admit);
    if (artifact === undefined) continue;
    if (!file.hasCompany && isPacked(artifact.bytes)) early.push({ file, artifact });
    else {
      registry.anticipate?.(artifact);
      if (file.hasCompany) isWhole(file);
    }
  }
  return early;
}

/** The artifact, if it is whole and may be deployed as it is now; what is wrong with it is told when it is quiet. */
async function readWhole(
  { path }: PluginFile,
  admit: PluginDirectoryOptions["admit"],
): Promise<PluginArtifact | undefined> {
  try {
    const bytes = await readModule(path);
    const check = await checkModule(bytes);
    if (check.problem !== undefined) return undefined;
    const artifact = makeArtifact(bytes, path, await readManifestBeside(path), undefined, check);
    await admit?.(artifact, path);
    return artifact;
  } catch {
    return undefined;
  }
}
