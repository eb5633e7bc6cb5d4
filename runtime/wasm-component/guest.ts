import type { PluginError } from "../plugin/plugin-error.ts";
import type { ComponentProgram } from "./component-program.ts";
import { GuestCrossings } from "./guest-crossings.ts";
import { faultOf, pluginError } from "./guest-fault.ts";
import { GuestMeter, GuestStopped } from "./guest-meter.ts";
import { linkImports } from "./linker.ts";
import { Pace } from "./pace.ts";
import type { CallClient, Guest, GuestHost, GuestServices } from "./provider.ts";
import { crossingsName } from "./watch-crossings.ts";

type Exports = Readonly<Record<string, unknown>>;

/** How long a call goes on that nobody waits for: it sees closed streams, and may put its things in order. */
const graceMs = 1_000;

/**
 * A component that has started: the way in, one call at a time, and the host that its imports see. Calls are the hot path: what
 * only some of them need is made when they ask for it.
 */
export class ComponentGuest implements Guest, GuestHost {
  readonly program: ComponentProgram;
  readonly services: GuestServices;
  readonly meter = new GuestMeter();
  readonly counters = { calls: 0, fuel: 0, peakShare: 0 };
  /** Told once of what ended it. */
  died: ((error: PluginError) => void) | undefined;
  /** Why nothing enters it any more. */
  #closed: PluginError | undefined;
  #exports: Exports = {};
  /** What the call under way is called, and what it began with. */
  #call: string | undefined;
  #fuel = 0;
  /** Ends the wait for the call under way. */
  #giveUp: ((error: PluginError) => void) | undefined;
  #controller: AbortController | undefined;
  #acts: (() => void)[] | undefined;
  /** Why the host stopped it, if it was the host. */
  #stopped: string | undefined;
  #dueAt = 0;
  #client: CallClient | undefined;
  /** Nobody waits for the outcome any more, and what becomes of the call is not the guest's fault. */
  #isUnwanted = false;
  /** Bytes moved between the client and the call since the guest last waited. */
  #hasMoved = false;
  #timer: NodeJS.Timeout | undefined;

  private constructor(program: ComponentProgram, services: GuestServices) {
    this.program = program;
    this.services = services;
  }

  /** Instantiates a component. Rejects with PluginError when it traps, or uses up what it may use to start. */
  static async start(program: ComponentProgram, services: GuestServices): Promise<ComponentGuest> {
    const guest = new ComponentGuest(program, services);
    const { cores, instantiate, limits } = program.module;
    const coreModule = (name: string): WebAssembly.Module => {
      const core = cores.get(name);
      if (core === undefined) throw new TypeError(`its glue asks for '${name}', which it does not have`);
      return core.module;
    };
    const shares = new Map([...cores.values()].map(({ module, fuelShare }) => [module, fuelShare]));
    const pace = new Pace();
    const instantiateCore = async (module: WebAssembly.Module, imports: WebAssembly.Imports) => {
      await pace.step();
      const instance = new WebAssembly.Instance(module, imports);
      guest.meter.attach(instance, shares.get(module));
      return instance;
    };
    const imports = { ...linkImports(program, guest), [crossingsName]: new GuestCrossings(guest.meter) };
    guest.#exports = await guest.#run("its start", limits.startFuel, () =>
      instantiate(coreModule, imports, instantiateCore),
    );
    return guest;
  }

  get host(): GuestHost {
    return this;
  }

  get closed(): PluginError | undefined {
    return this.#closed;
  }

  get isCalled(): boolean {
    return this.#call !== undefined;
  }

  exported(name: string): unknown {
    return this.#exports[name];
  }

  async call<Result>(what: string, enter: () => Result | Promise<Result>, client?: CallClient): Promise<Result> {
    if (this.#closed !== undefined) throw this.#closed;
    if (this.#call !== undefined) throw new TypeError(`${what} was called while ${this.#call} ran`);
    const { timings, fuelPerCall } = this.program;
    const since = timings?.isDue() ? performance.now() : undefined;
    this.counters.calls++;
    this.#client = client;
    try {
      return await this.#run(what, fuelPerCall, enter);
    } finally {
      this.#client = undefined;
      if (since !== undefined) timings?.took(what, performance.now() - since);
    }
  }

  moved(): void {
    if (this.#call === undefined || this.#isUnwanted) return;
    this.#hasMoved = true;
    this.#dueAt = performance.now() + this.program.deadlineMs;
  }

  waited(): void {
    if (!this.#hasMoved) return;
    this.#hasMoved = false;
    const fuel = this.#fuel;
    if (fuel === 0 || this.meter.isOut) return;
    this.#account();
    this.#fuel = fuel;
    this.meter.refill(fuel);
  }

  unwanted(until: "soon" | "deadline"): void {
    if (this.#call === undefined || this.#closed !== undefined || this.#isUnwanted) return;
    this.#isUnwanted = true;
    if (until === "deadline") return;
    this.#dueAt = Math.min(this.#dueAt, performance.now() + graceMs);
    clearTimeout(this.#timer);
    this.#timer = setTimeout(this.#late, graceMs).unref();
  }

  /** Ends it without telling anybody; a call under way rejects with the reason. */
  close(reason: PluginError): void {
    this.died = undefined;
    this.#die(reason);
    clearTimeout(this.#timer);
  }

  get signal(): AbortSignal {
    this.#controller ??= new AbortController();
    if (this.#closed !== undefined && !this.#controller.signal.aborted) this.#controller.abort(this.#closed);
    return this.#controller.signal;
  }

  pay(fuel: number): void {
    this.meter.pay(fuel);
  }

  atEnd(act: () => void): void {
    if (this.#call === undefined) act();
    else if (this.#acts === undefined) this.#acts = [act];
    else this.#acts.push(act);
  }

  exit(hasFailed: boolean): never {
    this.#stopped ??= hasFailed ? "it exited with a failure" : "it exited";
    this.meter.halt();
    throw new GuestStopped(this.#stopped);
  }

  log(level: Parameters<GuestHost["log"]>[0], line: string): void {
    this.services.log(level, line);
  }

  async #run<Result>(what: string, fuel: number, enter: () => Result | Promise<Result>): Promise<Result> {
    this.#call = what;
    this.#fuel = fuel;
    this.#isUnwanted = false;
    this.#hasMoved = false;
    this.meter.refill(fuel);
    this.#watch();
    try {
      const entered = enter();
      const result = entered instanceof Promise ? await this.#within(entered) : entered;
      // It may have caught what was thrown to stop it.
      if (this.meter.isOut) throw new GuestStopped("out of fuel");
      return result;
    } catch (error) {
      if (this.#closed !== undefined) throw this.#closed;
      if (!(error instanceof Error) && !this.meter.isOut) throw error;
      throw this.#die(this.#faultOf(error));
    } finally {
      this.#account();
      this.#call = undefined;
      this.#giveUp = undefined;
      this.#controller = undefined;
      this.#letGo();
    }
  }

  /** The outcome of a call, unless the guest dies first. */
  #within<Result>(entered: Promise<Result>): Promise<Result> {
    const { promise, resolve, reject } = Promise.withResolvers<Result>();
    this.#giveUp = reject;
    entered.then(resolve, reject);
    return promise;
  }

  #faultOf(cause: unknown): PluginError {
    const where = this.#call ?? "a call";
    if (this.#isUnwanted) {
      const rest = `failed in ${where} after its exchange had ended, which counts for no crash: ${messageOf(cause)}`;
      this.log("info", rest);
      return pluginError(this.program, "closed", rest, cause);
    }
    if (this.#stopped !== undefined)
      return pluginError(this.program, "trap", `was stopped in ${where}: ${this.#stopped}`, cause);
    return faultOf(this.program, this.meter, where, this.#fuel, cause);
  }

  /** The end of the guest: what its host calls wait for is aborted, and its code comes no further. */
  #die(error: PluginError): PluginError {
    if (this.#closed !== undefined) return this.#closed;
    this.#closed = error;
    this.#account();
    this.meter.halt();
    this.#controller?.abort(error);
    this.#giveUp?.(error);
    this.died?.(error);
    return error;
  }

  /** Adds what the call under way used, once. */
  #account(): void {
    if (this.#fuel === 0) return;
    const used = this.meter.used;
    this.counters.fuel += used;
    this.counters.peakShare = Math.max(this.counters.peakShare, Math.min(1, used / this.#fuel));
    this.#fuel = 0;
  }

  #letGo(): void {
    const acts = this.#acts;
    if (acts === undefined) return;
    this.#acts = undefined;
    for (const act of acts) act();
  }

  /** One timer watches over all calls: it looks again when it came too early. */
  #watch(): void {
    const { deadlineMs } = this.program;
    this.#dueAt = performance.now() + deadlineMs;
    this.#timer ??= setTimeout(this.#late, deadlineMs).unref();
  }

  readonly #late = (): void => {
    this.#timer = undefined;
    if (this.#call === undefined) return;
    const left = this.#dueAt - performance.now();
    if (left > 0) this.#timer = setTimeout(this.#late, Math.ceil(left)).unref();
    else if (this.#isUnwanted) {
      this.#die(pluginError(this.program, "closed", `was let go of in ${this.#call}, whose exchange had ended`));
    } else if (this.#client?.excusesLateness()) {
      this.unwanted("soon");
    } else {
      const rest = `took longer than its deadline of ${this.program.deadlineMs} ms in ${this.#call}`;
      this.#die(pluginError(this.program, "deadline", rest));
    }
  };
}

const messageOf = (cause: unknown): string => (cause instanceof Error ? cause.message : String(cause));
