import type {
  ConnectionFilter,
  ConnectionHost,
  HostServices,
  InstanceCounters,
  PluginInstance,
  PluginProgram,
  StreamFilter,
  StreamHost,
} from "../plugin/contract.ts";
import type { PluginError } from "../plugin/plugin-error.ts";
import { ConnectionContext } from "./connection-context.ts";
import { StreamContext } from "./context.ts";
import { pluginError } from "./fault.ts";
import { FunctionStream } from "./function-stream.ts";
import { startGuest } from "./start.ts";
import { Vm } from "./vm.ts";

/** How long a guest may put off its end (`proxy_on_done` answered no) before it ends anyway, in milliseconds. */
const doneGraceMs = 5_000;

/** A started Proxy-Wasm guest. */
export class ProxyWasmInstance implements PluginInstance {
  readonly #vm: Vm;
  #drained: Promise<void> | undefined;

  private constructor(vm: Vm) {
    this.#vm = vm;
  }

  /** Starts and configures a guest; rejects with PluginError. `lost` is told when it dies later. */
  static async start(
    program: PluginProgram,
    services: HostServices,
    lost: (error: PluginError) => void,
  ): Promise<ProxyWasmInstance> {
    let started = false;
    const vm = new Vm(program, services, (error) => {
      vm.failStreams(error);
      if (started) lost(error);
    });
    try {
      await startGuest(vm);
    } catch (error) {
      vm.close(pluginError(program, "closed", "did not start", error));
      throw error;
    }
    started = true;
    // An answer that came while it started may have ended it.
    if (vm.closed !== undefined) throw vm.closed;
    return new ProxyWasmInstance(vm);
  }

  get streams(): number {
    return this.#vm.openStreams;
  }

  get pending(): number {
    return this.#vm.pending;
  }

  get counters(): InstanceCounters {
    return this.#vm.counters;
  }

  get memory(): WebAssembly.Memory | undefined {
    return this.#vm.memory.linear;
  }

  get reportedId(): string {
    return this.#vm.reportedId;
  }

  open(host: StreamHost): StreamFilter {
    const vm = this.#open();
    // Layotto's functions answer in other ways than the ABI has.
    const isFunction = vm.program.kind === "service" && vm.callbacks.getId !== undefined;
    return isFunction ? new FunctionStream(vm, host) : new StreamContext(vm, host);
  }

  openConnection(host: ConnectionHost): ConnectionFilter {
    return new ConnectionContext(this.#open(), host);
  }

  drain(): Promise<void> {
    this.#drained ??= this.#drain();
    return this.#drained;
  }

  /** Fails the streams that are left. The guest is not entered for it. */
  async [Symbol.asyncDispose](): Promise<void> {
    const vm = this.#vm;
    if (vm.closed !== undefined) return;
    const error = pluginError(vm.program, "closed", "was shut down");
    vm.close(error);
    vm.failStreams(error);
  }

  /** The guest, if it takes more. */
  #open(): Vm {
    const { closed, program } = this.#vm;
    if (closed !== undefined) throw closed;
    if (this.#drained !== undefined) throw pluginError(program, "closed", "is finishing and takes no more streams");
    return this.#vm;
  }

  async #drain(): Promise<void> {
    const vm = this.#vm;
    const { done, delete: deleted } = vm.callbacks;
    await this.#until(() => vm.openStreams === 0);
    await this.#turn(() => {});
    await this.#until(() => vm.undone.size === 0, doneGraceMs);
    if (done !== undefined)
      await this.#turn(async () => {
        vm.rootUndone = (await vm.enter(undefined, done, vm.rootId)) === 0;
      });
    await this.#until(() => !vm.rootUndone, doneGraceMs);
    if (deleted !== undefined) await this.#turn(() => vm.enter(undefined, deleted, vm.rootId));
    vm.close(pluginError(vm.program, "closed", "finished"));
  }

  /** Resolves when the work has had its turn, or the guest was closed. */
  async #turn(work: () => unknown): Promise<void> {
    const vm = this.#vm;
    let ended = false;
    vm.take(async () => {
      await work();
      ended = true;
      vm.changed?.();
    });
    await this.#until(() => ended);
  }

  /** Resolves when the condition holds, the guest was closed, or the time is up. */
  async #until(condition: () => boolean, limitMs?: number): Promise<void> {
    const vm = this.#vm;
    const { promise, resolve } = Promise.withResolvers<void>();
    vm.changed = () => {
      if (vm.closed !== undefined || condition()) resolve();
    };
    vm.changed();
    const timer = limitMs === undefined ? undefined : setTimeout(resolve, limitMs);
    await promise;
    clearTimeout(timer);
    vm.changed = undefined;
  }
}
