/** Values that stand in the configuration file and in a plugin's manifest alike. */
import { z } from "zod";

const sizeUnits = { "": 1, Ki: 1024, Mi: 1024 ** 2, Gi: 1024 ** 3 } as const;
/** Bytes: a number, or a number with Ki, Mi or Gi. */
export const byteSize = z.union([z.number(), z.string()]).transform((value, context) => {
  const match = /^(\d+(?:\.\d+)?)(Ki|Mi|Gi)?$/.exec(String(value));
  if (match === null) {
    context.addIssue({ code: "custom", message: "expected a size in bytes, such as 65536 or 64Mi" });
    return z.NEVER;
  }
  return Math.floor(Number(match[1]) * sizeUnits[(match[2] ?? "") as keyof typeof sizeUnits]);
});

const durationUnits = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 } as const;
/** The longest that a timer of Node can wait; it fires a longer one at once. */
const longestTimerMs = 2 ** 31 - 1;
/** A duration with its unit (`50ms`, `1s`, `5m`), as milliseconds that a timer can wait. */
export const duration = z.string().transform((text, context) => {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h)$/.exec(text);
  if (match === null) {
    context.addIssue({ code: "custom", message: "expected a duration with its unit, such as 50ms, 1s or 5m" });
    return z.NEVER;
  }
  const milliseconds = Number(match[1]) * durationUnits[match[2] as keyof typeof durationUnits];
  if (milliseconds <= longestTimerMs) return milliseconds;
  context.addIssue({ code: "custom", message: `expected a duration of at most ${longestTimerMs}ms, about 24 days` });
  return z.NEVER;
});

/** The name of something configured: a component, an upstream, a plugin. */
export const name = z
  .string()
  .regex(/^[A-Za-z0-9]([A-Za-z0-9._-]{0,126}[A-Za-z0-9])?$/, "expected a name of letters, digits, '.', '_' and '-'");

/** What a failure of a plugin does to the request. */
export const failPolicy = z.enum(["open", "closed", "reload"]);
const nameList = z.array(z.string());

/** What a plugin may reach: asked for in its manifest, granted in the configuration. */
export const capabilities = z.strictObject({
  state: nameList.default([]).describe("State stores by name"),
  pubsub: nameList.default([]).describe("Pub/sub components by name"),
  config: nameList.default([]).describe("Configuration stores by name"),
  lock: nameList.default([]).describe("Lock stores by name"),
  sequencer: nameList.default([]).describe("Sequencers by name"),
  secret: nameList.default([]).describe("Secret stores by name"),
  binding: nameList.default([]).describe("Bindings by name"),
  object: nameList.default([]).describe("File stores by name"),
  invoke: nameList.default([]).describe("Targets of InvokeService by id"),
  upstreams: nameList.default([]).describe("Upstreams that proxy_http_call and proxy_grpc_call may reach"),
  foreign: nameList.default([]).describe("Foreign functions by name, beside those of the runtime and of Envoy"),
});

export type Capabilities = z.output<typeof capabilities>;

/** Functions of Proxy-Wasm and of WASI by name, to which a plugin is held. */
export const allowedFunctions = z.array(z.string()).max(256, "expected no more than 256 functions").optional();

/** What the configuration gives a plugin, and what it takes from it. */
export const pluginGrants = capabilities.extend({
  allowedFunctions: allowedFunctions.describe(
    "Holds the plugin to these hostcalls, functions of WASI and callbacks, of those that its manifest allows itself; default all",
  ),
});

export type PluginGrants = z.output<typeof pluginGrants>;
