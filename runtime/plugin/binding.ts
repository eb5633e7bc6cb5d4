import type { ConnectionFilter, ConnectionHost } from "./connection-filter.ts";
import type { FailPolicy, PluginUse, StreamFilter, StreamHost } from "./contract.ts";
import type { Manifest } from "./manifest.ts";
import type { PluginError } from "./plugin-error.ts";
import type { InstancePool } from "./pool.ts";
import { configurationText } from "./release.ts";
import type { Trial } from "./rollout/trial.ts";

/** One configuration in use, and what serves it now. */
export interface Binding {
  /** As a route gave it; undefined for the manifest's own. */
  readonly given: string | undefined;
  readonly users: Set<PluginUse>;
  pool: InstancePool | undefined;
  /** While a version on trial takes a part of the streams. */
  trial: { readonly trial: Trial; readonly pool: InstancePool } | undefined;
}

/** The configuration as guests of that version read it. */
export const textOf = ({ given }: Binding, manifest: Manifest): string =>
  given ?? configurationText(manifest.configuration);

export interface UseTerms {
  readonly plugin: string;
  /** The route's; without it the manifest's. */
  readonly fail: FailPolicy | undefined;
  /** The manifest of the stable version, if one runs. */
  readonly manifest: () => Manifest | undefined;
  /** Why nothing runs. */
  readonly missing: () => PluginError;
  readonly left: () => void;
}

/** A use of the plugin with the binding's configuration; the caller enters it among the users. */
export function makeUse(binding: Binding, { plugin, fail, manifest, missing, left }: UseTerms): PluginUse {
  return {
    plugin,
    get fail() {
      return fail ?? manifest()?.fail ?? "closed";
    },
    get kind() {
      return manifest()?.kind;
    },
    get ready() {
      return binding.pool?.ready ?? false;
    },
    open(host: StreamHost): StreamFilter {
      const { pool, trial } = binding;
      if (pool === undefined) throw missing();
      return trial === undefined ? pool.open(host) : trial.trial.open(pool, trial.pool, host);
    },
    openConnection(host: ConnectionHost): ConnectionFilter {
      const { pool, trial } = binding;
      if (pool === undefined) throw missing();
      return trial === undefined ? pool.openConnection(host) : trial.trial.openConnection(pool, trial.pool, host);
    },
    async [Symbol.asyncDispose]() {
      if (binding.users.delete(this)) left();
    },
  };
}
