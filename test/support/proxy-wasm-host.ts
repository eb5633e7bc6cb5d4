import { EventEmitter, once } from "node:events";
import { refusedStream } from "../../runtime/grpc/client.ts";
import type {
  BodyBuffer,
  Direction,
  GuestLogLevel,
  HeaderMap,
  HostServices,
  LocalReply,
  PluginEngine,
  PluginInstance,
  PluginProgram,
  PropertyValue,
  SettledAction,
  StreamHost,
  StreamMap,
} from "../../runtime/plugin/contract.ts";
import type { MetricType } from "../../runtime/plugin/guest-metrics.ts";
import type {
  GrpcReply,
  GrpcRequest,
  GrpcStream,
  GrpcStreamReceiver,
  GrpcStreamRequest,
  HttpMessage,
} from "../../runtime/plugin/outside-calls.ts";
import type { PluginError } from "../../runtime/plugin/plugin-error.ts";
import type { CompiledPlugin } from "../../runtime/plugin/sandbox/sandboxed-component.ts";
import { SharedQueueStore } from "../../runtime/plugin/shared-queues.ts";
import { proxyWasmEngine } from "../../runtime/proxy-wasm/engine.ts";
import { type GuestText, guestText, type PlaceText } from "./proxy-wasm-guest.ts";
import { sandboxed } from "./sandboxed.ts";
import { unusedApi } from "./unused-api.ts";
import { assemble } from "./wat.ts";

type Fields = readonly (readonly [name: string, value: string])[];

/** A header map in an array. */
export class TestFields implements HeaderMap {
  #fields: Fields;

  constructor(fields: Fields = []) {
    this.#fields = fields;
  }

  get size(): number {
    return this.#fields.length;
  }

  get(name: string): string | undefined {
    return this.#fields.find(([key]) => key === name)?.[1];
  }

  set(name: string, value: string): void {
    const at = this.#fields.findIndex(([key]) => key === name);
    const others = this.#fields.filter(([key]) => key !== name);
    this.#fields = others.toSpliced(at === -1 ? others.length : at, 0, [name, value]);
  }

  add(name: string, value: string): void {
    this.#fields = [...this.#fields, [name, value]];
  }

  remove(name: string): void {
    this.#fields = this.#fields.filter(([key]) => key !== name);
  }

  entries(): Fields {
    return this.#fields;
  }

  replaceAll(fields: Fields): void {
    this.#fields = fields;
  }
}

/** A body in one array of bytes. */
export class TestBody implements BodyBuffer {
  bytes: Uint8Array;

  constructor(text = "") {
    this.bytes = Buffer.from(text, "latin1");
  }

  get length(): number {
    return this.bytes.byteLength;
  }

  read(start: number, length: number): Uint8Array {
    return this.bytes.subarray(start, start + length);
  }

  splice(start: number, deleteCount: number, bytes: Uint8Array): void {
    this.bytes = Buffer.concat([this.bytes.subarray(0, start), bytes, this.bytes.subarray(start + deleteCount)]);
  }

  get text(): string {
    return Buffer.from(this.bytes).toString("latin1");
  }
}

/** A stream without a proxy around it: the test says what its maps and bodies are, and sees what the filter does to it. */
export class TestStream implements StreamHost {
  readonly maps: { [Name in StreamMap]?: TestFields } = {};
  readonly bodies: { [Name in Direction]?: TestBody } = {};
  readonly properties = new Map<string, PropertyValue>();
  /** What the filter did, in order: `resume request`, `settle pause`, `respond 429`, `reset`, `failed trap`. */
  readonly events: string[] = [];
  readonly replies: LocalReply[] = [];
  error: PluginError | undefined;
  readonly #told = new EventEmitter();

  constructor(requestHeaders: Fields = [[":method", "GET"]]) {
    this.maps["request-headers"] = new TestFields(requestHeaders);
  }

  headers(map: StreamMap): HeaderMap | undefined {
    return this.maps[map];
  }

  body(direction: Direction): BodyBuffer | undefined {
    return this.bodies[direction];
  }

  resume(direction: Direction): void {
    this.#tell(`resume ${direction}`);
  }

  settle(action: SettledAction): void {
    this.#tell(`settle ${action}`);
  }

  respond(reply: LocalReply): void {
    this.replies.push(reply);
    this.#tell(`respond ${reply.status}`);
  }

  reset(): void {
    this.#tell("reset");
  }

  failed(error: PluginError): void {
    this.error = error;
    this.#tell(`failed ${error.fault}`);
  }

  property(path: readonly string[]): PropertyValue | undefined {
    const name = path.join(".");
    return this.properties.get(name) ?? this.properties.get(name.replace(/^filter_state\.wasm\./, ""));
  }

  setProperty(path: readonly string[], value: Uint8Array): boolean {
    if (value.length > 1000) return false;
    this.properties.set(path.join("."), value);
    return true;
  }

  clearRoute(): void {
    this.#tell("clear route");
  }

  answer(): undefined {
    return undefined;
  }

  /** Resolves when an event that begins so has happened. */
  async saw(event: string): Promise<void> {
    while (!this.events.some((one) => one.startsWith(event))) await once(this.#told, "event");
  }

  #tell(event: string): void {
    this.events.push(event);
    this.#told.emit("event");
  }
}

interface Series {
  readonly type: MetricType;
  readonly name: string;
  readonly samples: number[];
  value: number;
}

/** Services of a host that keeps everything in memory. Upstreams and methods are functions that the test writes. */
export class TestServices implements HostServices {
  logLevel: GuestLogLevel = "debug";
  /** What the guest logged: the message, with its level before it unless that is info. */
  readonly lines: string[] = [];
  readonly series: Series[] = [];
  readonly upstreams = new Map<string, (request: HttpMessage, signal: AbortSignal) => Promise<HttpMessage>>();
  readonly methods = new Map<string, (request: GrpcRequest, signal: AbortSignal) => Promise<GrpcReply>>();
  readonly properties = new Map<string, PropertyValue>();
  readonly api = unusedApi;
  readonly #data = new Map<string, { readonly value: Uint8Array; readonly cas: number }>();
  readonly #told = new EventEmitter();

  log(level: GuestLogLevel, message: string): void {
    this.lines.push(level === "info" ? message : `${level}: ${message}`);
    this.#told.emit("line");
  }

  /** Resolves when the line was logged. */
  logged(line: string): Promise<void> {
    return this.loggedTimes(line, 1);
  }

  /** Resolves when the line was logged that often. */
  async loggedTimes(line: string, times: number): Promise<void> {
    while (this.lines.filter((one) => one === line).length < times) await once(this.#told, "line");
  }

  readonly metrics = {
    define: (type: MetricType, name: string): number => {
      if (name === "") throw new RangeError("a metric needs a name");
      const known = this.series.findIndex((one) => one.name === name);
      return known === -1 ? this.series.push({ type, name, samples: [], value: 0 }) : known + 1;
    },
    typeOf: (id: number): MetricType | undefined => this.series[id - 1]?.type,
    record: (id: number, value: number): void => {
      const series = this.series[id - 1];
      series?.samples.push(value);
      if (series !== undefined) series.value = value;
    },
    increment: (id: number, delta: number): void => {
      const series = this.series[id - 1];
      if (series !== undefined) series.value += delta;
    },
    get: (id: number): number => this.series[id - 1]?.value ?? 0,
  };

  /** Of a process that other guests may be in, too. */
  readonly queues = new SharedQueueStore();
  readonly sharedQueues = this.queues.of({ name: "guest", vmId: "vm-1" });

  readonly sharedData = {
    get: (key: string) => this.#data.get(key),
    set: (key: string, value: Uint8Array | undefined, cas: number): boolean => {
      if (value !== undefined && value.byteLength > 1000) throw new RangeError("too large");
      const current = this.#data.get(key);
      if (cas !== 0 && current !== undefined && current.cas !== cas) return false;
      this.#data.set(key, { value: value ?? new Uint8Array(0), cas: (current?.cas ?? 0) + 1 });
      return true;
    },
  };

  hasUpstream(name: string): boolean {
    return name === "outrigger" || this.upstreams.has(name);
  }

  async httpCall(upstream: string, request: HttpMessage, signal: AbortSignal): Promise<HttpMessage> {
    const answer = this.upstreams.get(upstream);
    if (answer === undefined) throw new Error(`no upstream ${upstream}`);
    return answer(request, signal);
  }

  async grpcCall(_upstream: string, request: GrpcRequest, signal: AbortSignal): Promise<GrpcReply> {
    const answer = this.methods.get(`/${request.service}/${request.method}`);
    return answer === undefined ? grpcReply({ code: 12, details: "no such method" }) : answer(request, signal);
  }

  /** What state stores hold, as `store/key`, and what services answer, by id. */
  readonly state = new Map<string, string>();
  readonly invoked = new Map<string, (method: string, parameter: string, fields: Fields) => string>();

  async getState(store: string, key: string): Promise<Uint8Array> {
    if (store === "none") throw new Error("there is no state store 'none'");
    return Buffer.from(this.state.get(`${store}/${key}`) ?? "");
  }

  async invokeService(id: string, method: string, parameter: Uint8Array, metadata: Fields): Promise<Uint8Array> {
    const answer = this.invoked.get(id);
    if (answer === undefined) throw new Error(`there is no target '${id}'`);
    return Buffer.from(answer(method, Buffer.from(parameter).toString(), metadata));
  }

  /** Where streams go; nowhere unless the test says so. */
  openStream = (_request: GrpcStreamRequest, receiver: GrpcStreamReceiver): GrpcStream =>
    refusedStream(14, "nobody is there", receiver);

  grpcStream(_upstream: string, request: GrpcStreamRequest, receiver: GrpcStreamReceiver): GrpcStream {
    return this.openStream(request, receiver);
  }

  hasMethod(method: string): boolean {
    return this.methods.has(method);
  }

  property(path: readonly string[]): PropertyValue | undefined {
    return this.properties.get(path.join("."));
  }
}

/** A reply with what matters filled in. */
export function grpcReply(reply: Partial<Omit<GrpcReply, "message">> & { text?: string }): GrpcReply {
  const { text, ...rest } = reply;
  const message = text === undefined ? {} : { message: Buffer.from(text) };
  return { code: 0, details: "", initialMetadata: [], trailingMetadata: [], ...rest, ...message };
}

/** An answer that never comes; rejects when its call is aborted, which `aborted` then tells. */
export function never(): {
  readonly answer: (request: unknown, signal: AbortSignal) => Promise<never>;
  readonly aborted: Promise<void>;
} {
  const { promise, resolve } = Promise.withResolvers<void>();
  return {
    aborted: promise,
    answer: (_request, signal) =>
      new Promise((_resolve, reject) => {
        signal.addEventListener("abort", () => {
          resolve();
          reject(signal.reason);
        });
      }),
  };
}

export interface StartOptions
  extends Partial<
    Pick<
      PluginProgram,
      | "kind"
      | "suspends"
      | "fuelPerCall"
      | "deadlineMs"
      | "rootId"
      | "stubsUnknownImports"
      | "logsHostcalls"
      | "showsBodyOfHeldHeaders"
      | "restrictions"
      | "vmKey"
      | "timings"
    >
  > {
  readonly configuration?: string;
  readonly vmConfiguration?: string;
  readonly environment?: Readonly<Record<string, string>>;
  readonly services?: TestServices;
  /** In place of one of its own: guests share VMs within an engine. */
  readonly engine?: PluginEngine;
}

/** A guest that runs, what it was given, and the error that ended it. */
export interface Guest extends AsyncDisposable {
  readonly instance: PluginInstance;
  readonly services: TestServices;
  readonly lost: PluginError[];
}

/** A program of the module, with what matters filled in. */
export function programOf(module: CompiledPlugin, options: StartOptions = {}): PluginProgram {
  return {
    name: "guest",
    version: "1.0.0",
    kind: options.kind ?? "filter",
    module,
    configuration: Buffer.from(options.configuration ?? ""),
    vmConfiguration: Buffer.from(options.vmConfiguration ?? ""),
    environment: options.environment ?? {},
    vmId: "vm-1",
    rootId: options.rootId ?? "",
    stubsUnknownImports: options.stubsUnknownImports ?? false,
    logsHostcalls: options.logsHostcalls ?? false,
    showsBodyOfHeldHeaders: options.showsBodyOfHeldHeaders ?? false,
    restrictions: options.restrictions ?? [],
    vmKey: options.vmKey,
    suspends: options.suspends ?? false,
    fuelPerCall: options.fuelPerCall ?? 1_000_000,
    deadlineMs: options.deadlineMs ?? 10_000,
    ...(options.timings === undefined ? {} : { timings: options.timings }),
  };
}

/** Sandboxes, starts and configures a module. */
export async function startGuest(wasm: Uint8Array<ArrayBuffer>, options: StartOptions = {}): Promise<Guest> {
  const services = options.services ?? new TestServices();
  const lost: PluginError[] = [];
  const engine = options.engine ?? proxyWasmEngine();
  const program = programOf(await sandboxed(wasm), options);
  const instance = await engine.start(program, services, (error) => lost.push(error));
  return { instance, services, lost, [Symbol.asyncDispose]: () => instance[Symbol.asyncDispose]() };
}

/** Starts a guest that the test writes as text. */
export async function startText(build: (text: PlaceText) => GuestText, options: StartOptions = {}): Promise<Guest> {
  return startGuest(await assemble("guest", guestText(build)), options);
}
