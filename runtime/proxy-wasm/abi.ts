/** The numbers of the Proxy-Wasm ABI (https://github.com/proxy-wasm/spec), by their names there. */

/** What a hostcall answers. */
export const Status = {
  OK: 0,
  NOT_FOUND: 1,
  BAD_ARGUMENT: 2,
  SERIALIZATION_FAILURE: 3,
  PARSE_FAILURE: 4,
  INVALID_MEMORY_ACCESS: 6,
  EMPTY: 7,
  CAS_MISMATCH: 8,
  INTERNAL_FAILURE: 10,
  UNIMPLEMENTED: 12,
} as const;
export type Status = (typeof Status)[keyof typeof Status];

export const BufferType = {
  HTTP_REQUEST_BODY: 0,
  HTTP_RESPONSE_BODY: 1,
  DOWNSTREAM_DATA: 2,
  UPSTREAM_DATA: 3,
  HTTP_CALL_RESPONSE_BODY: 4,
  GRPC_CALL_MESSAGE: 5,
  VM_CONFIGURATION: 6,
  PLUGIN_CONFIGURATION: 7,
  FOREIGN_FUNCTION_ARGUMENTS: 8,
} as const;

export const MapType = {
  HTTP_REQUEST_HEADERS: 0,
  HTTP_REQUEST_TRAILERS: 1,
  HTTP_RESPONSE_HEADERS: 2,
  HTTP_RESPONSE_TRAILERS: 3,
  GRPC_CALL_INITIAL_METADATA: 4,
  GRPC_CALL_TRAILING_METADATA: 5,
  HTTP_CALL_RESPONSE_HEADERS: 6,
  HTTP_CALL_RESPONSE_TRAILERS: 7,
} as const;

export const PeerType = { LOCAL: 1, REMOTE: 2 } as const;

export const StreamType = { HTTP_REQUEST: 0, HTTP_RESPONSE: 1, DOWNSTREAM: 2, UPSTREAM: 3 } as const;

/** Log levels in the order of their numbers. */
export const logLevels = ["trace", "debug", "info", "warn", "error", "critical"] as const;

/** Metric types in the order of their numbers. */
export const metricTypes = ["counter", "gauge", "histogram"] as const;

/** The codes of gRPC that the engine itself gives or translates. */
export const GrpcCode = {
  OK: 0,
  INVALID_ARGUMENT: 3,
  DEADLINE_EXCEEDED: 4,
  NOT_FOUND: 5,
  RESOURCE_EXHAUSTED: 8,
  ABORTED: 10,
  OUT_OF_RANGE: 11,
  UNIMPLEMENTED: 12,
  INTERNAL: 13,
  UNAVAILABLE: 14,
} as const;

const marker = /^proxy_abi_version_(\d+)_(\d+)_(\d+)$/;

/** The versions that this engine speaks. */
export const supportedVersions: readonly string[] = ["0.1.0", "0.2.0", "0.2.1"];

/** The ABI versions a module says it speaks, in the order of its exports. */
export function abiVersions(module: WebAssembly.Module): string[] {
  return WebAssembly.Module.exports(module)
    .filter(({ kind }) => kind === "function")
    .map(({ name }) => marker.exec(name)?.slice(1).join("."))
    .filter((version) => version !== undefined);
}

/** The version by which a module is run: the first it says that this engine speaks. */
export const spokenVersion = (module: WebAssembly.Module): string | undefined =>
  abiVersions(module).find((version) => supportedVersions.includes(version));
