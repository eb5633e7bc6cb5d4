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

/** Without these there is no telling what a record is of, or what should serve. */
const coreSchema = z.object({
  plugin: name,
  stable: versionSchema.optional(),
  trial: z.unknown().optional(),
  previous: z.unknown().optional(),
  directory: z.unknown().optional(),
});
const trialSchema = z
  .object({ version: versionSchema, policy: storedPolicy, phase: z.enum(["staged", "canary", "paused"]) })
  .optional();
const previousSchema = z.array(z.unknown());
const directorySchema = z.object({ path: z.string(), digest, manifest: digest }).optional();

const longestPlainName = 100;

/** The file of a plugin's record; names that differ in their case differ on every file system. */
export function recordFileName(plugin: string): string {
  if (plugin.length <= longestPlainName && plugin === plugin.toLowerCase()) return `${plugin}.json`;
  const hash = createHash("sha256").update(plugin).digest("hex").slice(0, 16);
  return `${plugin.toLowerCase().slice(0, longestPlainName)}~${hash}.json`;
}

export const writeStored = ({ record, directory }: StoredPlugin): string =>
  `${JSON.stringify({ ...record, directory }, undefined, 2)}\n`;

/** A record as it was read, and the keys of what could not be read and is left out: a newer sidecar may have written it. */
export interface ReadPlugin {
  readonly stored: StoredPlugin;
  readonly leftOut: readonly string[];
}

/**
 * Reads a record as far as it can be read. Throws a sentence when the text is no record, has no stable version that can be read
 * where there is one, or lies under another name than its own.
 */
export function readStored(text: string, fileName: string): ReadPlugin {
  const core = coreSchema.parse(JSON.parse(text));
  const { plugin, stable } = core;
  if (recordFileName(plugin) !== fileName) throw new Error(`it is that of plugin '${plugin}'`);
  const leftOut: string[] = [];
  const read = <Value>(schema: z.ZodType<Value>, value: unknown, ...path: (string | number)[]): Value | undefined => {
    const { data, error } = schema.safeParse(value);
    if (error !== undefined) leftOut.push(whereWrong([...path, ...(error.issues[0]?.path ?? [])], error.issues[0]));
    return data;
  };
  const trial = read(trialSchema, core.trial, "trial");
  const previous = (read(previousSchema, core.previous, "previous") ?? []).flatMap((version, index) => {
    const one = read(versionSchema, version, "previous", index);
    return one === undefined ? [] : [one];
  });
  const directory = read(directorySchema, core.directory, "directory");
  return { stored: { record: { plugin, stable, trial, previous }, directory }, leftOut };
}

function whereWrong(path: readonly PropertyKey[], issue: z.core.$ZodIssue | undefined): string {
  const keys = issue?.code === "unrecognized_keys" ? issue.keys : [];
  return [...path, ...keys.slice(0, 1)].join(".");
}
