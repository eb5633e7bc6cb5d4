import { propertyOf } from "../imports/properties.ts";
import { expressionsText } from "../sought-texts.ts";
import type { Vm } from "../vm.ts";

/**
 * Makes expressions ready for a guest that may create some: one that calls foreign functions and has the name of that one
 * among its data. The library takes 20 MB and a tenth of a second, which others are spared.
 */
export async function loadExpressions(vm: Vm): Promise<void> {
  const { module, texts } = vm.program.module;
  const callsForeign = WebAssembly.Module.imports(module).some(
    (wanted) => wanted.name === "proxy_call_foreign_function",
  );
  if (!callsForeign || (texts !== undefined && !texts.includes(expressionsText))) return;
  const { Expressions } = await import("./expressions.ts");
  vm.expressions = new Expressions(vm, (path) => propertyOf(vm, path));
}
