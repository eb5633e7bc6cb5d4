/** A callback of the guest, by its name in the ABI. A guest that suspends answers with a promise. */
export interface Callback {
  readonly name: string;
  readonly run: (a: number, b: number, c: number, d: number, e: number) => unknown;
}

const names = {
  initialize: "_initialize",
  main: "main",
  mainVoid: "__main_void",
  start: "_start",
  getId: "proxy_get_id",
  contextCreate: "proxy_on_context_create",
  vmStart: "proxy_on_vm_start",
  configure: "proxy_on_configure",
  tick: "proxy_on_tick",
  done: "proxy_on_done",
  log: "proxy_on_log",
  delete: "proxy_on_delete",
  newConnection: "proxy_on_new_connection",
  downstreamData: "proxy_on_downstream_data",
  downstreamClose: "proxy_on_downstream_connection_close",
  upstreamData: "proxy_on_upstream_data",
  upstreamClose: "proxy_on_upstream_connection_close",
  requestHeaders: "proxy_on_request_headers",
  requestBody: "proxy_on_request_body",
  requestTrailers: "proxy_on_request_trailers",
  responseHeaders: "proxy_on_response_headers",
  responseBody: "proxy_on_response_body",
  responseTrailers: "proxy_on_response_trailers",
  httpCallResponse: "proxy_on_http_call_response",
  grpcReceiveInitialMetadata: "proxy_on_grpc_receive_initial_metadata",
  grpcReceive: "proxy_on_grpc_receive",
  grpcReceiveTrailingMetadata: "proxy_on_grpc_receive_trailing_metadata",
  grpcClose: "proxy_on_grpc_close",
  queueReady: "proxy_on_queue_ready",
} as const;

/** What the host calls of a guest, by the names of the ABI; its allocator besides. */
export const callbackNames: readonly string[] = Object.values(names);

/** The callbacks that a guest has; those it lacks are undefined and count as done. */
export type Callbacks = { readonly [Name in keyof typeof names]: Callback | undefined };

/** What the engine uses of an instance. */
export interface GuestExports {
  readonly callbacks: Callbacks;
  readonly memory: WebAssembly.Memory;
  readonly allocate: (size: number) => number;
}

type ExportedFunction = (...parameters: number[]) => unknown;

function functionOf(instance: WebAssembly.Instance, name: string): ExportedFunction | undefined {
  const value = instance.exports[name];
  return typeof value === "function" ? (value as ExportedFunction) : undefined;
}

/**
 * Finds a guest's exports, of its callbacks those that may be called; throws an Error with a sentence when it lacks its
 * memory or an allocator.
 */
export function guestExports(
  instance: WebAssembly.Instance,
  suspends: boolean,
  mayBeCalled: (name: string) => boolean,
): GuestExports {
  const { memory } = instance.exports;
  if (!(memory instanceof WebAssembly.Memory)) throw new Error("it exports no memory named 'memory'");
  const allocate = functionOf(instance, "malloc") ?? functionOf(instance, "proxy_on_memory_allocate");
  if (allocate === undefined)
    throw new Error("it exports no allocator; the host needs 'malloc' or 'proxy_on_memory_allocate'");
  const callback = (name: string): Callback | undefined => {
    const run = functionOf(instance, name);
    if (run === undefined || !mayBeCalled(name)) return undefined;
    return { name, run: suspends ? WebAssembly.promising(run) : run };
  };
  const callbacks = Object.fromEntries(Object.entries(names).map(([key, name]) => [key, callback(name)]));
  return { callbacks: callbacks as Callbacks, memory, allocate: allocate as (size: number) => number };
}
