import type { HostServices } from "../plugin/contract.ts";
import type { PluginError } from "../plugin/plugin-error.ts";
import { fuelPerMillisecond } from "../plugin/sandbox/fuel.ts";
import { type Context, deleteContext, finishContext } from "./context-end.ts";
import { DeclaredProperties } from "./declared-properties.ts";
import { GrpcStreams } from "./grpc-streams.ts";
import type { ModuleProgram } from "./module-program.ts";
import { OutstandingCalls } from "./outstanding-calls.ts";
import { QueueEvents } from "./queue-events.ts";
import { Ticker } from "./ticker.ts";
import type { Vm } from "./vm.ts";

/** Starting and configuring may take this many times the fuel and the time of a callback: guests build their tables then. */
export const startFactor = 20;
/** Fuel for all of the start, whatever a callback may use: it holds up everyone. */
const maxStartFuel = 1_000 * fuelPerMillisecond;

/** What a root context is made for. */
export interface RootOptions {
  readonly program: ModuleProgram;
  readonly services: HostServices;
}

/**
 * A plugin with one configuration in a VM: the root context, whose streams, calls, ticks and queues are its own. Several may
 * share a VM; what any of them does to the guest's memory, it does to all.
 */
export class RootContext {
  readonly id: number;
  readonly vm: Vm;
  readonly program: ModuleProgram;
  readonly services: HostServices;
  readonly calls: OutstandingCalls;
  readonly streams: GrpcStreams;
  readonly ticker: Ticker;
  readonly queues: QueueEvents;
  readonly declared = new DeclaredProperties();
  readonly counters = { calls: 0, fuel: 0, peakShare: 0 };
  /** How many streams and connections have a host that was not told how they end. */
  openStreams = 0;
  /** Contexts whose `proxy_on_done` answered that they are not, in the order they did; they wait for `proxy_done`. */
  readonly undone = new Set<Context>();
  /** Whether its own `proxy_on_done` answered that it is not, and `proxy_done` has not come. */
  isUndone = false;
  /** The last warning or worse that the guest logged while it started. */
  complaint = "";
  /** Told when a stream ends, a context is done or deleted, or this is closed. */
  changed: (() => void) | undefined;
  /** Why nothing of it enters the guest any more. */
  closed: PluginError | undefined;
  /** What the callback that runs, or the next one, may use. */
  fuelPerCall: number;
  /** What is left for starting; without end once it has started. */
  fuelLeft = maxStartFuel;
  /** Told when the VM died under it; not when it was closed. */
  lost: ((error: PluginError) => void) | undefined;
  /** Another of the same program, in another VM, that nobody has taken yet; it goes when this one goes. */
  companion: RootContext | undefined;

  constructor(vm: Vm, { program, services }: RootOptions) {
    this.vm = vm;
    this.program = program;
    this.services = services;
    this.fuelPerCall = Math.min(program.fuelPerCall * startFactor, maxStartFuel);
    this.calls = new OutstandingCalls(this);
    this.streams = new GrpcStreams(this);
    this.ticker = new Ticker(this);
    this.queues = new QueueEvents(this);
    this.id = vm.contexts.add(this);
  }

  get kind(): "root" {
    return "root";
  }

  /** Its own, as that of its streams. */
  get root(): this {
    return this;
  }

  /** Always known to the guest, as streams are not. */
  get created(): true {
    return true;
  }

  /** From here on callbacks get the budgets of a running plugin, and ticks come. */
  started(): void {
    this.fuelPerCall = this.program.fuelPerCall;
    this.fuelLeft = Number.POSITIVE_INFINITY;
    this.counters.peakShare = 0;
    this.ticker.start();
    this.queues.start();
  }

  streamEnded(): void {
    this.openStreams -= 1;
    this.changed?.();
  }

  /** `proxy_done`; false when nothing waits for it. */
  complete(): boolean {
    if (!this.isUndone) return false;
    this.isUndone = false;
    this.vm.defer(() => this.changed?.());
    return true;
  }

  /** What it waits for is cancelled; the guest is not entered. */
  close(error: PluginError): void {
    if (this.closed !== undefined) return;
    this.closed = error;
    this.ticker.stop();
    this.queues.stop();
    this.calls.cancelAll();
    this.streams.cancelAll();
    this.changed?.();
    this.companion?.dismiss(error);
    this.companion = undefined;
  }

  /** The VM died, in a callback of this or of another root context: tells whoever waits for anything of this one. */
  died(error: PluginError): void {
    this.#failStreams(error);
    this.lost?.(error);
  }

  /** Ends it without waiting for anything: streams that are left fail. The guest is entered only when others share it. */
  dismiss(error: PluginError): void {
    if (this.closed !== undefined) return;
    const { vm } = this;
    this.lost = undefined;
    if (vm.roots.size === 1) {
      vm.removeRoot(this, error);
      this.#failStreams(error);
      return;
    }
    this.close(error);
    this.#endStreams(error);
    const { done, delete: deleted } = vm.callbacks;
    if (done !== undefined) vm.take(() => vm.enter(this, done, this.id));
    if (deleted !== undefined) vm.take(() => vm.enter(this, deleted, this.id));
    vm.removeRoot(this, error);
  }

  /** Lets the guest forget streams that have ended and of which it says that they are not done. */
  forgetUndone(): void {
    for (const context of [...this.undone]) context.complete();
  }

  /** Lets the guest forget all streams, and fails those whose host was not told how they end. */
  #endStreams(error: PluginError): void {
    for (const context of this.#contexts) {
      context.fail(error);
      if (this.undone.delete(context)) deleteContext(this.vm, context);
      else finishContext(this.vm, context);
    }
    this.forgetUndone();
  }

  #failStreams(error: PluginError): void {
    for (const context of this.#contexts) context.fail(error);
  }

  get #contexts(): Context[] {
    return this.vm.contexts.all.filter((context) => context.kind !== "root").filter(({ root }) => root === this);
  }
}
