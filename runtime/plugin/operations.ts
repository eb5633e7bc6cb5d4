import type { PluginArtifact } from "./artifact.ts";
import type { RolloutPolicy } from "./rollout/policy.ts";
import type { PluginStatus } from "./status.ts";
import type { PluginRecord, VersionRecord } from "./versions.ts";

/** A step of a deploy that has ended. */
export interface DeployStep {
  readonly step: "fetch" | "keep" | "compile" | "start" | "warm-up" | "canary" | "switch";
  /** How long it took, in milliseconds. */
  readonly ms: number;
}

export interface DeployOptions {
  /** Who deploys, for the history; default `directory`. */
  readonly by?: string;
  /** In place of the manifest's `rollout`. */
  readonly policy?: RolloutPolicy;
  readonly progress?: (step: DeployStep) => void;
  /** Who asked has left when it aborts: what has not begun by then is not done. */
  readonly signal?: AbortSignal;
}

/**
 * What can be done to the plugins of the process, whoever asks: the directory, the admin API, Layotto's routes. Each resolves
 * when what it did is durable and in effect. Each rejects with PluginError, and leaves everything as it was, when it cannot be
 * done; only `rollback` and `abort` do not wait for the disk: when that is full, the status says so until it is durable.
 */
export interface PluginOperations {
  /** A plugin is on its way: what it is compiled and run by loads meanwhile. */
  expect(): void;
  /**
   * Starts the version aside and, as its policy says, puts it in service, on trial, or leaves it staged; the first version of
   * a plugin has none to be tried against and is in service at once, unless it is to be staged. Another version on trial is
   * gone, also by deploying what is stable already. Deploying what is on trial changes nothing; with another policy, its trial
   * begins anew.
   */
  deploy(artifact: PluginArtifact, options?: DeployOptions): Promise<PluginStatus>;
  /** The version on trial becomes stable. */
  promote(plugin: string, by: string, signal?: AbortSignal): Promise<PluginStatus>;
  /** The version on trial, or one whose deploy is under way, gets no more streams and is gone. */
  abort(plugin: string, by: string, signal?: AbortSignal): Promise<PluginStatus>;
  /** The version on trial keeps its share, and is not judged. */
  pause(plugin: string, by: string, signal?: AbortSignal): Promise<PluginStatus>;
  /** Goes on with a trial that was paused, or begins that of a staged version. */
  resume(plugin: string, by: string, signal?: AbortSignal): Promise<PluginStatus>;
  /** Goes back to the version before, or to one of those kept: `to` is a version or a digest. A trial, or a deploy that is under way, ends by it. */
  rollback(plugin: string, by: string, to?: string, signal?: AbortSignal): Promise<PluginStatus>;
  /** Takes the plugin out of service, with deploys that are under way, a trial and the versions kept; no effect when there is none. */
  remove(plugin: string, by?: string): Promise<void>;
  /**
   * Brings back what was kept, for the start: the stable version, or the newest of the previous ones where that one cannot be
   * run, and the version on trial, whose trial begins afresh. What cannot be run is logged. No effect on a plugin that is
   * deployed already.
   */
  restore(record: PluginRecord, load: (version: VersionRecord) => Promise<PluginArtifact>): Promise<void>;
  /** Every plugin that is deployed or was refused, by name. */
  list(): PluginStatus[];
}
