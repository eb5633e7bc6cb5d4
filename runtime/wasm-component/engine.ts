import type { PluginEngine } from "../plugin/contract.ts";
import { isComponent } from "../plugin/sandbox/sandboxed-component.ts";
import { StartTurns } from "../plugin/start-turns.ts";
import { type ComponentProgram, isComponentProgram } from "./component-program.ts";
import { ComponentGuest } from "./guest.ts";
import { pluginError } from "./guest-fault.ts";
import { ComponentInstance } from "./instance.ts";
import { callableNames, exportedAmong, kindOf, spokenTo } from "./interfaces.ts";
import { requireImports } from "./linker.ts";

/** Runs components: worlds of WASI 0.2, and the sidecar's own. */
export function wasmComponentEngine(): PluginEngine {
  const turns = new StartTurns();

  return {
    name: "wasm-component",
    isExclusive: true,

    detect(compiled) {
      return isComponent(compiled) ? spokenTo(compiled.exports) : undefined;
    },

    takesWholeRequests(compiled) {
      const called = isComponent(compiled) ? exportedAmong(compiled.exports) : [];
      return called.length > 0 && called.every((one) => one.called.takesWholeRequests === true);
    },

    async start(program, services, lost, freed) {
      if (!isComponentProgram(program)) throw new TypeError("not a component");
      requireImports(program);
      requireExports(program);
      await turns.next();
      const guest = await ComponentGuest.start(program, services);
      return new ComponentInstance(guest, { lost, freed });
    },
  };
}

/** Throws PluginError when the component exports nothing by which a plugin of its kind could be called. */
function requireExports(program: ComponentProgram): void {
  const { kind, module } = program;
  const { exports } = module;
  const found = exportedAmong(exports);
  if (found.some(({ called }) => kindOf(called) === kind)) return;
  if (found.length > 0) {
    const names = found.map(({ name }) => name).join(", ");
    const other = kind === "filter" ? "service" : "filter";
    const rest = `is a ${kind} by its manifest, and exports ${names}, by which a ${other} is called; write 'kind: ${other}'`;
    throw pluginError(program, "refused", rest);
  }
  const exported = exports.length === 0 ? "nothing" : exports.join(", ");
  const known = callableNames().join(", ");
  throw pluginError(program, "refused", `exports ${exported}; expected at least one of ${known}`);
}
