import type { InstanceCounters, PluginInstance, StreamFilter, StreamHost } from "../plugin/contract.ts";
import type { PluginError } from "../plugin/plugin-error.ts";
import type { ComponentGuest } from "./guest.ts";
import { pluginError } from "./guest-fault.ts";
import { exportedAmong } from "./interfaces.ts";
import type { ExportedInterface } from "./provider.ts";

/** Told of what becomes of an instance. */
export interface InstanceListener {
  readonly lost: (error: PluginError) => void;
  readonly freed: (() => void) | undefined;
}

/** A component that has started, with one stream at a time. */
export class ComponentInstance implements PluginInstance {
  readonly #guest: ComponentGuest;
  readonly #listener: InstanceListener;
  readonly #called: readonly {
    readonly called: ExportedInterface;
    readonly exported: Readonly<Record<string, unknown>>;
  }[];
  #stream: StreamHost | undefined;
  #drained: PromiseWithResolvers<void> | undefined;

  constructor(guest: ComponentGuest, listener: InstanceListener) {
    this.#guest = guest;
    this.#listener = listener;
    this.#called = exportedAmong(guest.program.module.exports).map(({ name, called }) => ({
      called,
      exported: Object(guest.exported(name)),
    }));
    guest.died = (error) => {
      this.#fail(error);
      listener.lost(error);
    };
  }

  get streams(): number {
    return this.#stream === undefined ? 0 : 1;
  }

  get pending(): number {
    return this.#guest.isCalled ? 1 : 0;
  }

  get counters(): InstanceCounters {
    return this.#guest.counters;
  }

  get memory(): WebAssembly.Memory | undefined {
    return this.#guest.meter.memory;
  }

  readonly reportedId = "";

  open(host: StreamHost): StreamFilter {
    const { closed, program } = this.#guest;
    if (closed !== undefined) throw closed;
    if (this.#drained !== undefined) throw pluginError(program, "closed", "is finishing and takes no more streams");
    if (this.#stream !== undefined) throw pluginError(program, "closed", "has a stream, and takes one at a time");
    for (const { called, exported } of this.#called) {
      if (!called.takes(host, program.kind)) continue;
      this.#stream = host;
      return called.open(this.#guest, exported, host, () => this.#ended(host));
    }
    const names = this.#called.map(({ called }) => called.name).join(", ");
    throw pluginError(program, "refused", `exports ${names}, which takes no stream such as this as a ${program.kind}`);
  }

  async drain(): Promise<void> {
    this.#drained ??= Promise.withResolvers();
    if (this.#stream === undefined) this.#drained.resolve();
    await this.#drained.promise;
    this.#guest.close(pluginError(this.#guest.program, "closed", "finished"));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const reason = pluginError(this.#guest.program, "closed", "was shut down");
    this.#guest.close(reason);
    this.#fail(reason);
  }

  #ended(host: StreamHost): void {
    if (this.#stream !== host) return;
    this.#stream = undefined;
    this.#drained?.resolve();
    if (this.#guest.closed === undefined && this.#drained === undefined) this.#listener.freed?.();
  }

  /** Tells the stream that is left, if there is one. */
  #fail(error: PluginError): void {
    const host = this.#stream;
    this.#stream = undefined;
    host?.failed(error);
    this.#drained?.resolve();
  }
}
