/** The shapes that the admin API gives, as JSON Schemas for its OpenAPI document. */
import { ref, type Schema } from "./operation-doc.ts";

const text = (description: string): Schema => ({ type: "string", description });
const count = (description: string): Schema => ({ type: "integer", minimum: 0, description });
const number = (description: string): Schema => ({ type: "number", description });
const choice = (description: string, ...values: string[]): Schema => ({ type: "string", enum: values, description });
const millis = (description: string): Schema => ({
  type: "number",
  description: `${description}, in milliseconds since the epoch`,
});
const listOf = (items: Schema): Schema => ({ type: "array", items });

/** An object; the keys that end in `?` may be absent. */
function object(description: string, properties: Readonly<Record<string, Schema>>): Schema {
  const names = Object.keys(properties);
  const bare = (name: string): string => name.replace(/\?$/, "");
  return {
    type: "object",
    description,
    required: names.filter((name) => !name.endsWith("?")),
    properties: Object.fromEntries(names.map((name) => [bare(name), properties[name]])),
  };
}

const digest = text("sha256: and hex, of the file as it was deployed");
const version = text("As its manifest says");
const by = text("The name of a token, `directory`, or `rollout` for what the sidecar does by itself");

/** By the names that they have in the document. */
export const schemas: Readonly<Record<string, Schema>> = {
  Error: object("Why a request was refused", { error: text("A sentence") }),
  Health: object("Health as Layotto's actuator words it", {
    status: choice("The worst of its components", "UP", "DOWN", "INIT"),
    components: {
      type: "object",
      additionalProperties: object("One component", {
        status: choice("", "UP", "DOWN", "INIT"),
        "details?": object("Why", { reason: text("A sentence") }),
      }),
    },
  }),
  Info: object("The process", {
    app: object("The process", {
      name: text("Outrigger"),
      version: text("Of the sidecar"),
      node: text("Version of Node"),
      pid: count("Id of the process"),
    }),
  }),
  LogLevel: object("What is logged from now on", {
    level: choice("Lowest level that is logged", "trace", "debug", "info", "warn", "error", "silent"),
  }),
  PluginStatus: object("A plugin; version and digest are those of the stable version", {
    name: text("As routes, filters and grants call it"),
    version,
    digest,
    kind: choice("What it is", "filter", "service"),
    engine: text("What the module speaks; empty when it never got that far"),
    state: choice("How it is", "serving", "crashed", "refused", "staged"),
    "reason?": text("Why it is not serving, or why the last deploy was refused"),
    "unkept?": text("Why what is in effect would not be there after a restart; absent when it would"),
    instances: count("Instances that run"),
    streams: count("Streams that have not ended, on every version"),
    calls: count("Callbacks run since the process started"),
    traps: count("Crashes since the process started"),
    fuel: number("Instructions used since the process started"),
    created: count("Instances started since the process started"),
    reloads: count("Of them, those that took the place of one that had crashed"),
    memoryBytes: count("Linear memory of all instances"),
    largestMemoryBytes: count("Linear memory of the largest instance"),
    memoryLimitBytes: count("Most linear memory that an instance may have"),
    budgetShare: number("The largest share of its budget that a callback used in the last minute, 0 to 1"),
    "trial?": ref("Trial"),
    "lastTrial?": ref("TrialOutcome"),
    "previous?": listOf(object("A version that rollback can go back to", { version, digest })),
    "subscriptions?": listOf(
      object("A topic whose events are posted to it", {
        pubsub: text("The component"),
        topic: text("Its name there"),
        path: text("Where they are posted"),
      }),
    ),
    "schedules?": listOf(
      object("Ticks of the clock that are posted to it", {
        name: text("As its manifest says"),
        cron: text("When"),
        timeZone: text("The time zone that this is read in"),
        path: text("Where they are posted"),
      }),
    ),
  }),
  Trial: object("A version on trial beside the stable one", {
    version,
    digest,
    phase: choice("Whether it has traffic, and is judged", "staged", "canary", "paused"),
    percent: number("Streams that go to it, of those that match neither header nor cookie"),
    promotion: choice("Whether it becomes stable by itself", "automatic", "manual"),
    stable: ref("ObservedStreams"),
    candidate: ref("ObservedStreams"),
  }),
  TrialOutcome: object("How the last trial ended", {
    version,
    digest,
    outcome: choice("What came of it", "promoted", "rolled back", "aborted"),
    by,
    "reason?": text("Why"),
  }),
  ObservedStreams: object("What the streams of one version came to", {
    streams: count("Streams that have ended"),
    failed: count("Of them, those that failed"),
    traps: count("Crashes"),
    p99Ms: number("99th percentile of the time they took, in milliseconds"),
  }),
  Version: object("A version that is kept on disk", {
    role: choice("What it is to its plugin", "stable", "trial", "previous"),
    version,
    digest,
    origin: text("Where it came from"),
    by,
    deployedAt: millis("When it was deployed"),
  }),
  HistoryEntry: object("Who did what, when, and what came of it", {
    at: millis("When"),
    plugin: text("Its name"),
    action: choice("What", "deploy", "promote", "abort", "pause", "resume", "rollback", "undeploy"),
    version,
    digest: text("sha256: and hex"),
    by,
    outcome: choice("What came of it", "done", "refused"),
    "reason?": text("Why it was refused, or why the sidecar did it by itself"),
  }),
  LogLine: object("A line that a plugin logged", {
    at: millis("When"),
    level: text("trace, debug, info, warn, error or critical"),
    version,
    message: text("Of at most 4096 characters"),
  }),
  DeployEvent: {
    description: "A line of a deploy as it goes on; the last has `status` or `error`",
    oneOf: [
      object("A step that has ended", {
        step: choice("Which", "fetch", "keep", "compile", "start", "warm-up", "canary", "switch"),
        ms: number("How long it took, in milliseconds"),
      }),
      object("How far a pull is", {
        pull: object("Bytes", { receivedBytes: count("So far"), "totalBytes?": count("Of all") }),
      }),
      object("It is deployed", { status: ref("PluginStatus") }),
      object("It is not deployed", { error: text("A sentence"), code: count("The HTTP status that tells the same") }),
    ],
  },
};
