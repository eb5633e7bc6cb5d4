import type { GrpcReply, HostServices, HttpMessage, PluginProgram } from "../plugin/contract.ts";
import type { PluginError } from "../plugin/plugin-error.ts";
import { fuelPerMillisecond } from "../plugin/sandbox/fuel.ts";
import { spokenVersion } from "./abi.ts";
import type { ConnectionContext } from "./connection-context.ts";
import type { StreamContext } from "./context.ts";
import type { Context } from "./context-end.ts";
import { ContextTable } from "./context-table.ts";
import { DeclaredProperties } from "./declared-properties.ts";
import { faultOf, pluginError } from "./fault.ts";
import type { Expressions } from "./foreign/expressions.ts";
import { GrpcStreams } from "./grpc-streams.ts";
import type { Callback, Callbacks, GuestExports } from "./guest-exports.ts";
import { GuestMemory } from "./memory.ts";
import { Meter } from "./meter.ts";
import { GuestOutput } from "./output.ts";
import { OutstandingCalls } from "./outstanding-calls.ts";
import { QueueEvents } from "./queue-events.ts";
import { Ticker } from "./ticker.ts";
import { type Turn, type TurnOptions, Turns } from "./turns.ts";
import { WallClock } from "./wall-clock.ts";

/** The answer that the guest may look at during the callback that delivers it. */
export type Reply =
  | { readonly protocol: "http"; readonly depth: number; readonly message: HttpMessage | undefined }
  | { readonly protocol: "grpc"; readonly depth: number; readonly message: GrpcReply };

/** The longest chain of plugins that call each other through the runtime. */
export const maxCallDepth = 4;
/** Starting and configuring may take this many times the fuel and the time of a callback: guests build their tables then. */
const startFactor = 20;
/** Fuel for all of the start, whatever a callback may use: it holds up everyone. */
const maxStartFuel = 1_000 * fuelPerMillisecond;

/**
 * One guest: its memory, its contexts, what it waits for, and the way in. Hostcalls read and change it; they exist before
 * the instance does, hence `attach`. Callbacks and hostcalls are the hot path: no closures, no promises unless it suspends.
 */
export class Vm {
  readonly program: PluginProgram;
  readonly services: HostServices;
  /** Whether the guest speaks ABI 0.1.0. */
  readonly isLegacy: boolean;
  readonly meter = new Meter();
  readonly memory = new GuestMemory(this.meter);
  readonly clock = new WallClock();
  readonly calls: OutstandingCalls;
  readonly streams: GrpcStreams;
  readonly ticker: Ticker;
  readonly queues: QueueEvents;
  readonly standardOutput = new GuestOutput(this, "info");
  readonly errorOutput = new GuestOutput(this, "error");
  readonly declared = new DeclaredProperties();
  /** Of a guest that may create some. */
  expressions: Expressions | undefined;
  readonly counters = { calls: 0, fuel: 0, peakShare: 0 };
  /** Streams and connections by the id of their context, from their first callback until the guest was told to delete them. */
  readonly contexts: ContextTable<Context>;
  /** How many of them have a host that was not told how they end. */
  openStreams = 0;
  /** Contexts whose `proxy_on_done` answered that they are not, in the order they did; they wait for `proxy_done`. */
  readonly undone = new Set<Context>();
  /** The only root context; the other contexts count on from it. */
  readonly rootId = 1;
  /** The effective context of hostcalls, as what it is; both are undefined in the root context. */
  stream: StreamContext | undefined;
  connection: ConnectionContext | undefined;
  /** The context whose callback runs. */
  entered: Context | undefined;
  /** What `proxy_get_status` tells: the last failure of a gRPC call or of a method of the runtime. */
  status: { readonly code: number; readonly message: string } = { code: 0, message: "" };
  reply: Reply | undefined;
  /** The last warning or worse that the guest logged while it started. */
  complaint = "";
  /** Whether the root context's `proxy_on_done` answered that it is not, and `proxy_done` has not come. */
  rootUndone = false;
  /** What the guest gave as its id when it was asked (`proxy_get_id`); empty when it was not, or did not. */
  reportedId = "";
  /** Told when a stream ends, a context is done or deleted, or the guest is closed. */
  changed: (() => void) | undefined;
  /** Why nothing enters the guest any more. */
  closed: PluginError | undefined;

  readonly #died: (error: PluginError) => void;
  readonly #turns: Turns | undefined;
  readonly #deferred: (() => void)[] = [];
  #callbacks: Callbacks | undefined;
  /** What the callback that runs, or the next one, may use. */
  #fuelPerCall: number;
  /** What is left for starting; without end once the guest has started. */
  #fuelLeft = maxStartFuel;
  #running: Callback | undefined;
  /** When the callback that runs began, if its time is taken; else 0. */
  #timedFrom = 0;
  #acting = false;
  #release: ((error: PluginError) => void) | undefined;
  /** The first error that was logged in the callback of that number. */
  #outcry = { call: -1, text: "" };

  /** `died` is called once, when the guest trapped, overran or was too late; not when it was closed. */
  constructor(program: PluginProgram, services: HostServices, died: (error: PluginError) => void) {
    this.program = program;
    this.services = services;
    this.isLegacy = spokenVersion(program.module.module) === "0.1.0";
    this.#died = died;
    this.#fuelPerCall = Math.min(program.fuelPerCall * startFactor, maxStartFuel);
    this.contexts = new ContextTable(this.rootId);
    this.calls = new OutstandingCalls(this);
    this.streams = new GrpcStreams(this);
    this.ticker = new Ticker(this);
    this.queues = new QueueEvents(this);
    if (program.suspends) this.#turns = new Turns(program.deadlineMs, () => this.#overran());
  }

  attach(exports: GuestExports): void {
    this.#callbacks = exports.callbacks;
    this.memory.attach(exports.memory, (size) => {
      const { phase } = this.meter;
      this.meter.phase = "allocating";
      const pointer = exports.allocate(size);
      this.meter.phase = phase;
      return pointer;
    });
    this.meter.phase = "starting";
  }

  /** The guest's callbacks. */
  get callbacks(): Callbacks {
    if (this.#callbacks === undefined) throw new Error("the guest has no instance yet");
    return this.#callbacks;
  }

  /** The callback that runs, or ran last. */
  get running(): Callback | undefined {
    return this.#running;
  }

  /** From here on callbacks get the budgets of a running plugin, and ticks come. */
  started(): void {
    this.#fuelPerCall = this.program.fuelPerCall;
    this.#fuelLeft = Number.POSITIVE_INFINITY;
    this.counters.peakShare = 0;
    this.ticker.start();
    this.queues.start();
  }

  /** Whether callbacks wait for the host, and for their turn. */
  get suspends(): boolean {
    return this.#turns !== undefined;
  }

  /** Callbacks that run or wait for their turn. */
  get pending(): number {
    return this.#turns?.pending ?? 0;
  }

  /** Does the work when nothing else is in the guest: at once, unless the guest suspends. */
  take(turn: Turn, options?: TurnOptions): void {
    if (this.closed !== undefined) return;
    if (this.#turns === undefined) turn();
    else this.#turns.take(turn, options);
  }

  /** Does the work of starting, with its longer limit, and resolves when it ended. */
  async takeToStart(turn: () => Promise<void>): Promise<void> {
    if (this.#turns === undefined) return turn();
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#turns.take(() => turn().then(resolve, reject), { limitMs: this.program.deadlineMs * startFactor });
    return promise;
  }

  /**
   * Enters the guest for a context, undefined for the root, does what its hostcalls put off, and gives what the callback
   * answered: a promise of it when the guest suspends. 0 when the guest died on it: look at `closed` before using it.
   */
  enter(context: Context | undefined, callback: Callback, a = 0, b = 0, c = 0, d = 0, e = 0): number | Promise<number> {
    if (this.suspends) {
      return this.callLater(context, callback, a, b, c, d, e).then((answer) => {
        this.act();
        return answer;
      });
    }
    const answer = this.callNow(context, callback, a, b, c, d, e);
    this.act();
    return answer;
  }

  /** Enters a guest that does not suspend; `act` must follow. */
  callNow(context: Context | undefined, callback: Callback, a = 0, b = 0, c = 0, d = 0, e = 0): number {
    if (this.closed !== undefined) return 0;
    this.#begin(context, callback);
    let answer: unknown;
    try {
      answer = callback.run(a, b, c, d, e);
    } catch (cause) {
      this.#leave(this.meter.left);
      this.#trapped(cause);
      return 0;
    }
    this.#end();
    return typeof answer === "number" ? answer : 0;
  }

  /** Enters a guest that suspends, in its turn; `act` must follow. */
  async callLater(
    context: Context | undefined,
    callback: Callback,
    a = 0,
    b = 0,
    c = 0,
    d = 0,
    e = 0,
  ): Promise<number> {
    if (this.closed !== undefined) return 0;
    this.#begin(context, callback);
    let answer: unknown;
    try {
      answer = await callback.run(a, b, c, d, e);
    } catch (cause) {
      this.#leave(this.meter.left);
      this.#trapped(cause);
      return 0;
    }
    this.#end();
    return typeof answer === "number" ? answer : 0;
  }

  /** The guest logged an error: if this is the callback that it dies in, the first of them tells why. */
  loggedError(text: string): void {
    if (this.#outcry.call !== this.counters.calls) this.#outcry = { call: this.counters.calls, text };
  }

  /** Puts off what may reach back into the guest until the guest has been left. */
  defer(action: () => void): void {
    this.#deferred.push(action);
  }

  /** Does what was put off. Actions that come of it are done by the outermost call of this. */
  act(): void {
    if (this.#acting || this.#deferred.length === 0) return;
    this.#acting = true;
    try {
      for (let action = this.#deferred.shift(); action !== undefined; action = this.#deferred.shift()) action();
    } finally {
      this.#acting = false;
    }
  }

  /** Holds the guest until the work is done. Rejects when the guest is closed meanwhile; then the signal aborts. */
  async suspend<Result>(work: (signal: AbortSignal) => Promise<Result>): Promise<Result> {
    const controller = new AbortController();
    const closed = Promise.withResolvers<never>();
    this.#release = (error) => {
      controller.abort(error);
      closed.reject(error);
    };
    try {
      return await Promise.race([closed.promise, Promise.resolve(controller.signal).then(work)]);
    } finally {
      this.#release = undefined;
    }
  }

  /** Nothing enters the guest any more; what it waits for is cancelled. Its streams are told by the caller. */
  close(error: PluginError): void {
    if (this.closed !== undefined) return;
    this.closed = error;
    this.meter.halt();
    this.ticker.stop();
    this.queues.stop();
    this.calls.cancelAll();
    this.streams.cancelAll();
    this.#turns?.close();
    this.#deferred.length = 0;
    this.#release?.(error);
    this.changed?.();
  }

  /** How many plugins called each other to get here. */
  get depth(): number {
    return this.stream?.depth ?? this.reply?.depth ?? 0;
  }

  streamEnded(): void {
    this.openStreams -= 1;
    this.changed?.();
  }

  contextDeleted(context: Context): void {
    this.contexts.delete(context.id);
    this.changed?.();
  }

  /** `proxy_done` of the root context; false when nothing waits for it. */
  completeRoot(): boolean {
    if (!this.rootUndone) return false;
    this.rootUndone = false;
    this.defer(() => this.changed?.());
    return true;
  }

  /** Fails the streams whose host was not told how they end. */
  failStreams(error: PluginError): void {
    for (const context of this.contexts.all) context.fail(error);
  }

  /** Makes a context the effective one; undefined is the root context. */
  setEffective(context: Context | undefined): void {
    this.stream = context?.kind === "stream" ? context : undefined;
    this.connection = context?.kind === "connection" ? context : undefined;
  }

  #begin(context: Context | undefined, callback: Callback): void {
    this.setEffective(context);
    this.entered = context;
    this.#running = callback;
    this.counters.calls++;
    if (this.#fuelLeft < this.#fuelPerCall) this.#fuelPerCall = this.#fuelLeft;
    this.meter.refill(this.#fuelPerCall);
    if (this.program.timings?.isDue()) this.#timedFrom = performance.now();
  }

  #end(): void {
    const { left } = this.meter;
    this.#leave(left);
    if (left < 0) this.#trapped(undefined);
  }

  #leave(left: number): void {
    this.standardOutput.flush();
    this.errorOutput.flush();
    const used = this.#fuelPerCall - Math.max(left, 0);
    this.counters.fuel += used;
    this.#fuelLeft -= used;
    const share = used / this.#fuelPerCall;
    if (share > this.counters.peakShare) this.counters.peakShare = share;
    if (this.#timedFrom !== 0) this.#tookTime();
    this.stream = undefined;
    this.connection = undefined;
    this.entered = undefined;
    this.reply = undefined;
  }

  #tookTime(): void {
    this.program.timings?.took(this.#running?.name ?? "", performance.now() - this.#timedFrom);
    this.#timedFrom = 0;
  }

  #trapped(cause: unknown): void {
    if (this.closed !== undefined) return;
    const where = this.#running?.name ?? "its start function";
    const outcry = this.#outcry.call === this.counters.calls ? this.#outcry.text : "";
    this.#fail(faultOf(this.program, this.meter, where, this.#fuelPerCall, cause, outcry));
  }

  #overran(): void {
    const where = this.#running?.name ?? "its start function";
    this.#fail(pluginError(this.program, "deadline", `was still waiting in ${where} when its time was up`));
  }

  #fail(error: PluginError): void {
    if (this.closed !== undefined) return;
    this.close(error);
    this.#died(error);
  }
}
