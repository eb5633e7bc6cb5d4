import { parseDocument } from "yaml";
import { z } from "zod";
import { formatPath } from "../config/mistake.ts";
import { allowedFunctions, byteSize, capabilities, duration, failPolicy, name } from "../config/scalars.ts";
import { validate } from "../config/validate.ts";
import { schedules, subscriptions } from "./declarations.ts";
import { PluginError } from "./plugin-error.ts";
import type { PluginKind } from "./plugin-kind.ts";
import { rolloutPolicy } from "./rollout/policy.ts";

const wasmPage = 65_536;
const version = z
  .string()
  .regex(
    /^[0-9A-Za-z][0-9A-Za-z.+_-]{0,63}$/,
    "expected a version such as \"1.2.0\", of letters, digits, '.', '+' and '-'",
  );
/** No longer than this: a callback in the sidecar's own thread holds up everyone for as long as its budget lasts. */
const maxBudgetMs = 1_000;
const maxMemoryBytes = 1024 ** 3;

const maxVariables = 64;
const environmentName = z
  .string()
  .regex(/^[A-Za-z_][A-Za-z0-9_]{0,63}$/, "expected the name of a variable, of letters, digits and '_'");
const environmentValue = z.string().regex(/^[^\0]{0,1024}$/, "expected up to 1024 characters");

const positive = (milliseconds: number): boolean => milliseconds > 0;

/** The shape of a plugin's manifest: every key, its meaning and its default. */
export const manifestSchema = z
  .strictObject({
    name: name.describe("What routes, filters and grants call the plugin"),
    version: version.default("0.0.0").describe('Text, so in quotes when it looks like a number; default "0.0.0"'),
    kind: z
      .enum(["filter", "service"])
      .default("filter")
      .describe(
        "`filter` on traffic, or `service` behind a route; default filter, and of a component what its exports are for",
      ),
    suspends: z
      .boolean()
      .optional()
      .describe("May wait for the host in the middle of a callback; default true for services, false for filters"),
    isolation: z
      .enum(["shared", "configuration", "stream"])
      .default("shared")
      .describe(
        "What has a VM to itself: nothing (`shared`: all configurations of the plugin have one, and so have plugins of its `vmId` that are alike), each `configuration`, or each `stream`. A plugin that waits for the host never shares. Default shared",
      ),
    configuration: z
      .unknown()
      .optional()
      .describe("Handed to the plugin where no route gives another: text as it is, anything else as JSON"),
    limits: z
      .strictObject({
        memory: byteSize
          .refine((bytes) => bytes >= wasmPage && bytes <= maxMemoryBytes, "expected a size from 64Ki to 1Gi")
          .default(64 * 1024 ** 2)
          .describe("Largest linear memory, rounded up to 64Ki; default 64Mi"),
        budget: duration
          .refine((budget) => positive(budget) && budget <= maxBudgetMs, "expected a duration above 0 and up to 1s")
          .default(50)
          .describe(
            "Work that one callback may do, as the longest time it can take; most code takes a tenth. Default 50ms",
          ),
        deadline: duration
          .refine((deadline) => positive(deadline) && deadline <= 300_000, "expected a duration above 0 and up to 5m")
          .default(1_000)
          .describe("Longest time a callback may wait, for its turn and for the host; default 1s"),
        instances: z
          .int()
          .min(1)
          .max(256)
          .optional()
          .describe(
            "Most instances that work side by side where one is not enough; default 16, with isolation stream 64",
          ),
      })
      .prefault({}),
    capabilities: capabilities.prefault({}).describe("What the plugin asks for; plugins.grants must give all of it"),
    subscriptions,
    schedules,
    allowedFunctions: allowedFunctions.describe(
      "The hostcalls (`proxy_log`), functions of WASI (`fd_write`) and callbacks (`proxy_on_request_headers`) that the plugin needs: of others, hostcalls answer INTERNAL_FAILURE, WASI ENOTCAPABLE, and callbacks are not called. Envoy's capability restriction; default all",
    ),
    fail: failPolicy
      .default("closed")
      .describe("What its failure does to a request: open, closed or reload; default closed"),
    rollout: rolloutPolicy.prefault({}).describe("How a version comes into service; default at once"),
    unknownImports: z
      .enum(["refuse", "stub"])
      .default("refuse")
      .describe(
        "What is done with functions of module `env` that this host does not have: `refuse` the plugin, or `stub` them so that they answer UNIMPLEMENTED; default refuse",
      ),
    allowOnHeadersStopIteration: z
      .boolean()
      .default(false)
      .describe(
        "Whether a plugin that pauses on headers (1, StopIteration) is shown the body all the same; else it is shown nothing more until it goes on. Envoy's setting of the same name. Default false",
      ),
    log: z
      .strictObject({
        hostcalls: z
          .boolean()
          .default(false)
          .describe("Log each hostcall that does not answer OK, and what for; for authors. Default false"),
      })
      .prefault({}),
    vmConfiguration: z
      .unknown()
      .optional()
      .describe(
        "Handed to the plugin as the configuration of its VM, whatever routes give: text as it is, else as JSON",
      ),
    environment: z
      .record(environmentName, environmentValue)
      .refine((variables) => Object.keys(variables).length <= maxVariables, `expected no more than ${maxVariables}`)
      .default({})
      .describe("Environment variables of the plugin, by name"),
    vmId: z
      .string()
      .max(128)
      .default("")
      .describe(
        "Plugins of one VM id share data and queues, and those of one module that may do the same share VMs; default its own",
      ),
    rootId: z
      .string()
      .max(128)
      .default("")
      .describe("The root context that the module's factory looks up; default empty"),
  })
  .superRefine((manifest, context) => {
    if (manifest.kind === "service") return;
    for (const key of ["subscriptions", "schedules"] as const) {
      if (manifest[key].length === 0) continue;
      context.addIssue({ code: "custom", path: [key], message: "only a plugin of kind service may have some" });
    }
  })
  .transform(({ limits, ...manifest }) => ({
    ...manifest,
    suspends: manifest.suspends ?? manifest.kind === "service",
    limits: {
      memoryBytes: Math.ceil(limits.memory / wasmPage) * wasmPage,
      budgetMs: limits.budget,
      deadlineMs: limits.deadline,
      instances: limits.instances ?? (manifest.isolation === "stream" ? 64 : 16),
    },
  }));

/** A manifest that was found good, with its defaults. */
export type Manifest = z.output<typeof manifestSchema>;

/**
 * Reads a manifest. Throws PluginError (`refused`) that names `origin` and every mistake at once: its path, what was
 * expected and the nearest known name. Without a fallback the plugin is only known by its origin: "the upload". `kind` is what
 * the plugin is when the manifest does not say.
 */
export function parseManifest(
  text: string,
  origin: string,
  fallbackName: string,
  kind: PluginKind = "filter",
): Manifest {
  const document = parseDocument(text, { uniqueKeys: true, prettyErrors: false });
  if (document.errors.length > 0) {
    throw refusal(
      fallbackName,
      origin,
      document.errors.map((error) => `not valid YAML: ${error.message}`),
    );
  }
  const written: unknown = document.toJS() ?? {};
  const isMapping = typeof written === "object" && written !== null && !Array.isArray(written);
  return readManifest(isMapping ? { kind, ...written } : written, origin, fallbackName);
}

/** The manifest of a module that came without one: a plugin of that name and kind, with no grants. */
export function bareManifest(fileName: string, origin: string, kind: PluginKind): Manifest {
  return readManifest({ name: fileName, kind }, origin, fileName);
}

function readManifest(input: unknown, origin: string, fallbackName: string): Manifest {
  const { value, problems } = validate(manifestSchema, input);
  if (value !== undefined) return value;
  throw refusal(
    fallbackName,
    origin,
    problems.map(({ path, message }) => (path.length === 0 ? message : `${formatPath(path)}: ${message}`)),
  );
}

function refusal(plugin: string, origin: string, mistakes: readonly string[]): PluginError {
  const count = mistakes.length === 1 ? "a mistake" : `${mistakes.length} mistakes`;
  const whose = plugin === "" ? `the ${origin}` : `plugin '${plugin}' (${origin})`;
  const message = `the manifest of ${whose} has ${count}: ${mistakes.join("; ")}`;
  return new PluginError(plugin, "", "refused", message);
}
