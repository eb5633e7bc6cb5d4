// The numbers of the ABI, by the names its specification gives them.

/** What a hostcall answers. Those that no host documents keep their place, since hosts may send them. */
export const enum AbiStatus {
  Ok = 0,
  /** The thing asked for does not exist: a key, a property, a metric, a function. */
  NotFound = 1,
  /** An argument is not acceptable, or the thing is not available in this phase of the stream. */
  BadArgument = 2,
  SerializationFailure = 3,
  ParseFailure = 4,
  BadExpression = 5,
  InvalidMemoryAccess = 6,
  /** The queue holds nothing. */
  Empty = 7,
  /** Another guest wrote the shared value in between. */
  CasMismatch = 8,
  ResultMismatch = 9,
  /** The host could not do it, or the plugin may not. */
  InternalFailure = 10,
  BrokenConnection = 11,
  Unimplemented = 12,
}

/** What a callback of a stream answers. */
export const enum Action {
  /** Pass on what was shown. */
  Continue = 0,
  /** Hold it: after headers until `resume`, after a part of a body until more of it came or `resume`. */
  Pause = 1,
}

/** How much a log line matters. */
export const enum LogLevel {
  Trace = 0,
  Debug = 1,
  Info = 2,
  Warn = 3,
  Error = 4,
  Critical = 5,
}

/** A body, a message or a configuration that the host holds. */
export const enum BufferType {
  HttpRequestBody = 0,
  HttpResponseBody = 1,
  DownstreamData = 2,
  UpstreamData = 3,
  /** Readable in `proxy_on_http_call_response`. */
  HttpCallResponseBody = 4,
  /** Readable in `proxy_on_grpc_receive`. */
  GrpcCallMessage = 5,
  VmConfiguration = 6,
  PluginConfiguration = 7,
  /** Readable in `proxy_on_foreign_function`. */
  ForeignFunctionArguments = 8,
}

/** A list of header fields that the host holds. */
export const enum MapType {
  HttpRequestHeaders = 0,
  HttpRequestTrailers = 1,
  HttpResponseHeaders = 2,
  HttpResponseTrailers = 3,
  GrpcCallInitialMetadata = 4,
  GrpcCallTrailingMetadata = 5,
  HttpCallResponseHeaders = 6,
  HttpCallResponseTrailers = 7,
}

/** One direction of a stream. */
export const enum StreamType {
  HttpRequest = 0,
  HttpResponse = 1,
  Downstream = 2,
  Upstream = 3,
}

/** Who closed a connection. */
export const enum PeerType {
  Unknown = 0,
  /** The proxy. */
  Local = 1,
  /** The other end. */
  Remote = 2,
}

/** What a series holds. */
export const enum MetricType {
  Counter = 0,
  Gauge = 1,
  Histogram = 2,
}
