import type { Caller, HostServices } from "../plugin/contract.ts";
import type { GrpcReply, HttpMessage } from "../plugin/outside-calls.ts";
import type { PluginError } from "../plugin/plugin-error.ts";
import { spokenVersion } from "./abi.ts";
import { CallTokens } from "./call-tokens.ts";
import type { ConnectionContext } from "./connection-context.ts";
import type { StreamContext } from "./context.ts";
import type { Context } from "./context-end.ts";
import { ContextTable } from "./context-table.ts";
import { faultOf, pluginError, sharedFault } from "./fault.ts";
import type { Expressions } from "./foreign/expressions.ts";
import type { Callback, Callbacks, GuestExports } from "./guest-exports.ts";
import { GuestMemory } from "./memory.ts";
import { Meter } from "./meter.ts";
import type { ModuleProgram } from "./module-program.ts";
import { GuestOutput } from "./output.ts";
import { RootContext, type RootOptions, startFactor } from "./root-context.ts";
import { type Turn, type TurnOptions, Turns } from "./turns.ts";
import { WallClock } from "./wall-clock.ts";

/** Where a call comes from: how many plugins called each other before it, and who made the request that it is made for. */
export interface Origin {
  readonly depth: number;
  readonly caller: Caller | undefined;
}

/** The answer that the guest may look at during the callback that delivers it. */
export type Reply =
  | { readonly protocol: "http"; readonly origin: Origin; readonly message: HttpMessage | undefined }
  | { readonly protocol: "grpc"; readonly origin: Origin; readonly message: GrpcReply };

/** The longest chain of plugins that call each other through the runtime. */
export const maxCallDepth = 4;

/** Fuel for beginning a call or a gRPC stream, which takes its timer and its way to be aborted, and for refusing one. */
export const callCost = 5_000;

/**
 * One guest: its memory, its contexts and the way in. Hostcalls read and change it; they exist before the instance does,
 * hence `attach`. It may have several root contexts, of programs that are linked alike. Callbacks and hostcalls are the hot path: no closures, no promises unless it suspends.
 */
export class Vm {
  /** Whether the guest speaks ABI 0.1.0. */
  readonly isLegacy: boolean;
  readonly meter = new Meter();
  readonly memory = new GuestMemory(this.meter);
  readonly clock = new WallClock();
  readonly standardOutput = new GuestOutput(this, "info");
  readonly errorOutput = new GuestOutput(this, "error");
  /** Of a guest that may create some. */
  expressions: Expressions | undefined;
  readonly roots = new Set<RootContext>();
  /** Root contexts, and streams and connections until the guest was told to delete them, by their ids. */
  readonly contexts = new ContextTable<Context | RootContext>();
  readonly tokens = new CallTokens(this.roots);
  /** The root context of the effective context of hostcalls. */
  root: RootContext;
  /** The effective context of hostcalls, as what it is; both are undefined in a root context. */
  stream: StreamContext | undefined;
  connection: ConnectionContext | undefined;
  /** The context whose callback runs. */
  entered: Context | RootContext | undefined;
  /** What `proxy_get_status` tells: the last failure of a gRPC call or of a method of the runtime. */
  status: { readonly code: number; readonly message: string } = { code: 0, message: "" };
  reply: Reply | undefined;
  /** What the guest gave as its id when it was asked (`proxy_get_id`); empty when it was not, or did not. */
  reportedId = "";
  /** Why nothing enters the guest any more. */
  closed: PluginError | undefined;
  /** Told when it is closed, and in whose callback it died, if it did. */
  gone: ((culprit: RootContext | undefined) => void) | undefined;

  readonly #turns: Turns | undefined;
  /** In the order in which they were put off. */
  readonly #deferred = new Set<() => void>();
  #callbacks: Callbacks | undefined;
  #running: Callback | undefined;
  /** The root context of the callback that runs, or ran last, whatever is effective. */
  #entered: RootContext;
  /** When the callback that runs began, if its time is taken; else 0. */
  #timedFrom = 0;
  #acting = false;
  #release: ((error: PluginError) => void) | undefined;
  /** How many callbacks began. */
  #entries = 0;
  /** The first error that was logged in the callback of that number. */
  #outcry = { entry: -1, text: "" };

  /** With its first root context. */
  constructor(first: RootOptions) {
    const { program } = first;
    this.isLegacy = spokenVersion(program.module.module) === "0.1.0";
    this.root = this.addRoot(first);
    this.#entered = this.root;
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

  /** The program of the effective context's root. */
  get program(): ModuleProgram {
    return this.root.program;
  }

  /** What the effective context's root may reach. */
  get services(): HostServices {
    return this.root.services;
  }

  /** Makes a root context, of which the guest is to be told. */
  addRoot(options: RootOptions): RootContext {
    const root = new RootContext(this, options);
    this.roots.add(root);
    return root;
  }

  /** Takes a root context out; with the last one the guest is closed. The guest was told, if it is to be. */
  removeRoot(root: RootContext, error: PluginError): void {
    root.close(error);
    if (!this.roots.delete(root)) return;
    if (this.roots.size === 0) this.close(error);
    else this.contexts.delete(root.id);
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
   * Enters the guest for a context, does what its hostcalls put off, and gives what the callback
   * answered: a promise of it when the guest suspends. 0 when the guest died on it: look at `closed` before using it.
   */
  enter(
    context: Context | RootContext,
    callback: Callback,
    a = 0,
    b = 0,
    c = 0,
    d = 0,
    e = 0,
  ): number | Promise<number> {
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
  callNow(context: Context | RootContext, callback: Callback, a = 0, b = 0, c = 0, d = 0, e = 0): number {
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
    context: Context | RootContext,
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
    if (this.#outcry.entry !== this.#entries) this.#outcry = { entry: this.#entries, text };
  }

  /** Puts off what may reach back into the guest until the guest has been left. What waits already is not done twice. */
  defer(action: () => void): void {
    this.#deferred.add(action);
  }

  /** Does what was put off. Actions that come of it are done by the outermost call of this. */
  act(): void {
    if (this.#acting || this.#deferred.size === 0) return;
    this.#acting = true;
    try {
      for (const action of this.#deferred) {
        this.#deferred.delete(action);
        action();
      }
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
  close(error: PluginError, culprit?: RootContext): void {
    if (this.closed !== undefined) return;
    this.closed = error;
    this.meter.halt();
    for (const root of this.roots)
      root.close(culprit === undefined || root === culprit ? error : sharedFault(root.program, error));
    this.#turns?.close();
    this.#deferred.clear();
    this.#release?.(error);
    this.gone?.(culprit);
  }

  /** How many plugins called each other to get here. */
  get depth(): number {
    return this.#served?.depth ?? this.reply?.origin.depth ?? 0;
  }

  /** Who made the request in whose stream the guest is, when that was a plugin. */
  get caller(): Caller | undefined {
    const stream = this.#served;
    return stream === undefined ? this.reply?.origin.caller : stream.caller;
  }

  /** The stream that the guest is at work for; one whose callback runs also while a root context is the effective one. */
  get #served(): StreamContext | undefined {
    return this.stream ?? (this.entered?.kind === "stream" ? this.entered : undefined);
  }

  /** Where a call comes from that is made now. */
  get origin(): Origin {
    return { depth: this.depth, caller: this.caller };
  }

  contextDeleted(context: Context): void {
    this.contexts.delete(context.id);
    context.root.changed?.();
  }

  /** Makes a context the effective one. */
  setEffective(context: Context | RootContext): void {
    this.root = context.root;
    this.stream = context.kind === "stream" ? context : undefined;
    this.connection = context.kind === "connection" ? context : undefined;
  }

  #begin(context: Context | RootContext, callback: Callback): void {
    this.setEffective(context);
    const { root } = context;
    this.entered = context;
    this.#entered = root;
    this.#running = callback;
    this.#entries++;
    root.counters.calls++;
    if (root.fuelLeft < root.fuelPerCall) root.fuelPerCall = root.fuelLeft;
    this.meter.refill(root.fuelPerCall);
    if (root.program.timings?.isDue()) this.#timedFrom = performance.now();
  }

  #end(): void {
    const { left } = this.meter;
    this.#leave(left);
    if (left < 0) this.#trapped(undefined);
  }

  #leave(left: number): void {
    this.standardOutput.flush();
    this.errorOutput.flush();
    const root = this.#entered;
    const used = root.fuelPerCall - Math.max(left, 0);
    root.counters.fuel += used;
    root.fuelLeft -= used;
    const share = used / root.fuelPerCall;
    if (share > root.counters.peakShare) root.counters.peakShare = share;
    if (this.#timedFrom !== 0) this.#tookTime();
    this.stream = undefined;
    this.connection = undefined;
    this.entered = undefined;
    this.reply = undefined;
  }

  #tookTime(): void {
    this.#entered.program.timings?.took(this.#running?.name ?? "", performance.now() - this.#timedFrom);
    this.#timedFrom = 0;
  }

  #trapped(cause: unknown): void {
    if (this.closed !== undefined) return;
    const where = this.#running?.name ?? "its start function";
    const outcry = this.#outcry.entry === this.#entries ? this.#outcry.text : "";
    const { program, fuelPerCall } = this.#entered;
    this.#fail(faultOf(program, this.meter, where, fuelPerCall, cause, outcry));
  }

  #overran(): void {
    const where = this.#running?.name ?? "its start function";
    this.#fail(pluginError(this.program, "deadline", `was still waiting in ${where} when its time was up`));
  }

  #fail(error: PluginError): void {
    if (this.closed !== undefined) return;
    this.close(error, this.#entered);
    for (const root of this.roots) root.died(root.closed ?? error);
  }
}
