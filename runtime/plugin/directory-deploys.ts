import { dirname } from "node:path";
import type { Log } from "../telemetry/log.ts";
import type { PluginArtifact } from "./artifact.ts";
import { digestOf } from "./digest.ts";
import type { PluginOperations } from "./operations.ts";
import { PluginError } from "./plugin-error.ts";
import type { DirectoryDeploy } from "./plugin-record-file.ts";
import type { PluginRecord, VersionRecord } from "./versions.ts";

/** What is remembered of a plugins directory beyond the end of the process. */
export interface DirectoryMemory {
  record(plugin: string): PluginRecord | undefined;
  directoryDeploys(): Iterable<readonly [plugin: string, deploy: DirectoryDeploy]>;
  directoryDeploy(plugin: string): DirectoryDeploy | undefined;
  rememberDirectoryDeploy(plugin: string, deploy: DirectoryDeploy | undefined): Promise<void>;
}

export interface DirectoryDeploysOptions {
  /** Without one, every file is deployed, and every plugin goes with its file. */
  readonly memory?: DirectoryMemory | undefined;
  readonly operations: Pick<PluginOperations, "deploy" | "remove" | "abort" | "list">;
  readonly log: Log;
}

const by = "directory";

/**
 * What the plugins directory deploys and removes, beside those who do so through the API: a file counts when it is not what the
 * directory deployed last, so that what was rolled back or replaced since stays so, also after a restart.
 */
export class DirectoryDeploys {
  readonly #options: DirectoryDeploysOptions;

  constructor(options: DirectoryDeploysOptions) {
    this.#options = options;
  }

  /** The plugins whose files were in that directory when it was last looked at. */
  knownIn(directory: string): { readonly plugin: string; readonly path: string }[] {
    const known = [...(this.#options.memory?.directoryDeploys() ?? [])];
    return known.filter(([, { path }]) => dirname(path) === directory).map(([plugin, { path }]) => ({ plugin, path }));
  }

  /** Deploys what lies at the path, unless the directory did and another version has taken its place since. */
  async deploy(artifact: PluginArtifact, path: string): Promise<void> {
    const { memory, operations, log } = this.#options;
    const { name, version } = artifact.manifest;
    const found: DirectoryDeploy = { path, digest: artifact.digest, manifest: digestOf(artifact.manifestText) };
    const last = memory?.directoryDeploy(name);
    const isKnown = last?.digest === found.digest && last.manifest === found.manifest;
    const record = memory?.record(name);
    if (!isKnown) {
      await operations.deploy(artifact, { by }).catch(async (error: unknown) => {
        // Someone ended it by hand: that stays so, as a rollback does.
        if (error instanceof PluginError && error.fault === "conflict")
          await memory?.rememberDirectoryDeploy(name, found);
        throw error;
      });
    } else if (![record?.stable, record?.trial?.version].some((one) => isOf(one, artifact))) {
      const why = `plugin '${name}' ${version} was deployed from it before, and has been replaced or removed since`;
      log.info({ plugin: name, file: path }, `${path} is left alone: ${why}; change it to deploy it again`);
    } else {
      // What is well is not deployed once more: that might come after what is being deployed in its place right now.
      const status = operations.list().find((one) => one.name === name);
      if (status?.state !== "serving" || status.reason !== undefined) await operations.deploy(artifact, { by });
    }
    if (!isKnown || last.path !== path) await memory?.rememberDirectoryDeploy(name, found);
  }

  /** The plugin's file is gone: what the directory deployed goes with it, what others deployed stays. */
  async gone(plugin: string): Promise<void> {
    const { memory, operations, log } = this.#options;
    const { stable, trial } = memory?.record(plugin) ?? {};
    const isOthers = (version: VersionRecord | undefined): boolean => version !== undefined && version.by !== by;
    if (!isOthers(stable) && !isOthers(trial?.version)) await operations.remove(plugin, by);
    else {
      if (trial?.version.by === by) await operations.abort(plugin, by);
      const message = `the file of plugin '${plugin}' is gone; what was deployed in its place through the API stays`;
      log.info({ plugin }, message);
    }
    if (memory?.directoryDeploy(plugin) !== undefined) await memory.rememberDirectoryDeploy(plugin, undefined);
  }

  /** The plugins that were deployed from another directory. */
  notIn(directory: string | undefined): string[] {
    const known = [...(this.#options.memory?.directoryDeploys() ?? [])];
    return known.filter(([, { path }]) => dirname(path) !== directory).map(([plugin]) => plugin);
  }
}

const isOf = (version: VersionRecord | undefined, { digest, manifestText }: PluginArtifact): boolean =>
  version !== undefined && version.digest === digest && version.manifest === manifestText;
