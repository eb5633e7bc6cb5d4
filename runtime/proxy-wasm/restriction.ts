import type { FunctionRestriction, PluginProgram } from "../plugin/contract.ts";
import { Status } from "./abi.ts";
import { pluginError } from "./fault.ts";
import { writeLog } from "./imports/logging.ts";
import { unknownFunction } from "./known-functions.ts";
import type { HostFunctions, HostImports } from "./link.ts";
import type { ModuleProgram } from "./module-program.ts";
import type { Vm } from "./vm.ts";

/** ENOTCAPABLE of WASI preview 1. */
const notCapable = 76;
/** What every function of the ABI itself begins with: not what compilers import, nor the start functions of a module. */
const prefix = "proxy_";

/** Whether a callback may be called, by its name. Start functions always may. */
export function mayBeCalled({ restrictions }: PluginProgram, name: string): boolean {
  return !name.startsWith(prefix) || isAllowed(restrictions, name);
}

/**
 * The imports, with what the guest may not call replaced: hostcalls by what answers INTERNAL_FAILURE, functions of WASI by
 * what answers ENOTCAPABLE. What compilers import on their own behalf stays. Throws PluginError (`refused`) when a function
 * that is allowed does not exist.
 */
export function restricted(vm: Vm, imports: HostImports): HostImports {
  const { restrictions } = vm.program;
  if (restrictions.length === 0) return imports;
  const { env, wasi_snapshot_preview1: wasi } = imports;
  requireKnown(vm.program);
  const heldWasi = replaced(vm, wasi, (name) => isAllowed(restrictions, name), notCapable, "ENOTCAPABLE");
  const isFree = (name: string): boolean => !name.startsWith(prefix) || isAllowed(restrictions, name);
  return {
    env: replaced(vm, env, isFree, Status.INTERNAL_FAILURE, "INTERNAL_FAILURE"),
    wasi_snapshot_preview1: heldWasi,
    wasi_unstable: heldWasi,
  };
}

const isAllowed = (restrictions: readonly FunctionRestriction[], name: string): boolean =>
  restrictions.every(({ functions }) => functions.includes(name));

function replaced(
  vm: Vm,
  functions: HostFunctions,
  isFree: (name: string) => boolean,
  answer: number,
  answerName: string,
): HostFunctions {
  const entries = Object.entries(functions).map(([name, run]) => {
    if (isFree(name)) return [name, run] as const;
    let isTold = false;
    const refusing = (): number => {
      vm.meter.harmlessHostcall();
      if (!isTold) writeLog(vm, "warn", () => `${name} is not allowed to this plugin; it answers ${answerName}`);
      isTold = true;
      return answer;
    };
    return [name, refusing] as const;
  });
  return Object.fromEntries(entries);
}

function requireKnown(program: ModuleProgram): void {
  for (const { by, functions } of program.restrictions) {
    for (const name of functions) {
      const why = unknownFunction(name);
      if (why !== undefined) throw pluginError(program, "refused", `cannot run: '${name}' in ${by} ${why}`);
    }
  }
}
