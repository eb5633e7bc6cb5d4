/** What is known of a deployed plugin, as the admin API shows it. */
export interface PluginStatus {
  readonly name: string;
  readonly version: string;
  /** `sha256:` and hex, of the file as it was deployed. */
  readonly digest: string;
  readonly kind: "filter" | "service";
  /** What the module speaks, such as `proxy-wasm 0.2.1`; empty when it never got that far. */
  readonly engine: string;
  /**
   * `serving`; `crashed`: out of its crash budget, waiting for its next try or a deploy; `refused`: nothing runs under this
   * name, because what was deployed was refused or has lost its grants.
   */
  readonly state: "serving" | "crashed" | "refused";
  /** Why it is not serving, or why the last deploy under its name was refused. */
  readonly reason?: string;
  readonly instances: number;
  /** Streams that have not ended, on every version. */
  readonly streams: number;
  /** Callbacks run since the process started. */
  readonly calls: number;
  readonly traps: number;
  /** Instructions used since the process started. */
  readonly fuel: number;
}
