import { messageOf } from "../../components/thrown.ts";
import type { Manifest } from "../plugin/manifest.ts";
import { SandboxCompiler } from "../plugin/sandbox/compiler.ts";
import type { SandboxLimits } from "../plugin/sandbox/sandboxed-module.ts";
import { type ComponentName, readComponent } from "../wasm-component/component-binary.ts";
import { ComponentCompiler } from "../wasm-component/component-compiler.ts";
import {
  asyncInterfaces,
  callableNames,
  exportedAmong,
  kindOf,
  missingAmong,
  missingImports,
  spokenTo,
} from "../wasm-component/interfaces.ts";
import type { BinaryInspection } from "./inspect.ts";

/** What a component is and needs, and why it could not run here. */
export async function inspectComponent(
  bytes: Uint8Array<ArrayBuffer>,
  limits: SandboxLimits,
  { kind, unknownImports }: Pick<Manifest, "kind" | "unknownImports">,
): Promise<BinaryInspection> {
  let outline: ReturnType<typeof readComponent>;
  try {
    outline = readComponent(bytes);
  } catch (error) {
    return { ...nothing, problems: [messageOf(error)] };
  }
  const called = outline.exports.filter(isCallable).map(({ name }) => name);
  const needed = outline.imports.filter(isCallable).map(({ name }) => name);
  const callable = exportedAmong(called);
  const missing = missingAmong(needed);
  const problems = await problemsOf(bytes, limits);
  if (callable.length === 0) problems.push(`it exports none of ${callableNames().join(", ")}`);
  else if (callable.every((one) => kindOf(one.called) !== kind))
    problems.push(`it is a ${kind} by its manifest, and exports nothing that a ${kind} is called by`);
  if (missing.length > 0 && unknownImports === "refuse") problems.push(`it ${missingImports(missing)}`);
  return {
    engine: callable.length === 0 ? undefined : spokenTo(called),
    memory: { minimumPages: outline.memoryPages, maximumPages: undefined },
    sections: outline.coreModules.map((size) => ({ name: "core module", bytes: size })),
    imports: byPackage(needed),
    exports: called,
    missing,
    problems,
  };
}

const nothing: Omit<BinaryInspection, "problems"> = {
  engine: undefined,
  memory: undefined,
  sections: [],
  imports: {},
  exports: [],
  missing: [],
};

const isCallable = ({ kind }: ComponentName): boolean => kind === "interface" || kind === "function";

/** Compiles it as the sidecar would. */
async function problemsOf(bytes: Uint8Array<ArrayBuffer>, limits: SandboxLimits): Promise<string[]> {
  await using modules = new SandboxCompiler();
  await using compiler = new ComponentCompiler({ modules, interfaces: asyncInterfaces });
  return await compiler.compile(bytes, limits).then(
    () => [],
    (error: unknown) => [messageOf(error)],
  );
}

/** `wasi:io/streams@0.2.3` is `streams@0.2.3` of `wasi:io`; a function of no interface is of the component's world. */
function byPackage(names: readonly string[]): BinaryInspection["imports"] {
  const packages: Record<string, string[]> = {};
  for (const name of names) {
    const slash = name.indexOf("/");
    const key = slash < 0 ? "world" : name.slice(0, slash);
    packages[key] = [...(packages[key] ?? []), name.slice(slash + 1)];
  }
  return packages;
}
