import type { PluginProgram } from "../plugin/contract.ts";
import { isComponent, type SandboxedComponent } from "../plugin/sandbox/sandboxed-component.ts";

/** A program of this engine: of a component. */
export interface ComponentProgram extends PluginProgram {
  readonly module: SandboxedComponent;
}

export const isComponentProgram = (program: PluginProgram): program is ComponentProgram => isComponent(program.module);
