import { pluginSignatures, pluginSources } from "../config/plugin-sources.ts";
import type { Configuration } from "../config/schema.ts";
import type { Manifest } from "../plugin/manifest.ts";
import { type ModuleOutline, outlineOf } from "../plugin/module-outline.ts";
import { unpackManifest } from "../plugin/packed-manifest.ts";
import { foreignModule, sandboxLimits } from "../plugin/prepare.ts";
import { isComponentBinary } from "../plugin/sandbox/sandboxed-component.ts";
import type { SandboxLimits } from "../plugin/sandbox/sandboxed-module.ts";
import { artifactOf, type FetchedModule, fetchModule } from "../plugin/source/fetch-artifact.ts";
import { abiVersions, spokenVersion, supportedVersions } from "../proxy-wasm/abi.ts";
import { hostFunctionNames } from "../proxy-wasm/function-names.ts";
import type { CliOptions } from "./cli.ts";

export interface InspectOptions {
  readonly json: boolean;
  /** Where plugins may come from, and the keys of signatures; undefined for the defaults. */
  readonly plugins: Configuration["plugins"] | undefined;
}

/** What a module or a component shows of itself. */
export interface BinaryInspection {
  /** Such as `proxy-wasm 0.2.1`; undefined when it speaks nothing that this host does. */
  readonly engine: string | undefined;
  readonly memory: ModuleOutline["memory"];
  /** Of a component, the core modules in it. */
  readonly sections: ModuleOutline["sections"];
  readonly imports: Readonly<Record<string, readonly string[]>>;
  readonly exports: readonly string[];
  /** Imports that this host does not have, as `module.name`, or as a component names them. */
  readonly missing: readonly string[];
  /** Why it could not run here; empty when it could. */
  readonly problems: readonly string[];
}

/** What `outrigger inspect --json` prints. */
interface Inspection extends BinaryInspection {
  readonly name: string;
  readonly version: string;
  readonly kind: string;
  readonly origin: string;
  readonly digest: string;
  /** Of an image: the digest of its manifest. */
  readonly image: string | undefined;
  readonly bytes: number;
  readonly signature: string;
  readonly manifest: "inside" | "beside" | "none";
  readonly capabilities: Manifest["capabilities"];
}

/** `outrigger inspect FILE|REFERENCE`: what a module is, needs and asks for, and whether it could run here, which is the exit code. */
export async function inspect(
  reference: string,
  { json, plugins }: InspectOptions,
  { out }: Pick<CliOptions, "out">,
): Promise<number> {
  const fetched = await fetchModule(reference, {
    sources: plugins?.sources ?? pluginSources.parse({}),
    signatures: { keys: plugins?.signatures.keys ?? pluginSignatures.parse({}).keys, require: false },
    wantsSignatures: true,
  });
  const inspection = await look(fetched);
  out(json ? JSON.stringify(inspection, undefined, 2) : shown(inspection));
  return inspection.problems.length === 0 ? 0 : 1;
}

async function look(fetched: FetchedModule): Promise<Inspection> {
  const { bytes, image, signature = "none" } = fetched;
  const { manifest, manifestText, digest, origin } = await artifactOf(fetched);
  const seen = await inspectBinary(fetched, manifest);
  const packed = unpackManifest(bytes)?.manifest;
  return {
    name: manifest.name,
    version: manifest.version,
    kind: manifest.kind,
    origin,
    digest,
    image,
    bytes: bytes.length,
    signature,
    manifest: packed === manifestText ? "inside" : manifestText === `name: ${manifest.name}\n` ? "none" : "beside",
    capabilities: manifest.capabilities,
    ...seen,
    problems: fetched.check.problem === undefined ? seen.problems : [fetched.check.problem.message],
  };
}

async function inspectBinary({ bytes, check }: FetchedModule, manifest: Manifest): Promise<BinaryInspection> {
  const limits = sandboxLimits(manifest);
  if (!isComponentBinary(bytes) || check.problem !== undefined) return inspectModule(bytes, limits, manifest);
  const { inspectComponent } = await import("./inspect-component.ts");
  return inspectComponent(bytes, limits, manifest);
}

async function inspectModule(
  bytes: Uint8Array<ArrayBuffer>,
  limits: SandboxLimits,
  manifest: Manifest,
): Promise<BinaryInspection> {
  const outline = await outlineOf(bytes, limits);
  const { module, memory, sections } = outline;
  const imports = module === undefined ? [] : WebAssembly.Module.imports(module);
  const missing = imports
    .filter(({ module, name, kind }) => kind !== "function" || hostFunctionNames[module]?.includes(name) !== true)
    .map(({ module, name }) => `${module}.${name}`);
  const spoken = module === undefined ? undefined : spokenVersion(module);
  return {
    engine: spoken === undefined ? undefined : `proxy-wasm ${spoken}`,
    memory,
    sections,
    imports: namesByModule(imports),
    exports: module === undefined ? [] : WebAssembly.Module.exports(module).map(({ name }) => name),
    missing,
    problems: problemsOf(manifest, outline, missing),
  };
}

function problemsOf(
  { unknownImports }: Manifest,
  { module, problem }: ModuleOutline,
  missing: readonly string[],
): string[] {
  const problems = problem === undefined ? [] : [problem];
  if (module === undefined) return problems;
  if (spokenVersion(module) === undefined) {
    const versions = abiVersions(module);
    const spoken = versions.length === 0 ? "no version of Proxy-Wasm" : `Proxy-Wasm ${versions.join(", ")} only`;
    const hint = foreignModule(module);
    const more = hint === undefined ? "" : `; ${hint}`;
    problems.push(`it speaks ${spoken}; this host speaks ${supportedVersions.join(", ")}${more}`);
  }
  const fatal = missing.filter((name) => unknownImports === "refuse" || !name.startsWith("env."));
  if (fatal.length > 0) problems.push(`it imports what this host does not have: ${fatal.join(", ")}`);
  return problems;
}

function namesByModule(imports: ReturnType<typeof WebAssembly.Module.imports>): BinaryInspection["imports"] {
  const names: Record<string, string[]> = {};
  for (const [module, ones] of Map.groupBy(imports, ({ module }) => module))
    names[module] = ones.map(({ name }) => name);
  return names;
}

const signatureWords: Readonly<Record<string, string>> = {
  good: "good, by one of plugins.signatures.keys",
  unchecked: "there; name a configuration with plugins.signatures.keys to check it",
  wrong: "by none of plugins.signatures.keys, or over something else",
  none: "none",
};
const manifestWords = { inside: "inside the module", beside: "beside the module", none: "none" } as const;
const kibibytesPerPage = 64;

function shown(one: Inspection): string {
  const rows: [string, string][] = [
    ["name", one.name],
    ["version", one.version],
    ["kind", one.kind],
    ["engine", one.engine ?? "none that this host has"],
    ["origin", one.origin],
    ["digest", one.digest],
    ...(one.image === undefined ? [] : [["image", one.image] as [string, string]]),
    ["size", `${one.bytes} bytes`],
    ["signature", signatureWords[one.signature] ?? one.signature],
    ["manifest", manifestWords[one.manifest]],
    ["memory", memoryText(one.memory)],
    ["asks for", capabilitiesText(one.capabilities)],
    ...Object.entries(one.imports).map(([module, names]): [string, string] => [
      "imports",
      `${module}: ${names.join(", ")}`,
    ]),
    ...(one.missing.length === 0 ? [] : [["missing", one.missing.join(", ")] as [string, string]]),
    ["exports", one.exports.join(", ")],
    ["sections", one.sections.map(({ name, bytes }) => `${name} (${bytes})`).join(", ")],
    ...one.problems.map((problem): [string, string] => ["problem", problem]),
  ];
  return rows.map(([key, value]) => `${key.padEnd(10)} ${value.replace(/[^ -~]/g, "?")}`).join("\n");
}

function memoryText(memory: ModuleOutline["memory"]): string {
  if (memory === undefined) return "none";
  const { minimumPages, maximumPages } = memory;
  const most = maximumPages === undefined ? "no maximum" : `at most ${maximumPages * kibibytesPerPage} KiB`;
  return `${minimumPages * kibibytesPerPage} KiB, ${most}`;
}

function capabilitiesText(capabilities: Manifest["capabilities"]): string {
  const asked = Object.entries(capabilities).filter(([, names]) => names.length > 0);
  return asked.map(([kind, names]) => `${kind} ${names.join(", ")}`).join("; ") || "nothing";
}
