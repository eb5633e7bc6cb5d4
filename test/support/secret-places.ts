/** Places that hold given secrets, each with the settings of the store that reads them there. */
import { randomUUID } from "node:crypto";
import { mkdir, readlink, rename, rm, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Secret } from "../../components/secret/secret-store.ts";

type Secrets = Readonly<Record<string, Secret>>;

/** Environment variables of this process, under a prefix that nothing else has. */
export function environmentWith(secrets: Secrets): { readonly prefix: string } {
  const prefix = `SECRETS_${randomUUID()}_`;
  for (const [name, { [name]: value }] of Object.entries(secrets)) process.env[prefix + name] = value;
  return { prefix };
}

/** A file in JSON; secrets of several values need `multiValued`. */
export async function fileWith(secrets: Secrets, directory: string): Promise<{ readonly path: string }> {
  const path = join(directory, `${randomUUID()}.json`);
  const entries = Object.entries(secrets).map(([name, secret]) => [name, secret[name] ?? secret]);
  await writeFile(path, JSON.stringify(Object.fromEntries(entries)));
  return { path };
}

/** A folder as Kubernetes mounts it: links that lead through `..data` to the folder of the version in force. */
export async function mountWith(secrets: Secrets, directory: string): Promise<{ readonly path: string }> {
  const path = join(directory, randomUUID());
  await mkdir(path);
  await swapVersion(path, secrets);
  for (const name of Object.keys(secrets)) await symlink(join("..data", name), join(path, name));
  return { path };
}

/** Puts another version of the secrets in force at once, as the kubelet does. */
export async function swapVersion(path: string, secrets: Secrets): Promise<void> {
  const version = `..${randomUUID()}`;
  await mkdir(join(path, version));
  for (const [name, secret] of Object.entries(secrets)) {
    const single = secret[name];
    if (single !== undefined) {
      await writeFile(join(path, version, name), single);
      continue;
    }
    await mkdir(join(path, version, name));
    for (const [key, value] of Object.entries(secret)) await writeFile(join(path, version, name, key), value);
  }
  const before = await readlink(join(path, "..data")).catch(() => undefined);
  await symlink(version, join(path, "..data_tmp"));
  await rename(join(path, "..data_tmp"), join(path, "..data"));
  if (before !== undefined) await rm(join(path, before), { recursive: true });
}
