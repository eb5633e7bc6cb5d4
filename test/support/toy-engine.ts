import type {
  BodyBuffer,
  FilterAction,
  HeaderMap,
  HostServices,
  LocalReply,
  PluginEngine,
  PluginInstance,
  PluginProgram,
  StreamFilter,
  StreamHost,
} from "../../runtime/plugin/contract.ts";
import { PluginError } from "../../runtime/plugin/plugin-error.ts";
import { isComponent } from "../../runtime/plugin/sandbox/sandboxed-component.ts";
import { fuelGauge } from "../../runtime/plugin/sandbox/sandboxed-module.ts";
import { assemble } from "./wat.ts";

/**
 * The smallest engine there can be: for modules that export `toy`. `configure(length) -> i32` takes the length of the
 * configuration and refuses with 0. `call(x) -> i32` serves the request whose header `x` is x: 0 goes on, 1 holds it, 2 waits
 * for the upstream `gate`, 3 answers with the status that `version()` gives.
 */
export const toyEngine: PluginEngine = {
  name: "proxy-wasm",
  isExclusive: false,
  detect: (compiled) => {
    if (isComponent(compiled)) return undefined;
    return WebAssembly.Module.exports(compiled.module).some(({ name }) => name === "toy") ? "toy 1" : undefined;
  },
  start: async (program, services, lost, freed) => new ToyInstance(program, services, lost, freed),
};

/** A toy module: traps for x = 13, loops for ever for x = 99, refuses a configuration of 7 bytes and crashes on one of 8. */
export const toyModule = (version: number): Promise<Uint8Array<ArrayBuffer>> =>
  assemble(
    `toy-${version}`,
    `(module
      (func (export "toy"))
      (func (export "version") (result i32) (i32.const ${version}))
      (func (export "configure") (param $length i32) (result i32)
        (if (i32.eq (local.get $length) (i32.const 8)) (then (unreachable)))
        (i32.ne (local.get $length) (i32.const 7)))
      (func (export "call") (param $x i32) (result i32)
        (if (i32.eq (local.get $x) (i32.const 13)) (then (unreachable)))
        (if (i32.eq (local.get $x) (i32.const 99)) (then (loop $for_ever (br $for_ever))))
        (local.get $x)))`,
  );

type Guest = Readonly<Record<"version" | "configure" | "call", (argument: number) => number>>;

class ToyInstance implements PluginInstance {
  readonly #program: PluginProgram;
  readonly #services: HostServices;
  readonly #lost: (error: PluginError) => void;
  readonly #freed: (() => void) | undefined;
  readonly #guest: Guest;
  readonly #gauge: ReturnType<typeof fuelGauge>;
  readonly #hosts = new Set<StreamHost>();
  readonly #empty = Promise.withResolvers<void>();
  #isDraining = false;
  #isDead = false;
  pending = 0;

  constructor(
    program: PluginProgram,
    services: HostServices,
    lost: (error: PluginError) => void,
    freed: (() => void) | undefined,
  ) {
    this.#program = program;
    this.#services = services;
    this.#lost = lost;
    this.#freed = freed;
    if (isComponent(program.module)) throw new TypeError("the toy is a module");
    const instance = new WebAssembly.Instance(program.module.module, {});
    this.#gauge = fuelGauge(instance);
    const { version, configure, call } = instance.exports;
    if (typeof version !== "function" || typeof configure !== "function" || typeof call !== "function") {
      throw this.#error("refused", "exports too little");
    }
    this.#guest = { version, configure, call } as Guest;
    let accepts: number;
    try {
      accepts = this.#run("configure", program.configuration.length);
    } catch (cause) {
      throw this.#error("trap", `trapped while it was configured: ${String(cause)}`);
    }
    if (accepts === 0) throw this.#error("configuration", "refuses its configuration");
  }

  get streams(): number {
    return this.#hosts.size;
  }

  readonly reportedId = "";

  readonly counters = { calls: 0, fuel: 0, peakShare: 0 };
  readonly memory = undefined;

  open(host: StreamHost): StreamFilter {
    if (this.#isDead) throw this.#error("closed", "was shut down");
    this.#hosts.add(host);
    const goOn = (): FilterAction => "continue";
    return {
      requestHeaders: () => this.#requestHeaders(host),
      requestBody: goOn,
      requestTrailers: goOn,
      responseHeaders: goOn,
      responseBody: goOn,
      responseTrailers: goOn,
      end: () => this.#forget(host),
    };
  }

  async drain(): Promise<void> {
    this.#isDraining = true;
    if (this.#hosts.size === 0) this.#empty.resolve();
    await this.#empty.promise;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#isDead) this.#die(this.#error("closed", "was shut down"));
  }

  #requestHeaders(host: StreamHost): FilterAction {
    const x = Number(host.headers("request-headers")?.get("x") ?? 0);
    let answer: number;
    try {
      answer = this.#run("call", x);
    } catch (cause) {
      const error = this.#error(this.#gauge.get() < 0 ? "fuel" : "trap", `stopped: ${String(cause)}`);
      this.#die(error);
      this.#lost(error);
      return "pause";
    }
    if (answer === 2) {
      this.#wait(host);
      return "suspended";
    }
    if (answer === 3) host.respond({ ...emptyReply, status: this.#run("version", 0) });
    return answer === 0 ? "continue" : "pause";
  }

  #wait(host: StreamHost): void {
    this.pending++;
    const done = (): void => {
      this.pending--;
      if (this.#hosts.has(host)) host.settle("continue");
    };
    const nothing = { headers: [], body: new Uint8Array(), trailers: [] };
    this.#services.httpCall("gate", nothing, AbortSignal.timeout(60_000)).then(done, done);
  }

  #run(name: keyof Guest, argument: number): number {
    this.counters.calls++;
    this.#gauge.set(this.#program.fuelPerCall);
    try {
      return this.#guest[name](argument);
    } finally {
      const used = this.#program.fuelPerCall - Math.max(0, this.#gauge.get());
      this.counters.fuel += used;
      this.counters.peakShare = Math.max(this.counters.peakShare, used / this.#program.fuelPerCall);
    }
  }

  #die(error: PluginError): void {
    this.#isDead = true;
    const hosts = [...this.#hosts];
    this.#hosts.clear();
    this.#empty.resolve();
    for (const host of hosts) host.failed(error);
  }

  #forget(host: StreamHost): void {
    this.#hosts.delete(host);
    if (this.#isDraining && this.#hosts.size === 0) this.#empty.resolve();
    else if (!this.#isDead && this.#hosts.size === 0) this.#freed?.();
  }

  #error(fault: PluginError["fault"], what: string): PluginError {
    const { name, version } = this.#program;
    return new PluginError(name, version, fault, `plugin '${name}' ${version} ${what}`);
  }
}

const emptyReply: LocalReply = { status: 200, details: "toy", headers: [], body: new Uint8Array() };

/** One request with the header `x` and others, as the data plane would drive it; keeps what the plugin did to it. */
export class ToyRequest implements StreamHost {
  readonly #headers: ReadonlyMap<string, string>;
  readonly events: string[] = [];
  #woken = Promise.withResolvers<void>();

  constructor(x: number, headers: Readonly<Record<string, string>> = {}) {
    this.#headers = new Map([["x", String(x)], ...Object.entries(headers)]);
  }

  /** Opens the stream and shows it the request's head. */
  send(open: { open(host: StreamHost): StreamFilter }): StreamFilter {
    const filter = open.open(this);
    this.#note(filter.requestHeaders(true));
    return filter;
  }

  /** Resolves when the event happened, or had happened. */
  async happened(event: string | RegExp): Promise<void> {
    const matches = (one: string): boolean => (typeof event === "string" ? one === event : event.test(one));
    while (!this.events.some(matches)) await this.#woken.promise;
  }

  headers(): HeaderMap {
    const nothing = (): void => {};
    return {
      size: this.#headers.size,
      get: (name) => this.#headers.get(name),
      set: nothing,
      add: nothing,
      remove: nothing,
      entries: () => [...this.#headers],
      replaceAll: nothing,
    };
  }

  body(): BodyBuffer | undefined {
    return undefined;
  }

  resume(): void {}

  settle(action: "continue" | "pause"): void {
    this.#note(`settled ${action}`);
  }

  respond({ status }: LocalReply): void {
    this.#note(`responded ${status}`);
  }

  reset(): void {
    this.#note("reset");
  }

  failed({ fault }: PluginError): void {
    this.#note(`failed ${fault}`);
  }

  property(): undefined {
    return undefined;
  }

  setProperty(): boolean {
    return false;
  }

  clearRoute(): void {}

  answer(): undefined {
    return undefined;
  }

  #note(event: string): void {
    this.events.push(event);
    this.#woken.resolve();
    this.#woken = Promise.withResolvers<void>();
  }
}
