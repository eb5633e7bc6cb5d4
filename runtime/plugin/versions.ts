import type { PluginArtifact } from "./artifact.ts";
import type { RolloutPolicy } from "./rollout/policy.ts";

/** Who does what the sidecar does by itself. */
export const ownName = "rollout";

/** A version of a plugin as it is kept: enough to deploy it again. */
export interface VersionRecord {
  readonly version: string;
  /** `sha256:` and hex, of the file as it was deployed. */
  readonly digest: string;
  /** The manifest as it was deployed, as YAML. */
  readonly manifest: string;
  /** Where it came from: a path, a URL, an OCI reference, `upload`. */
  readonly origin: string;
  /** Who deployed it: the name of a token, `directory`, or `rollout` for what the sidecar does by itself. */
  readonly by: string;
  /** Milliseconds since the epoch. */
  readonly deployedAt: number;
}

/** What is kept of one plugin: its stable version, the one on trial, and those that may be gone back to. */
export interface PluginRecord {
  readonly plugin: string;
  readonly stable: VersionRecord | undefined;
  readonly trial:
    | {
        readonly version: VersionRecord;
        readonly policy: RolloutPolicy;
        readonly phase: "staged" | "canary" | "paused";
      }
    | undefined;
  /** The newest first. */
  readonly previous: readonly VersionRecord[];
}

export type DeployAction = "deploy" | "promote" | "abort" | "pause" | "resume" | "rollback" | "undeploy";

/** One line of the history: who did what, when, and what came of it. */
export interface HistoryEntry {
  /** Milliseconds since the epoch. */
  readonly at: number;
  readonly plugin: string;
  readonly action: DeployAction;
  readonly version: string;
  readonly digest: string;
  readonly by: string;
  readonly outcome: "done" | "refused";
  /** Why it was refused, or why the sidecar did it by itself. */
  readonly reason?: string;
}

/** Keeps plugins on disk, so that what was deployed is there again after a restart, whatever ended the process. */
export interface VersionStore {
  /**
   * Keeps the module and its manifest by digest; resolves when they are durable. No record names it until the next `save` for its
   * plugin, which comes after it: until then it must stay.
   */
  keep(artifact: PluginArtifact): Promise<void>;
  /** Rejects with PluginError when the module is gone or is not the one that was kept. */
  load(version: VersionRecord): Promise<PluginArtifact>;
  /** Replaces what is kept of the plugin, all of it or nothing; resolves when it is durable. Modules that no record names may go. */
  save(record: PluginRecord): Promise<void>;
  /** Adds a line to the history; resolves when it is durable. */
  log(entry: HistoryEntry): Promise<void>;
}
