import { messageOf } from "../../components/thrown.ts";
import { fuelGauge } from "../plugin/sandbox/sandboxed-module.ts";
import { faultOf, pluginError } from "./fault.ts";
import { loadExpressions } from "./foreign/load-expressions.ts";
import { type Callback, guestExports } from "./guest-exports.ts";
import { hostImports, missingImports } from "./link.ts";
import type { ModuleProgram } from "./module-program.ts";
import { mayBeCalled } from "./restriction.ts";
import type { RootContext, RootOptions } from "./root-context.ts";
import { Vm } from "./vm.ts";

/**
 * Instantiates a guest, starts it, creates its first root context and configures it. Rejects with PluginError: `refused` when
 * the module lacks or imports what it must not, `configuration` when the guest says no, else what ended it.
 */
export async function startGuest(options: RootOptions): Promise<RootContext> {
  const vm = new Vm(options);
  try {
    await start(vm, vm.root);
    return vm.root;
  } catch (error) {
    vm.close(pluginError(options.program, "closed", "did not start", error));
    throw error;
  }
}

/**
 * Creates and configures one more root context in a guest that runs. Rejects with PluginError: `configuration` when the guest
 * says no, which changes nothing for the others, else what ended the guest for all of them.
 */
export async function joinGuest(vm: Vm, options: RootOptions): Promise<RootContext> {
  const root = vm.addRoot(options);
  try {
    await createRoot(root);
    root.started();
    return root;
  } catch (error) {
    const { delete: deleted } = vm.callbacks;
    if (deleted !== undefined && root.closed === undefined) vm.take(() => vm.enter(root, deleted, root.id));
    vm.removeRoot(root, pluginError(options.program, "closed", "did not start", error));
    throw error;
  }
}

async function start(vm: Vm, root: RootContext): Promise<void> {
  const { program } = root;
  const instance = await instantiate(vm);
  vm.meter.attach(fuelGauge(instance));
  try {
    vm.attach(guestExports(instance, program.suspends, (name) => mayBeCalled(program, name)));
  } catch (error) {
    throw pluginError(program, "refused", `cannot run: ${messageOf(error)}`, error);
  }
  await loadExpressions(vm);
  await vm.takeToStart(async () => {
    await initialize(root);
    vm.meter.phase = "callback";
    await askForId(root);
    await createRoot(root);
  });
  if (root.closed !== undefined) throw root.closed;
  root.started();
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
async function initialize(root: RootContext): Promise<void> {
  const { initialize, main, mainVoid, start } = root.vm.callbacks;
  if (initialize !== undefined) {
    await enter(root, initialize);
    const entry = main ?? mainVoid;
    if (entry !== undefined) await enter(root, entry, 0, 0);
  } else if (start !== undefined) await enter(root, start);
}

/** Asks a guest made for Layotto for its id. */
async function askForId(root: RootContext): Promise<void> {
  const { getId } = root.vm.callbacks;
  if (getId !== undefined) await enter(root, getId);
}

async function createRoot(root: RootContext): Promise<void> {
  const { contextCreate, vmStart, configure } = root.vm.callbacks;
  const { id, program } = root;
  if (contextCreate !== undefined) await enter(root, contextCreate, id, 0);
  if (vmStart !== undefined && (await enter(root, vmStart, id, program.vmConfiguration.byteLength)) === 0)
    throw refusal(root, vmStart);
  if (configure === undefined) return;
  if ((await enter(root, configure, id, program.configuration.byteLength)) === 0) throw refusal(root, configure);
}

async function enter(root: RootContext, callback: Callback, a?: number, b?: number): Promise<number> {
  const answer = await root.vm.enter(root, callback, a, b);
  if (root.closed !== undefined) throw root.closed;
  return answer;
}

function refusal({ program, complaint }: RootContext, { name }: Callback): Error {
  const why = complaint === "" ? "" : `; it logged: ${complaint}`;
  return pluginError(program, "configuration", `refused its configuration (${name} answered false)${why}`);
}

/** What would let it start all the same, if anything would. */
function hintFor({ stubsUnknownImports }: ModuleProgram, missing: readonly string[]): string {
  const couldBeStubs = !stubsUnknownImports && missing.every((name) => name.startsWith("env."));
  return couldBeStubs ? "; 'unknownImports: stub' in its manifest lets them answer UNIMPLEMENTED" : "";
}
