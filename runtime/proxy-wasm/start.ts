import type { PluginProgram } from "../plugin/contract.ts";
import { fuelGauge } from "../plugin/sandbox/sandboxed-module.ts";
import { faultOf, pluginError } from "./fault.ts";
import { loadExpressions } from "./foreign/load-expressions.ts";
import { type Callback, guestExports } from "./guest-exports.ts";
import { hostImports, missingImports } from "./link.ts";
import { mayBeCalled } from "./restriction.ts";
import type { Vm } from "./vm.ts";

/**
 * Instantiates the guest, starts it, creates its root context and configures it. Rejects with PluginError: `refused` when
 * the module lacks or imports what it must not, `configuration` when the guest says no, else what ended it.
 */
export async function startGuest(vm: Vm): Promise<void> {
  const { program } = vm;
  const instance = await instantiate(vm);
  vm.meter.attach(fuelGauge(instance));
  try {
    vm.attach(guestExports(instance, program.suspends, (name) => mayBeCalled(program, name)));
  } catch (error) {
    throw pluginError(program, "refused", `cannot run: ${error instanceof Error ? error.message : error}`, error);
  }
  await loadExpressions(vm);
  await vm.takeToStart(async () => {
    await initialize(vm);
    vm.meter.phase = "callback";
    await createRoot(vm);
  });
  if (vm.closed !== undefined) throw vm.closed;
  vm.started();
}

async function instantiate(vm: Vm): Promise<WebAssembly.Instance> {
  const { program } = vm;
  const { module, limits } = program.module;
  const imports = hostImports(vm);
  const missing = missingImports(module, imports);
  if (missing.length > 0)
    throw pluginError(
      program,
      "refused",
      `imports what this host does not have: ${missing.join(", ")}${hintFor(program, missing)}`,
    );
  try {
    return await WebAssembly.instantiate(module, imports);
  } catch (cause) {
    if (vm.meter.stopped !== undefined || !(cause instanceof WebAssembly.RuntimeError))
      throw faultOf(program, vm.meter, "its start function", limits.startFuel, cause);
    const rest = `trapped in its start function, or used up its ${limits.startFuel} units of fuel: ${cause.message}`;
    throw pluginError(program, "trap", rest, cause);
  }
}

/** A reactor's `_initialize` and then its main function, or a command's `_start`. */
async function initialize(vm: Vm): Promise<void> {
  const { initialize, main, mainVoid, start } = vm.callbacks;
  if (initialize !== undefined) {
    await enter(vm, initialize);
    const entry = main ?? mainVoid;
    if (entry !== undefined) await enter(vm, entry, 0, 0);
  } else if (start !== undefined) await enter(vm, start);
}

/** Asks a guest made for Layotto for its id, and then has the root context created and configured. */
async function createRoot(vm: Vm): Promise<void> {
  const { getId, contextCreate, vmStart, configure } = vm.callbacks;
  if (getId !== undefined) await enter(vm, getId);
  const { program } = vm;
  if (contextCreate !== undefined) await enter(vm, contextCreate, vm.rootId, 0);
  if (vmStart !== undefined && (await enter(vm, vmStart, vm.rootId, program.vmConfiguration.byteLength)) === 0)
    throw refusal(vm, vmStart);
  if (configure === undefined) return;
  if ((await enter(vm, configure, vm.rootId, program.configuration.byteLength)) === 0) throw refusal(vm, configure);
}

async function enter(vm: Vm, callback: Callback, a?: number, b?: number): Promise<number> {
  const answer = await vm.enter(undefined, callback, a, b);
  if (vm.closed !== undefined) throw vm.closed;
  return answer;
}

function refusal(vm: Vm, { name }: Callback): Error {
  const why = vm.complaint === "" ? "" : `; it logged: ${vm.complaint}`;
  return pluginError(vm.program, "configuration", `refused its configuration (${name} answered false)${why}`);
}

/** What would let it start all the same, if anything would. */
function hintFor({ stubsUnknownImports }: PluginProgram, missing: readonly string[]): string {
  const couldBeStubs = !stubsUnknownImports && missing.every((name) => name.startsWith("env."));
  return couldBeStubs ? "; 'unknownImports: stub' in its manifest lets them answer UNIMPLEMENTED" : "";
}
