import { parse, stringify } from "yaml";
import type { PluginArtifact } from "./artifact.ts";
import { locateBelow } from "./below-directory.ts";
import type { PluginSettings } from "./deployments.ts";
import type { PluginOperations } from "./operations.ts";
import { PluginError } from "./plugin-error.ts";
import type { PluginRecord, VersionRecord } from "./versions.ts";

export interface LayottoDeploymentsOptions {
  readonly operations: PluginOperations;
  /** The plugin whose guest gave itself that id. */
  readonly nameOf: (id: string) => string | undefined;
  readonly store: {
    record(plugin: string): PluginRecord | undefined;
    load(version: VersionRecord): Promise<PluginArtifact>;
  };
  /** As the configuration has them now: modules lie below `directory`. */
  readonly settings: () => PluginSettings;
}

export interface InstallRequest {
  readonly name: string;
  readonly path: string;
  /** Undefined for the manifest's. */
  readonly instances: number | undefined;
  /** Handed to the plugin; undefined for the manifest's. */
  readonly configuration: Readonly<Record<string, string>> | undefined;
}

/** Functions as Layotto installs, changes and uninstalls them. */
export class LayottoDeployments {
  readonly #options: LayottoDeploymentsOptions;

  constructor(options: LayottoDeploymentsOptions) {
    this.#options = options;
  }

  /** The plugin that has the id as its name, or whose guest gave it to itself. */
  find(id: string): string | undefined {
    const { operations, nameOf } = this.#options;
    const isNamed = operations.list().some(({ name, state }) => name === id && state !== "refused");
    return isNamed ? id : nameOf(id);
  }

  /** Rejects with PluginError when the path is not below the plugins directory, or what lies there is refused. */
  async install({ name, path, instances, configuration }: InstallRequest, by: string): Promise<void> {
    const { directory, signatures } = this.#options.settings();
    const place = await locateBelow(directory, path);
    const { readArtifact } = await import("./artifact.ts");
    const found = await readArtifact(place);
    if (signatures.require !== false) {
      const { requireSignedFile } = await import("./source/signed-file.ts");
      await requireSignedFile(found, place, signatures);
    }
    const isBare = found.manifestText === `name: ${found.manifest.name}\n`;
    const artifact = await changed(found, {
      name,
      ...(isBare && { kind: "service" }),
      ...(configuration !== undefined && { configuration }),
      ...(instances !== undefined && { limits: { instances } }),
    });
    await this.#options.operations.deploy(artifact, { by });
  }

  /** Deploys what runs with another number of instances. */
  async update(plugin: string, instances: number, by: string): Promise<void> {
    const { operations, store } = this.#options;
    const stable = store.record(plugin)?.stable;
    if (stable === undefined) throw new PluginError(plugin, "", "missing", `${plugin} has no version that is kept`);
    await operations.deploy(await changed(await store.load(stable), { limits: { instances } }), { by });
  }

  async uninstall(plugin: string, by: string): Promise<void> {
    await this.#options.operations.remove(plugin, by);
  }
}

async function changed(artifact: PluginArtifact, change: Readonly<Record<string, unknown>>): Promise<PluginArtifact> {
  const { makeArtifact } = await import("./artifact.ts");
  const manifest = (parse(artifact.manifestText) ?? {}) as Record<string, unknown>;
  const limits = { ...(manifest["limits"] as object | undefined), ...(change["limits"] as object | undefined) };
  const text = stringify({ ...manifest, ...change, ...(Object.keys(limits).length > 0 && { limits }) });
  return makeArtifact(artifact.bytes, artifact.origin, { text, path: artifact.origin }, undefined, artifact);
}
