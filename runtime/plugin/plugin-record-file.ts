import { createHash } from "node:crypto";
import { z } from "zod";
import { name } from "../config/scalars.ts";
import { rolloutPolicy } from "./rollout/policy.ts";
import type { PluginRecord } from "./versions.ts";

/** What the plugins directory last deployed under a name. */
export interface DirectoryDeploy {
  /** The `.wasm`, as an absolute path. */
  readonly path: string;
  readonly digest: string;
  /** `sha256:` and hex, of the manifest. */
  readonly manifest: string;
}

/** What a file of `records/` holds. */
export interface StoredPlugin {
  readonly record: PluginRecord;
  readonly directory: DirectoryDeploy | undefined;
}

const digest = z.string().regex(/^sha256:[0-9a-f]{64}$/);
const versionSchema = z.object({
  version: z.string(),
  digest,
  manifest: z.string(),
  origin: z.string(),
  by: z.string(),
  deployedAt: z.number(),
});

/** A policy is kept with its times in milliseconds, and read as one that was written by hand. */
const storedPolicy = z.preprocess((policy) => {
  const isOurs = typeof policy === "object" && policy !== null && "window" in policy;
  return isOurs && typeof policy.window === "number" ? { ...policy, window: `${policy.window}ms` } : policy;
}, rolloutPolicy);

const storedSchema = z.object({
  plugin: name,
  stable: versionSchema.optional(),
  trial: z
    .object({ version: versionSchema, policy: storedPolicy, phase: z.enum(["staged", "canary", "paused"]) })
    .optional(),
  previous: z.array(versionSchema),
  directory: z.object({ path: z.string(), digest, manifest: digest }).optional(),
});

const longestPlainName = 100;

/** The file of a plugin's record; names that differ in their case differ on every file system. */
export function recordFileName(plugin: string): string {
  if (plugin.length <= longestPlainName && plugin === plugin.toLowerCase()) return `${plugin}.json`;
  const hash = createHash("sha256").update(plugin).digest("hex").slice(0, 16);
  return `${plugin.toLowerCase().slice(0, longestPlainName)}~${hash}.json`;
}

export const writeStored = ({ record, directory }: StoredPlugin): string =>
  `${JSON.stringify({ ...record, directory }, undefined, 2)}\n`;

/** Throws a sentence when the text is no record, or lies under another name than its own. */
export function readStored(text: string, fileName: string): StoredPlugin {
  const { directory, plugin, stable, trial, previous } = storedSchema.parse(JSON.parse(text));
  if (recordFileName(plugin) !== fileName) throw new Error(`it is that of plugin '${plugin}'`);
  return { record: { plugin, stable, trial, previous }, directory };
}
