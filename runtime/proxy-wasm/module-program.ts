import type { PluginProgram } from "../plugin/contract.ts";
import { isComponent } from "../plugin/sandbox/sandboxed-component.ts";
import type { SandboxedModule } from "../plugin/sandbox/sandboxed-module.ts";

/** A program of this engine: of a single module. */
export interface ModuleProgram extends PluginProgram {
  readonly module: SandboxedModule;
}

export const isModuleProgram = (program: PluginProgram): program is ModuleProgram => !isComponent(program.module);
