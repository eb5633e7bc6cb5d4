import { messageOf } from "../../components/thrown.ts";
import { type PluginArtifact, requireWhole } from "./artifact.ts";
import type { FunctionRestriction, PluginEngine } from "./contract.ts";
import { type Grants, requireGranted, restrictionsOf } from "./grants.ts";
import type { Manifest } from "./manifest.ts";
import { PluginError } from "./plugin-error.ts";
import { fuelPerMillisecond } from "./sandbox/fuel.ts";
import { type CompiledPlugin, isComponent } from "./sandbox/sandboxed-component.ts";
import type { SandboxLimits } from "./sandbox/sandboxed-module.ts";

/** Rewrites and compiles modules away from the event loop. */
export interface ModuleCompiler {
  /** The digest is that of the bytes. Rejects with an error whose message says why the module is not acceptable. */
  compile(bytes: Uint8Array<ArrayBuffer>, limits: SandboxLimits, digest: string): Promise<CompiledPlugin>;
}

/** A plugin that can be started: granted, compiled, and its engine known. */
export interface PreparedPlugin {
  readonly manifest: Manifest;
  readonly digest: string;
  readonly module: CompiledPlugin;
  readonly engine: PluginEngine;
  /** What the module speaks, such as `proxy-wasm 0.2.1`. */
  readonly speaks: string;
  /** The functions that its manifest and the configuration hold it to. */
  readonly restrictions: readonly FunctionRestriction[];
}

/** What plugins are compiled and run by. */
export interface PluginToolchain {
  readonly compiler: ModuleCompiler;
  readonly engines: readonly PluginEngine[];
}

export interface PrepareOptions extends PluginToolchain {
  readonly grants: Grants;
}

const tableEntries = 131_072;
/** Instantiation may do more than a callback: runtimes of languages set themselves up in it. */
const startBudgetMs = 500;

/** The steps of a deploy before anything is started. Rejects with PluginError (`refused`) at the first that fails. */
export async function preparePlugin(artifact: PluginArtifact, options: PrepareOptions): Promise<PreparedPlugin> {
  const { manifest, digest } = artifact;
  requireWhole(artifact);
  requireGranted(manifest, options.grants);
  const module = await options.compiler
    .compile(artifact.bytes, sandboxLimits(manifest), digest)
    .catch((cause: unknown) => {
      throw refused(manifest, `is not acceptable: ${messageOf(cause)}`, cause);
    });
  for (const engine of options.engines) {
    const speaks = engine.detect(module);
    if (speaks !== undefined)
      return { manifest, digest, module, engine, speaks, restrictions: restrictionsOf(manifest, options.grants) };
  }
  const known = options.engines.map(({ name }) => name).join(", ");
  const hint = isComponent(module) ? undefined : foreignModule(module.module);
  const more = hint === undefined ? "" : `: ${hint}`;
  throw refused(manifest, `is of no kind that can run here; known: ${known}${more}`);
}

/** What a module is that does not speak Proxy-Wasm, and what would run here in its place; undefined when nothing shows it. */
export function foreignModule(module: WebAssembly.Module): string | undefined {
  const exports = WebAssembly.Module.exports(module).map(({ name }) => name);
  if (exports.some((name) => name.startsWith("proxy_abi_version_"))) return undefined;
  if (exports.includes("_start"))
    return "it is a program of WASI preview 1, for it exports '_start'; build a library of it, and a component of that";
  // Toolchains name the functions of interfaces so: `outrigger:runtime/handler@0.1.0#handle`.
  const isOfComponent = exports.some((name) => name === "cabi_realloc" || /^[^#]+:[^#]+#/.test(name));
  const isOfWasi = WebAssembly.Module.imports(module).some(({ module: from }) => from.startsWith("wasi_"));
  if (!isOfComponent && !isOfWasi) return undefined;
  const what = isOfComponent ? "the core module of a component" : "a core module of WASI preview 1";
  return `it is ${what}; make the component of it by 'npx @bytecodealliance/jco new FILE --wasi-reactor -o COMPONENT'`;
}

/** What the sandbox holds a plugin to. */
export const sandboxLimits = ({ limits }: Manifest): SandboxLimits => ({
  memoryBytes: limits.memoryBytes,
  tableEntries,
  startFuel: startBudgetMs * fuelPerMillisecond,
});

function refused({ name, version }: Manifest, what: string, cause?: unknown): PluginError {
  const options = cause === undefined ? undefined : { cause };
  return new PluginError(name, version, "refused", `the module of plugin '${name}' ${what}`, options);
}
