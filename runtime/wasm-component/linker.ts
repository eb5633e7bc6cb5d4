import type { ComponentProgram } from "./component-program.ts";
import { pluginError } from "./guest-fault.ts";
import { importedInterface, missingAmong, missingImports } from "./interfaces.ts";
import type { GuestHost, ImportedInterface } from "./provider.ts";

/** All that the component imports, made for one instance, by names in full. */
export function linkImports(program: ComponentProgram, host: GuestHost): Readonly<Record<string, unknown>> {
  const made = new Map<ImportedInterface, Readonly<Record<string, unknown>>>();
  const linked: Record<string, unknown> = {};
  for (const name of program.module.imports) {
    const found = importedInterface(name);
    if (found === undefined) {
      linked[name] = stub(name);
      continue;
    }
    // Two versions of an interface are one: what a guest got from one it may hand to the other.
    const functions = made.get(found) ?? ownOnly(found.make(host));
    made.set(found, functions);
    linked[name] = functions;
  }
  return linked;
}

/** Without what every object has from its prototype: a guest that asks for `toString` finds nothing. */
const ownOnly = (functions: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> =>
  Object.assign(Object.create(null), functions);

/** Throws PluginError when the component imports what this host does not have, unless its manifest wants stubs. */
export function requireImports(program: ComponentProgram): void {
  if (program.stubsUnknownImports) return;
  const missing = missingAmong(program.module.imports);
  if (missing.length === 0) return;
  const hint = "; 'unknownImports: stub' in its manifest lets it start, and trap when it calls one of them";
  throw pluginError(program, "refused", `${missingImports(missing)}${hint}`);
}

/** An interface whose every function, and every constructor, traps. */
const stub = (interfaceName: string): unknown =>
  new Proxy(
    {},
    {
      get: (_target, name) =>
        function stubbed(): never {
          throw new WebAssembly.RuntimeError(
            `it called ${String(name)} of ${interfaceName}, which this host does not have`,
          );
        },
    },
  );
