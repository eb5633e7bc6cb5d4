import { propertyOf } from "../imports/properties.ts";
import type { Vm } from "../vm.ts";

const name = "expr_create";
const places = [Buffer.from(name, "latin1"), Buffer.from(name, "utf16le")];

/**
 * Makes expressions ready for a guest that may create some: one that calls foreign functions and has the name of that one
 * among its data. The library takes 20 MB and a tenth of a second, which others are spared.
 */
export async function loadExpressions(vm: Vm): Promise<void> {
  const { module } = vm.program.module;
  const callsForeign = WebAssembly.Module.imports(module).some(
    (wanted) => wanted.name === "proxy_call_foreign_function",
  );
  if (!callsForeign || !places.some((place) => vm.memory.buffer.includes(place))) return;
  const { Expressions } = await import("./expressions.ts");
  vm.expressions = new Expressions(vm, (path) => propertyOf(vm, path));
}
