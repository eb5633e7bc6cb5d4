import type { ConnectionFilter, ConnectionHost } from "../plugin/connection-filter.ts";
import type { InstanceCounters, PluginInstance, StreamFilter, StreamHost } from "../plugin/contract.ts";
import { ConnectionContext } from "./connection-context.ts";
import { StreamContext } from "./context.ts";
import { pluginError } from "./fault.ts";
import { FunctionStream } from "./function-stream.ts";
import type { RootContext } from "./root-context.ts";

/** How long a guest may put off its end (`proxy_on_done` answered no) before it ends anyway, in milliseconds. */
const doneGraceMs = 5_000;

/** A root context of a Proxy-Wasm guest that has started. Others may share the guest: what is here is its own alone. */
export class ProxyWasmInstance implements PluginInstance {
  readonly #root: RootContext;
  #drained: Promise<void> | undefined;

  constructor(root: RootContext) {
    this.#root = root;
  }

  get streams(): number {
    return this.#root.openStreams;
  }

  get pending(): number {
    return this.#root.vm.pending;
  }

  get counters(): InstanceCounters {
    return this.#root.counters;
  }

  get memory(): WebAssembly.Memory | undefined {
    return this.#root.vm.memory.linear;
  }

  get reportedId(): string {
    return this.#root.vm.reportedId;
  }

  open(host: StreamHost): StreamFilter {
    const root = this.#open();
    // Layotto's functions answer in other ways than the ABI has.
    const isFunction = root.program.kind === "service" && root.vm.callbacks.getId !== undefined;
    return isFunction ? new FunctionStream(root, host) : new StreamContext(root, host);
  }

  openConnection(host: ConnectionHost): ConnectionFilter {
    return new ConnectionContext(this.#open(), host);
  }

  drain(): Promise<void> {
    this.#drained ??= this.#drain();
    return this.#drained;
  }

  /** Fails the streams that are left. The guest is not entered for it, unless others share it. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#root.dismiss(pluginError(this.#root.program, "closed", "was shut down"));
  }

  /** The root context, if it takes more. */
  #open(): RootContext {
    const { closed, program } = this.#root;
    if (closed !== undefined) throw closed;
    if (this.#drained !== undefined) throw pluginError(program, "closed", "is finishing and takes no more streams");
    return this.#root;
  }

  async #drain(): Promise<void> {
    const root = this.#root;
    const { vm } = root;
    const { done, delete: deleted } = vm.callbacks;
    await this.#until(() => root.openStreams === 0);
    await this.#turn(() => {});
    await this.#until(() => root.undone.size === 0, doneGraceMs);
    root.forgetUndone();
    if (done !== undefined)
      await this.#turn(async () => {
        root.isUndone = (await vm.enter(root, done, root.id)) === 0;
      });
    await this.#until(() => !root.isUndone, doneGraceMs);
    if (deleted !== undefined) await this.#turn(() => vm.enter(root, deleted, root.id));
    vm.removeRoot(root, pluginError(root.program, "closed", "finished"));
  }

  /** Resolves when the work has had its turn, or this was closed. */
  async #turn(work: () => unknown): Promise<void> {
    const root = this.#root;
    let ended = false;
    if (root.closed === undefined)
      root.vm.take(async () => {
        await work();
        ended = true;
        root.changed?.();
      });
    await this.#until(() => ended);
  }

  /** Resolves when the condition holds, this was closed, or the time is up. */
  async #until(condition: () => boolean, limitMs?: number): Promise<void> {
    const root = this.#root;
    const { promise, resolve } = Promise.withResolvers<void>();
    root.changed = () => {
      if (root.closed !== undefined || condition()) resolve();
    };
    root.changed();
    const timer = limitMs === undefined ? undefined : setTimeout(resolve, limitMs);
    await promise;
    clearTimeout(timer);
    root.changed = undefined;
  }
}
