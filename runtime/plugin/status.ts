/** What the streams of one version came to since its trial began, was resumed or the sidecar started. */
export interface ObservedStreams {
  /** Streams that have ended. */
  readonly streams: number;
  /** Of them: answered with a status of 500 or more, reset by the plugin, or lost to its failure. */
  readonly failed: number;
  readonly traps: number;
  /** The 99th percentile of the time from a stream's begin to its end, in milliseconds; 0 when none has ended. */
  readonly p99Ms: number;
}

/** A version on trial beside the stable one. */
export interface TrialStatus {
  readonly version: string;
  readonly digest: string;
  /** `staged`: started, without traffic; `canary`: it has its share, and is judged; `paused`: it has its share. */
  readonly phase: "staged" | "canary" | "paused";
  /** Of the streams that match neither header nor cookie of its policy, those that go to it. */
  readonly percent: number;
  readonly promotion: "automatic" | "manual";
  readonly stable: ObservedStreams;
  readonly candidate: ObservedStreams;
}

/** How the last trial since the process started ended. */
export interface TrialOutcome {
  readonly version: string;
  readonly digest: string;
  readonly outcome: "promoted" | "rolled back" | "aborted";
  /** Who ended it; `rollout` when the sidecar did. */
  readonly by: string;
  readonly reason?: string;
}

/** A version that `rollback` can go back to. */
export interface PreviousVersion {
  readonly version: string;
  readonly digest: string;
}

/** A topic whose events are posted to the plugin. */
export interface SubscriptionStatus {
  readonly pubsub: string;
  readonly topic: string;
  readonly path: string;
}

/** Ticks of the clock that are posted to the plugin. */
export interface ScheduleStatus {
  readonly name: string;
  readonly cron: string;
  readonly timeZone: string;
  readonly path: string;
}

/** What one plugin does, and has done since the process started, on every version of it. */
export interface PluginTotals {
  readonly instances: number;
  /** Streams that have not ended. */
  readonly streams: number;
  /** Callbacks run so far. */
  readonly calls: number;
  readonly traps: number;
  /** Instructions used so far. */
  readonly fuel: number;
  /** Instances started so far. */
  readonly created: number;
  /** Of them, those that took the place of one that had crashed. */
  readonly reloads: number;
  /** Linear memory of all instances, and of the largest. */
  readonly memoryBytes: number;
  readonly largestMemoryBytes: number;
  /** Most linear memory that an instance may have; 0 when there is none. */
  readonly memoryLimitBytes: number;
  /** The largest share of its budget that a callback used in the last minute, or since this was last asked for, 0 to 1. */
  readonly budgetShare: number;
}

/** What is known of a deployed plugin, as the admin API shows it; version and digest are those of the stable version. */
export interface PluginStatus extends PluginTotals {
  readonly name: string;
  readonly version: string;
  /** `sha256:` and hex, of the file as it was deployed. */
  readonly digest: string;
  readonly kind: "filter" | "service";
  /** What the module speaks, such as `proxy-wasm 0.2.1`; empty when it never got that far. */
  readonly engine: string;
  /**
   * `serving`; `crashed`: out of its crash budget, waiting for its next try or a deploy; `refused`: nothing runs under this
   * name, because what was deployed was refused or has lost its grants; `staged`: nothing runs yet, because the first version
   * waits to be told to take streams.
   */
  readonly state: "serving" | "crashed" | "refused" | "staged";
  /** Why it is not serving, or why the last deploy under its name was refused. */
  readonly reason?: string;
  /** Why what is in effect would not be there after a restart; absent when it would. */
  readonly unkept?: string;
  /** Absent when no version is on trial. */
  readonly trial?: TrialStatus;
  readonly lastTrial?: TrialOutcome;
  /** The newest first; absent when there is none. */
  readonly previous?: readonly PreviousVersion[];
  /** Of the stable version; absent when there is none. */
  readonly subscriptions?: readonly SubscriptionStatus[];
  readonly schedules?: readonly ScheduleStatus[];
}
