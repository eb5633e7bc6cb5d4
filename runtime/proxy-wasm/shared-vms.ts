import type { PluginProgram } from "../plugin/contract.ts";
import { PluginError } from "../plugin/plugin-error.ts";
import type { StartTurns } from "../plugin/start-turns.ts";
import { pluginError } from "./fault.ts";
import type { RootContext, RootOptions } from "./root-context.ts";
import { joinGuest, startGuest } from "./start.ts";
import type { StartRecord } from "./start-record.ts";
import type { Vm } from "./vm.ts";

/**
 * The VMs that programs of one key share. A program has one root context in each, so that its spare stands where a crash of
 * the VM that serves does not reach it. Starts take turns: what is started together shares, too.
 */
export class SharedVms {
  readonly #record: StartRecord;
  readonly #turns: StartTurns;
  readonly #emptied: () => void;
  /** Those that run, the oldest first. */
  readonly #vms: Vm[] = [];
  /** Whose companion waits to be taken, by program. */
  readonly #accompanied = new WeakMap<PluginProgram, RootContext>();
  #turn: Promise<unknown> = Promise.resolve();
  #starting = 0;

  /** `emptied` is told when no VM is left. */
  constructor(record: StartRecord, turns: StartTurns, emptied: () => void) {
    this.#record = record;
    this.#turns = turns;
    this.#emptied = emptied;
  }

  /** Starts the program in a VM that runs and does not have it yet, or in a new one. Rejects with PluginError. */
  async start(options: RootOptions): Promise<RootContext> {
    this.#starting++;
    const started = this.#turn.then(() => this.#turns.next()).then(() => this.#start(options));
    this.#turn = started.catch(() => {});
    try {
      return await started;
    } finally {
      this.#starting--;
      this.#tellWhenEmpty();
    }
  }

  async #start(options: RootOptions): Promise<RootContext> {
    const { program } = options;
    if (this.#record.isLoner(program)) return startGuest(options);
    const companion = this.#takeCompanion(options);
    if (companion !== undefined) return companion;
    const vm = this.#vms.find((one) => !holds(one, options));
    if (vm === undefined) return this.#startAnew(options);
    return this.#record.isProven(program) ? this.#join(vm, options) : this.#joinFirst(vm, options);
  }

  /**
   * Starts a program for the first time where nothing is served, since guests trap on configurations that they cannot read, and
   * only then where others serve. What was started first is kept for the next start of the program, which is soon: its spare.
   */
  async #joinFirst(vm: Vm, options: RootOptions): Promise<RootContext> {
    const idle = this.#vms.find((one) => one !== vm && isIdle(one) && !holds(one, options));
    let companion: RootContext;
    try {
      companion = idle === undefined ? await this.#startAnew(options) : await this.#join(idle, options);
    } catch (error) {
      if (idle === undefined || idle.closed === undefined) throw error;
      return this.#startAlone(options);
    }
    await this.#turns.next();
    if (vm.closed !== undefined) return companion.closed === undefined ? companion : this.#start(options);
    try {
      const root = await this.#join(vm, options);
      root.companion = companion;
      this.#accompanied.set(options.program, root);
      return root;
    } catch (error) {
      companion.dismiss(pluginError(options.program, "closed", "did not start", error));
      throw error;
    }
  }

  /** It brought down a VM that others had, so perhaps their memory and its own are too much for one: tries it without them. */
  async #startAlone(options: RootOptions): Promise<RootContext> {
    const root = await startGuest(options);
    this.#record.keepAlone(options.program);
    return root;
  }

  async #startAnew(options: RootOptions): Promise<RootContext> {
    const root = await startGuest(options);
    const { vm } = root;
    if (vm.closed !== undefined) return root;
    this.#vms.push(vm);
    vm.gone = (culprit) => {
      this.#vms.splice(this.#vms.indexOf(vm), 1);
      if (culprit !== undefined && vm.roots.size > 1) this.#record.crashed(culprit.program);
      this.#tellWhenEmpty();
    };
    return root;
  }

  /** Starts it in that VM; when another program brings that down meanwhile, in the next. */
  async #join(vm: Vm, options: RootOptions): Promise<RootContext> {
    try {
      const root = await joinGuest(vm, options);
      this.#record.prove(options.program);
      return root;
    } catch (error) {
      if (error instanceof PluginError && error.fault === "shared") return this.#start(options);
      throw error;
    }
  }

  #takeCompanion({ program, services }: RootOptions): RootContext | undefined {
    const holder = this.#accompanied.get(program);
    const companion = holder?.companion;
    if (holder === undefined || companion?.services !== services) return undefined;
    holder.companion = undefined;
    this.#accompanied.delete(program);
    return companion.closed === undefined ? companion : undefined;
  }

  #tellWhenEmpty(): void {
    if (this.#vms.length === 0 && this.#starting === 0) this.#emptied();
  }
}

/** Whether it has the program, or another release of the plugin, which has services of its own: a trial harms no stable version. */
function holds(vm: Vm, { program, services }: RootOptions): boolean {
  for (const root of vm.roots) {
    if (root.program === program) return true;
    if (root.program.name === program.name && root.services !== services) return true;
  }
  return false;
}

function isIdle(vm: Vm): boolean {
  for (const { openStreams } of vm.roots) if (openStreams > 0) return false;
  return true;
}
