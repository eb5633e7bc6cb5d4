/**
 * The building blocks as an engine reaches them for one plugin. Each method checks the plugin's grants and rejects with
 * RuntimeError (PERMISSION_DENIED, NOT_FOUND, ...), whose message may be told to the guest. Bytes that are handed in may be
 * views of a guest's memory: they are copied before the method returns its promise.
 */
export interface UniformApi {
  /** Names of the components of a kind that the plugin was granted, in the order of its manifest. */
  granted(kind: GrantedKind): readonly string[];
  /** Tells the plugin's log, once, that it named what it was not granted: for interfaces whose errors have no text. */
  refused(kind: GrantedKind, name: string): void;
  readonly state: StateApi;
  readonly pubsub: PubSubApi;
  readonly config: ConfigApi;
  readonly lock: LockApi;
  readonly sequencer: SequencerApi;
  readonly secret: SecretApi;
  readonly binding: BindingApi;
  readonly object: ObjectApi;
  readonly invoke: InvokeApi;
  readonly http: HttpApi;
}

export type GrantedKind =
  | "state"
  | "pubsub"
  | "config"
  | "lock"
  | "sequencer"
  | "secret"
  | "binding"
  | "object"
  | "invoke"
  | "upstreams";

export type Metadata = Readonly<Record<string, string>>;

export interface StateValue {
  readonly value: Uint8Array;
  /** Never empty. */
  readonly etag: string;
}

export interface StateWrite {
  readonly key: string;
  readonly value: Uint8Array;
  /** The write succeeds only while this is the etag, else it rejects with ABORTED; empty: only while there is no such key. Absent: always. */
  readonly etag?: string;
  /** Life of the entry from now. */
  readonly ttlSeconds?: number;
}

export interface StateRemoval {
  readonly key: string;
  /** As of a write, but not empty. */
  readonly etag?: string;
}

export type StateStep = { readonly set: StateWrite } | { readonly delete: StateRemoval };

export interface StateKeys {
  readonly keys: readonly string[];
  /** What to ask the next page with; undefined on the last. */
  readonly cursor: string | undefined;
}

export interface StateApi {
  get(store: string, key: string, signal: AbortSignal): Promise<StateValue | undefined>;
  /** One for each key, in that order. */
  getMany(store: string, keys: readonly string[], signal: AbortSignal): Promise<(StateValue | undefined)[]>;
  set(store: string, writes: readonly StateWrite[], signal: AbortSignal): Promise<void>;
  delete(store: string, removals: readonly StateRemoval[], signal: AbortSignal): Promise<void>;
  /** All steps in order or none of them; UNIMPLEMENTED on a store without transactions. */
  transact(store: string, steps: readonly StateStep[], signal: AbortSignal): Promise<void>;
  /** The application's keys, a page at a time, in no order; UNIMPLEMENTED on a store that cannot list them. */
  keys(store: string, cursor: string | undefined, signal: AbortSignal): Promise<StateKeys>;
  /** Adds to a whole number kept as decimal text, 0 when there is none; resolves to the sum. */
  increment(store: string, key: string, delta: bigint, signal: AbortSignal): Promise<bigint>;
}

export interface Publication {
  readonly pubsub: string;
  readonly topic: string;
  readonly data: Uint8Array;
  /** Empty: application/octet-stream. */
  readonly contentType: string;
  readonly metadata: Metadata;
  /** The data goes over the wire as it is, without an envelope of CloudEvents. */
  readonly isRaw: boolean;
}

export interface PubSubApi {
  /** Resolves once the broker has it. */
  publish(publication: Publication, signal: AbortSignal): Promise<void>;
}

export interface ConfigSelector {
  /** Empty: every key. */
  readonly keys: readonly string[];
  readonly group: string;
  readonly label: string;
}

export interface ConfigValue {
  readonly key: string;
  readonly content: string;
  readonly group: string;
  readonly label: string;
  readonly tags: Metadata;
  readonly metadata: Metadata;
}

export interface ConfigApi {
  get(store: string, selector: ConfigSelector, signal: AbortSignal): Promise<readonly ConfigValue[]>;
}

export type UnlockOutcome = "success" | "not-locked" | "owned-by-other";

export interface LockApi {
  tryLock(store: string, resource: string, owner: string, seconds: number, signal: AbortSignal): Promise<boolean>;
  unlock(store: string, resource: string, owner: string, signal: AbortSignal): Promise<UnlockOutcome>;
  keepAlive(
    store: string,
    resource: string,
    owner: string,
    seconds: number,
    signal: AbortSignal,
  ): Promise<UnlockOutcome>;
}

export interface SequencerApi {
  next(store: string, key: string, isStrong: boolean, signal: AbortSignal): Promise<bigint>;
}

export interface SecretApi {
  /** The values of one secret by their keys. */
  get(store: string, name: string, signal: AbortSignal): Promise<Metadata>;
}

export interface BindingApi {
  invoke(
    request: {
      readonly name: string;
      readonly operation: string;
      readonly data: Uint8Array;
      readonly metadata: Metadata;
    },
    signal: AbortSignal,
  ): Promise<{ readonly data: Uint8Array; readonly metadata: Metadata }>;
}

export interface ObjectInfo {
  readonly name: string;
  readonly size: number;
  readonly modifiedAtMs: number;
}

export interface ObjectApi {
  /** Rejects with NOT_FOUND when there is none of the name. Ending the iteration early lets go of it. */
  get(store: string, name: string, signal: AbortSignal): Promise<AsyncIterable<Uint8Array>>;
  /** The object is there as a whole once this resolves. */
  put(store: string, name: string, data: AsyncIterable<Uint8Array>, signal: AbortSignal): Promise<void>;
  delete(store: string, name: string, signal: AbortSignal): Promise<void>;
  list(
    store: string,
    page: { readonly prefix: string; readonly pageSize: number; readonly marker: string },
    signal: AbortSignal,
  ): Promise<{ readonly objects: readonly ObjectInfo[]; readonly marker: string }>;
  /** Rejects with NOT_FOUND when there is none of the name. */
  stat(store: string, name: string, signal: AbortSignal): Promise<ObjectInfo>;
}

export interface Invocation {
  readonly id: string;
  /** A path, or `/package.Service/Method` for a call of gRPC. */
  readonly method: string;
  /** A method of HTTP; empty: POST when there is data, GET otherwise. */
  readonly verb: string;
  readonly querystring: string;
  readonly contentType: string;
  readonly data: Uint8Array;
  readonly metadata: Metadata;
}

export interface InvokeApi {
  invoke(
    request: Invocation,
    signal: AbortSignal,
  ): Promise<{ readonly data: Uint8Array; readonly contentType: string }>;
}

type Fields = readonly (readonly [name: string, value: string])[];

/** Takes the answer of an upstream as it comes. Nothing comes within the call that began the request. */
export interface HttpReceiver {
  /** Final heads only; `:status` is the first field. */
  head(headers: Fields, endOfStream: boolean): void;
  /** The chunk may be kept. */
  data(chunk: Uint8Array, endOfStream: boolean): void;
  trailers(trailers: Fields): void;
  /** No whole answer comes: the proxy's word for why (`connection_failure`, `response_timeout`), and a sentence. */
  failed(details: string, message: string): void;
  /** The upstream is slow to take the request. Pairs with `resume`. */
  pause(): void;
  resume(): void;
}

/** The rest of a request to an upstream. Calls after the end or `cancel` have no effect. */
export interface HttpSender {
  /** Whether there is a connection to an endpoint, as far as it is known. */
  readonly isConnected: boolean;
  /** The chunk may be kept: nobody may write to it again. */
  data(chunk: Uint8Array, endOfStream: boolean): void;
  trailers(trailers: Fields): void;
  /** Nothing more of the exchange is wanted. */
  cancel(): void;
  /** Holds the answer back. Pairs with `resume`. */
  pause(): void;
  resume(): void;
}

export interface HttpApi {
  /** Whether the upstream exists and is granted. */
  has(upstream: string): boolean;
  /** Begins a request to an upstream that `has`; `:method`, `:path`, `:scheme` and `:authority` come first. Never throws. */
  request(upstream: string, headers: Fields, endOfStream: boolean, receiver: HttpReceiver): HttpSender;
}
