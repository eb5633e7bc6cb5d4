/**
 * What the data plane and the engines agree on. The data plane drives a StreamFilter per request; an engine implements
 * it with a guest and reaches back through the StreamHost it was given. Neither knows the other.
 */
import type { AnswerSink, AnswerSource } from "./answer.ts";
import type { ConnectionFilter, ConnectionHost } from "./connection-filter.ts";
import type { PluginMetrics } from "./guest-metrics.ts";
import type {
  GrpcReply,
  GrpcRequest,
  GrpcStream,
  GrpcStreamReceiver,
  GrpcStreamRequest,
  HttpMessage,
} from "./outside-calls.ts";
import type { PluginError } from "./plugin-error.ts";
import type { CompiledPlugin } from "./sandbox/sandboxed-component.ts";
import type { SharedData, SharedQueues } from "./sharing.ts";
import type { UniformApi } from "./uniform-api.ts";

/**
 * Fields of a head or of trailers, in order, pseudo fields (`:path`, `:status`) included. Names are lower-case; names and
 * values are byte strings: one character per byte (latin1), which is how HTTP/1.1 fields arrive from a socket.
 */
export interface HeaderMap {
  readonly size: number;
  /** The first value of the name. */
  get(name: string): string | undefined;
  /** Replaces every value of the name, or appends the field when there is none. */
  set(name: string, value: string): void;
  add(name: string, value: string): void;
  remove(name: string): void;
  entries(): readonly (readonly [name: string, value: string])[];
  replaceAll(entries: readonly (readonly [name: string, value: string])[]): void;
}

/** The part of a body that a filter may see and change now: the current chunk, or all that it asked to buffer. */
export interface BodyBuffer {
  readonly length: number;
  /** A view of the bytes, valid until the buffer changes; the range is clamped. */
  read(start: number, length: number): Uint8Array;
  /** Replaces `deleteCount` bytes at `start` by a copy of `bytes`; the range is clamped. */
  splice(start: number, deleteCount: number, bytes: Uint8Array): void;
}

export type Direction = "request" | "response";
export type StreamMap = "request-headers" | "request-trailers" | "response-headers" | "response-trailers";

/**
 * `continue`: pass on what was shown. `pause`: hold it; after headers nothing more of this direction is shown until
 * `resume`, and its source is held back; after data, what arrives is added to the buffer and shown again, and too much of it
 * ends the exchange. `buffer`, after headers only: as `pause`, but what follows is taken in, and too much of it ends the
 * exchange. `watermark`, after data only: hold it out of sight; what arrives is shown by itself, and of too much the source is
 * held back. `hold`, after headers only: hold them, but show what follows; when that may pass on, or at `resume`, they go
 * before it. `suspended`: the guest waits for the host in the middle of this callback; nothing of this stream is shown until
 * `settle` tells how the callback ended.
 */
export type FilterAction = SettledAction | "suspended";

/** How a callback ended. */
export type SettledAction = "continue" | "pause" | "buffer" | "watermark" | "hold";

/** A response made by a plugin, or by the proxy itself. */
export interface LocalReply {
  readonly status: number;
  /** Why, in a word or two, for the access log (`rate_limited`). */
  readonly details: string;
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body: Uint8Array;
  /** A gRPC status code, when the plugin gave one. */
  readonly grpcStatus?: number;
}

/** Attribute values; integers are bigint (64-bit), maps are pairs. */
export type PropertyValue =
  | string
  | bigint
  | number
  | boolean
  | Uint8Array
  | readonly (readonly [name: string, value: string])[];

/** What a stream of the data plane offers the filter that runs on it. Calls after the stream's end have no effect. */
export interface StreamHost {
  /** The map, or undefined when there is none in this phase. */
  headers(map: StreamMap): HeaderMap | undefined;
  /** The buffer, or undefined outside the body callbacks of that direction. */
  body(direction: Direction): BodyBuffer | undefined;
  /** Goes on with a direction that the filter paused; no effect when it is not paused. */
  resume(direction: Direction): void;
  /** Tells how a callback ended that had answered `suspended`. */
  settle(action: SettledAction): void;
  /** Answers in place of whatever lies behind the filter; no effect once response headers went on to the client. */
  respond(reply: LocalReply): void;
  /** Resets the stream in both directions. */
  reset(): void;
  /** The filter cannot go on (trap, deadline, no instance): its fail policy decides. Nothing of it is called afterwards. */
  failed(error: PluginError): void;
  /** An attribute of the stream, such as `request\0path` or `source\0address`; undefined when unknown. */
  property(path: readonly string[]): PropertyValue | undefined;
  /** Keeps a value that every filter of the same stream reads from then on; false when there is no more room for it. */
  setProperty(path: readonly string[], value: Uint8Array): boolean;
  /** Lets the request be routed anew before it goes on to its destination; no effect once it did. */
  clearRoute(): void;
  /** Who made the request that the stream is of, when that was a plugin. */
  readonly caller?: Caller | undefined;
  /**
   * Answers as it goes, in place of whatever lies behind, while the request still comes in; of a service only. Undefined when
   * something has answered already. May be called once, outside callbacks too; what the callback under way returns still counts.
   */
  answer(source: AnswerSource): AnswerSink | undefined;
}

/**
 * One stream in one guest. The callbacks come in the order of the message; `end` comes exactly once, last, whatever
 * happened (unless the host was told `failed`), and lets the guest log and forget.
 */
export interface StreamFilter {
  requestHeaders(endOfStream: boolean): FilterAction;
  requestBody(endOfStream: boolean): FilterAction;
  requestTrailers(): FilterAction;
  responseHeaders(endOfStream: boolean): FilterAction;
  responseBody(endOfStream: boolean): FilterAction;
  responseTrailers(): FilterAction;
  end(): void;
}

/** A plugin that makes a request of its own, and who made the request in whose stream it does. */
export interface Caller {
  readonly plugin: string;
  readonly caller: Caller | undefined;
}

/** `open`: go on without the plugin. `closed`: 503, or a reset once the response began. `reload`: closed, and the instance is replaced at once. */
export type FailPolicy = "open" | "closed" | "reload";

/** A plugin with one configuration, as a route or a filter chain holds it. It outlives versions: `open` takes the current one. */
export interface PluginUse extends AsyncDisposable {
  readonly plugin: string;
  readonly fail: FailPolicy;
  /** Of the version that takes most streams; undefined while there is none. */
  readonly kind?: "filter" | "service" | undefined;
  /** False while no version is deployed that can serve; then `open` throws. */
  readonly ready: boolean;
  /** Begins a stream on the current version. Throws PluginError when nothing can take it. */
  open(host: StreamHost): StreamFilter;
  /** As `open`, for a TCP connection; throws PluginError also when the plugin is of an engine that has none. */
  openConnection(host: ConnectionHost): ConnectionFilter;
}

export interface UseOptions {
  /** In place of the manifest's configuration. */
  readonly configuration?: unknown;
  /** In place of the manifest's policy. */
  readonly fail?: FailPolicy;
}

/** Where the data plane finds plugins. */
export interface PluginSource {
  /**
   * Resolves to a use of the plugin, with instances started when it is deployed; a plugin that is not deployed gives a
   * use that is not ready and becomes so by a deploy. Rejects with PluginError when the guest refuses the configuration.
   */
  use(plugin: string, options: UseOptions): Promise<PluginUse>;
  /** The plugin whose guest gave itself that id, of several the one deployed last; undefined when there is none. */
  nameOf(id: string): string | undefined;
}

export type GuestLogLevel = "trace" | "debug" | "info" | "warn" | "error" | "critical";

/** What a plugin's grants let it reach. Everything not granted answers as if it did not exist, or PERMISSION_DENIED. */
export interface HostServices {
  log(level: GuestLogLevel, message: string): void;
  readonly logLevel: GuestLogLevel;
  readonly metrics: PluginMetrics;
  readonly sharedData: SharedData;
  readonly sharedQueues: SharedQueues;
  /** Whether the upstream exists and is granted; `outrigger` always is. */
  hasUpstream(name: string): boolean;
  /**
   * Rejects when the request could not be sent, the signal aborts or no whole answer comes. `caller` is who made the request
   * in whose stream this is done, here and below.
   */
  httpCall(upstream: string, request: HttpMessage, signal: AbortSignal, caller?: Caller): Promise<HttpMessage>;
  /** Never rejects for a gRPC reason: the reply's code tells. The service is told `timeoutMs`; without it it may take forever. */
  grpcCall(
    upstream: string,
    request: GrpcRequest,
    signal: AbortSignal,
    timeoutMs?: number,
    caller?: Caller,
  ): Promise<GrpcReply>;
  /** Opens a stream; never throws: the receiver hears of failures. */
  grpcStream(upstream: string, request: GrpcStreamRequest, receiver: GrpcStreamReceiver, caller?: Caller): GrpcStream;
  /** The value of a key, empty when there is none. Rejects with what keeps it from being read. */
  getState(store: string, key: string, metadata: GrpcRequest["metadata"], signal: AbortSignal): Promise<Uint8Array>;
  /** What the target of that id answers to `method`, a path or `/package.Service/Method`. Rejects with what went wrong. */
  invokeService(
    id: string,
    method: string,
    parameter: Uint8Array,
    metadata: GrpcRequest["metadata"],
    signal: AbortSignal,
    caller?: Caller,
  ): Promise<Uint8Array>;
  /** Whether a full method name (`/package.Service/Method`) belongs to the runtime. */
  hasMethod(method: string): boolean;
  /** Attributes that belong to the process, not to a stream (`node\0id`). */
  property(path: readonly string[]): PropertyValue | undefined;
  /** The building blocks, without messages in between. */
  readonly api: UniformApi;
}

/** A list of the functions of its ABI that a guest may call, and by which it may be called. */
export interface FunctionRestriction {
  /** Whose list it is, as a message names it: `allowedFunctions of its manifest`. */
  readonly by: string;
  readonly functions: readonly string[];
}

/** Everything an engine needs to start a guest, fixed for the life of its instances. */
export interface PluginProgram {
  readonly name: string;
  readonly version: string;
  readonly kind: "filter" | "service";
  readonly module: CompiledPlugin;
  /** The configuration as the guest reads it: a string as it is, anything else as JSON. */
  readonly configuration: Uint8Array;
  /** What the guest reads as the configuration of its VM. */
  readonly vmConfiguration: Uint8Array;
  /** Environment variables by name; neither names nor values hold a NUL. */
  readonly environment: Readonly<Record<string, string>>;
  readonly vmId: string;
  /** Programs of the same key may run side by side in one VM; without a key a program has its VMs to itself. */
  readonly vmKey: string | undefined;
  /** Name of the root context that the guest's factory looks up; often empty. */
  readonly rootId: string;
  /** The guest may wait for the host (JSPI). */
  readonly suspends: boolean;
  /** Functions that the guest imports from `env` and the host does not have answer UNIMPLEMENTED, in place of a refusal. */
  readonly stubsUnknownImports: boolean;
  /** Hostcalls that do not answer OK are logged. */
  readonly logsHostcalls: boolean;
  /** Headers that the guest holds do not keep it from being shown the body. */
  readonly showsBodyOfHeldHeaders: boolean;
  /** What the guest is held to: a function must be in each list. Without a list it may use all. */
  readonly restrictions: readonly FunctionRestriction[];
  /** Instructions that one callback may use. */
  readonly fuelPerCall: number;
  /** Longest time a callback of a suspending guest may take, its wait for its turn included, in milliseconds. */
  readonly deadlineMs: number;
  /** Told how long callbacks take. */
  readonly timings?: CallbackTimings;
}

/** Takes the time of some of a plugin's callbacks. */
export interface CallbackTimings {
  /** Whether the callback that begins is one of them. */
  isDue(): boolean;
  /** How long a callback took, its waits for the host included. */
  took(callback: string, ms: number): void;
}

export interface InstanceCounters {
  readonly calls: number;
  /** Instructions used so far. */
  readonly fuel: number;
  /** The largest share of its fuel that a callback used since the start; who reads it may put it back to 0. */
  peakShare: number;
}

/** A started and configured guest. */
export interface PluginInstance extends AsyncDisposable {
  /** Streams that have not ended. */
  readonly streams: number;
  /** Callbacks that run or wait for their turn; above 0 only in guests that suspend. */
  readonly pending: number;
  readonly counters: InstanceCounters;
  /** Where the guest keeps its data; other instances may share it. */
  readonly memory: WebAssembly.Memory | undefined;
  /** The id that the guest gave itself, by which routes may find it; empty when it has none. */
  readonly reportedId: string;
  open(host: StreamHost): StreamFilter;
  /** Absent where an engine knows no TCP. */
  openConnection?(host: ConnectionHost): ConnectionFilter;
  /** Tells the guest to finish (`proxy_on_done`) after its last stream, then resolves; disposing before that fails the streams left. */
  drain(): Promise<void>;
}

/** One way of running guests. */
export interface PluginEngine {
  readonly name: "proxy-wasm" | "wasm-component";
  /** An instance has one stream at a time: others wait for one that is free. */
  readonly isExclusive: boolean;
  /** Whether streams need no instance before their requests are there as a whole: the callback with the end is their first. */
  takesWholeRequests?(compiled: CompiledPlugin): boolean;
  /** What the plugin speaks, such as `proxy-wasm 0.2.1`; undefined when it is not this engine's. */
  detect(compiled: CompiledPlugin): string | undefined;
  /**
   * Instantiates, starts and configures a guest. Rejects with PluginError when it traps, overruns or refuses, or when it
   * imports what does not exist. `lost` is called at most once, when the instance has died; its streams were told. `freed` is
   * called when its stream has ended and it can take another, of an engine whose instances have one at a time.
   */
  start(
    program: PluginProgram,
    services: HostServices,
    lost: (error: PluginError) => void,
    freed?: () => void,
  ): Promise<PluginInstance>;
}
