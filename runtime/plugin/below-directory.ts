import { realpath } from "node:fs/promises";
import { isAbsolute, relative, resolve, sep } from "node:path";
import { PluginError } from "./plugin-error.ts";

/**
 * The file at the path, from the plugins directory or from where the sidecar runs, links followed. Throws PluginError when it
 * is not below the directory: who may deploy may not read what else there is on the host.
 */
export async function locateBelow(directory: string | undefined, path: string): Promise<string> {
  if (directory === undefined) {
    const message =
      "modules by path lie below plugins.directory, which the configuration does not set; upload it instead";
    throw new PluginError("", "", "refused", message);
  }
  const root = await realpath(directory).catch(() => resolve(directory));
  for (const candidate of [resolve(root, path), resolve(path)]) {
    const real = await realpath(candidate).catch(() => undefined);
    if (real !== undefined && isBelow(root, real)) return real;
  }
  throw new PluginError("", "", "refused", `there is no '${path}' below plugins.directory ${directory}`);
}

function isBelow(root: string, path: string): boolean {
  const below = relative(root, path);
  return below !== "" && below !== ".." && !below.startsWith(`..${sep}`) && !isAbsolute(below);
}
