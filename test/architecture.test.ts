/** Which folder may import which: the table of docs/architecture.md, held against every import of the tree. */
import assert from "node:assert/strict";
import { globSync } from "node:fs";
import { test } from "node:test";
import { type ImportOf, importsOf, readImports } from "./support/imports.ts";

interface Rule {
  /** The files that the rule is for, from the root. */
  readonly files: RegExp;
  /** What they may import beside their own folder. */
  readonly may: readonly RegExp[];
  /** What they may import for its types only. */
  readonly mayTypes?: readonly RegExp[];
  /** False when not even a neighbour in the same folder may be imported. */
  readonly ownFolder?: boolean;
}

/** What every folder of runtime/ may import: the error, what is said of others, the telemetry, the listeners, and the types of a call. */
const leaves = [
  /^components\/(error|http-status|thrown)\.ts$/,
  /^runtime\/telemetry\//,
  /^runtime\/(listen|version|late|turn)\.ts$/,
];
const callTypes = /^components\/component\.ts$/;
const contracts =
  /^components\/(state\/state-store|pubsub\/pubsub|config\/config-store|lock\/lock-store|sequencer\/sequencer|secret\/secret-store|binding\/binding|object\/object-store)\.ts$/;
const pluginContract =
  /^runtime\/plugin\/(contract|connection-filter|outside-calls|sharing|guest-metrics|answer|uniform-api|plugin-error|status|start-turns|synthetic-request)\.ts$/;
const sandbox =
  /^runtime\/plugin\/sandbox\/(sandboxed-module|sandboxed-component|sandbox-error|binary-reader|compiler|fuel|code-map)\.ts$/;

/** The first rule that matches a file is its rule. */
const rules: readonly Rule[] = [
  { files: /^proto\/hot\//, may: [], mayTypes: [/^proto\/gen\//] },
  { files: /^proto\//, may: [] },
  { files: /^components\/(error|component|thrown)\.ts$/, may: [], ownFolder: false },
  { files: /^components\/http-status\.ts$/, may: [/^components\/error\.ts$/], ownFolder: false },
  { files: /^components\/schedule\.ts$/, may: [], ownFolder: false },
  { files: /^components\/ticking\.ts$/, may: [/^components\/(component|schedule|thrown)\.ts$/], ownFolder: false },
  { files: contracts, may: [/^components\/component\.ts$/], ownFolder: false },
  { files: /^components\/catalog\.ts$/, may: [/^components\//] },
  { files: /^components\/clients\//, may: [/^components\/(error|component|thrown)\.ts$/, /^proto\//] },
  {
    files: /^components\/[a-z]+\//,
    may: [/^components\/(error|http-status|component|schedule|thrown|ticking)\.ts$/, /^components\/clients\//],
  },
  { files: /^runtime\/main\.ts$/, may: [/^runtime\/(runtime\.ts|configuration-file\.ts|cli\/)/] },
  {
    files:
      /^runtime\/(runtime|application|configuration-file|open-components|live-configuration|reconfigure|lifecycle|component-opener|component-change|component-statuses|secret-settings|plugin-host|proxy-wasm-toolchain|component-toolchain|plugin-deployments|plugin-disk|plugin-needs|plugin-events|plugin-delivery)\.ts$/,
    may: [/^(runtime|components|proto)\//],
  },
  { files: /^runtime\/listen\.ts$/, may: [/^components\/thrown\.ts$/], ownFolder: false },
  { files: /^runtime\/(version|settle|late|turn)\.ts$/, may: [], ownFolder: false },
  {
    files: /^runtime\/(telemetry|config|http1|http2)\//,
    may: leaves,
    mayTypes: [/^runtime\/(telemetry|config|http1|http2)\//, callTypes],
  },
  {
    files: /^runtime\/grpc\//,
    may: [...leaves, /^proto\//, /^runtime\/http2\//],
    mayTypes: [callTypes, pluginContract],
  },
  {
    files: /^runtime\/plugin\//,
    may: [...leaves, /^runtime\/config\/(scalars|validate|mistake|nearest)\.ts$/, /^components\/schedule\.ts$/],
    mayTypes: [/^runtime\/config\//],
  },
  {
    files: /^runtime\/wasm-component\/type-check\.ts$/,
    may: [/^runtime\/(wasm-component|plugin\/sandbox)\//, /^proto\/gen\/wit-signatures\.ts$/],
  },
  {
    files: /^runtime\/(proxy-wasm|wasm-component)\//,
    may: [...leaves, pluginContract, sandbox, /^runtime\/config\/nearest\.ts$/],
    mayTypes: [/^runtime\/plugin\/sandbox\/compile-worker\.ts$/],
  },
  {
    files: /^runtime\/(ingress|egress|proxy)\//,
    may: [...leaves, pluginContract, /^runtime\/(ingress|egress|proxy|http1|http2)\//],
    mayTypes: [/^runtime\/config\/schema\.ts$/],
  },
  {
    files: /^runtime\/(api|app)\//,
    may: [...leaves, /^proto\//, /^runtime\/(grpc|api|app)\//, contracts],
    mayTypes: [callTypes, pluginContract, /^runtime\/config\/schema\.ts$/],
  },
  {
    files: /^runtime\/admin\//,
    may: [
      ...leaves,
      /^runtime\/config\/(validate|mistake)\.ts$/,
      /^runtime\/plugin\/(plugin-error|uploads|rollout\/policy)\.ts$/,
    ],
    mayTypes: [
      /^runtime\/plugin\/(status|registry|contract|operations|versions|deployments|layotto-deployments|plugin-logs)\.ts$/,
    ],
  },
  {
    files: /^runtime\/cli\//,
    may: [
      /^components\/thrown\.ts$/,
      /^runtime\/(config\/|version\.ts$)/,
      /^runtime\/plugin\/(manifest|artifact|companion-files|sandbox\/module-limit|packed-manifest|module-outline|prepare|source\/fetch-artifact)\.ts$/,
      /^runtime\/proxy-wasm\/(abi|function-names|known-functions)\.ts$/,
      /^runtime\/wasm-component\/(component-binary|component-compiler|interfaces)\.ts$/,
      sandbox,
    ],
    mayTypes: [/^runtime\/plugin\/(status|versions|deployments|operations|plugin-logs)\.ts$/],
  },
  { files: /^sdk\//, may: [/^proto\//] },
  { files: /^(scripts|test)\//, may: [/^/] },
];

const isTest = (file: string): boolean => file.startsWith("test/") || file.endsWith(".test.ts");
const folderOf = (file: string): string =>
  file
    .split("/")
    .slice(0, file.startsWith("sdk/") ? 1 : 2)
    .join("/");

/** What is wrong with an import, or undefined. */
function breach({ from, target, typesOnly }: ImportOf): string | undefined {
  const isFile = /^(proto|components|runtime|sdk|wasm-plugins|test|scripts)\//.test(target);
  if (!isFile || isTest(from)) return undefined;
  if (target === "runtime/runtime.ts" && from !== "runtime/main.ts")
    return `${from} imports ${target}, which only runtime/main.ts may`;
  const rule = rules.find(({ files }) => files.test(from));
  if (rule === undefined) return `${from} has no rule; add one to the table`;
  if (rule.ownFolder !== false && folderOf(from) === folderOf(target)) return undefined;
  const allowed = [...rule.may, ...(typesOnly ? (rule.mayTypes ?? []) : [])];
  return allowed.some((pattern) => pattern.test(target)) ? undefined : `${from} may not import ${target}`;
}

const root = new URL("..", import.meta.url).pathname;
const sources = globSync("{proto,components,runtime,sdk,scripts,test}/**/*.ts", {
  cwd: root,
  exclude: ["**/node_modules/**"],
});

test("every import points the way the table says", () => {
  assert.ok(sources.length > 50, "the sources were found");
  const breaches = sources.flatMap((file) => readImports(root, file).map(breach)).filter((one) => one !== undefined);
  assert.deepEqual(breaches, []);
});

test("an import against the arrows is found, whatever its form", () => {
  const wrong = [
    ["runtime/proxy/route.ts", 'import { memoryStateStore } from "../../components/state/memory.ts";'],
    ["runtime/proxy-wasm/vm.ts", 'const api = await import("../api/state.ts");'],
    ["components/state/memory.ts", 'import type { Log } from "../../runtime/telemetry/log.ts";'],
    ["components/state/memory.ts", 'export { x } from "../lock/memory.ts";'],
    ["runtime/admin/admin.ts", 'import { PluginRegistry } from "../plugin/registry.ts";'],
    ["runtime/admin/admin.ts", 'import { openRuntime } from "../runtime.ts";'],
    ["sdk/client.ts", 'import {\n  type A,\n  B,\n} from "../runtime/api/state.ts";'],
  ] as const;
  for (const [file, text] of wrong) {
    const found = importsOf(file, text)
      .map(breach)
      .filter((one) => one !== undefined);
    assert.equal(found.length, 1, `${file}: ${text}`);
  }
  const right = [
    ["runtime/admin/admin.ts", 'import { type PluginRegistry } from "../plugin/registry.ts";'],
    ["runtime/api/state.ts", 'import type { StateStore } from "../../components/state/state-store.ts";'],
    ["runtime/api/state.test.ts", 'import { memoryStateStore } from "../../components/state/memory.ts";'],
  ] as const;
  for (const [file, text] of right) assert.deepEqual(importsOf(file, text).map(breach), [undefined], text);
});
