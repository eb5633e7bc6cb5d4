import type { SandboxedModule, SandboxLimits } from "./sandboxed-module.ts";

/** What jco generates for a component: links its core modules with what it imports, and resolves to what it exports. */
export type InstantiateComponent = (
  coreModule: (name: string) => WebAssembly.Module,
  imports: Readonly<Record<string, unknown>>,
  instantiateCore: (module: WebAssembly.Module, imports: WebAssembly.Imports) => Promise<WebAssembly.Instance>,
) => Promise<Readonly<Record<string, unknown>>>;

/** A component that was transpiled: core modules, each checked, capped and metered, and the glue between them. */
export interface SandboxedComponent {
  /** By the names under which the glue asks for them. */
  readonly cores: ReadonlyMap<string, SandboxedModule>;
  readonly instantiate: InstantiateComponent;
  /** In full, with versions: `wasi:io/streams@0.2.3`. The glue looks each up under this very name. */
  readonly imports: readonly string[];
  /** In full, with versions: `wasi:http/incoming-handler@0.2.3`, or the name of a function. */
  readonly exports: readonly string[];
  /** `sha256:` and the hex digest of the original bytes. */
  readonly digest: string;
  readonly limits: SandboxLimits;
  /** Bytes before, and of all core modules after. */
  readonly originalBytes: number;
  readonly rewrittenBytes: number;
}

/** `\0asm`, version 13, layer 1: what a component begins with. */
export const componentPreamble: readonly number[] = [0x00, 0x61, 0x73, 0x6d, 0x0d, 0x00, 0x01, 0x00];

export const isComponentBinary = (bytes: Uint8Array): boolean =>
  componentPreamble.every((byte, index) => bytes[index] === byte);

/** What a plugin was compiled to. */
export type CompiledPlugin = SandboxedModule | SandboxedComponent;

export const isComponent = (compiled: CompiledPlugin): compiled is SandboxedComponent => "cores" in compiled;
