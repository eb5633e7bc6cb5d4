import type { HeaderBlock } from "../http2/header-block.ts";
import type { Http2Stream, StreamReceiver } from "../http2/stream-contract.ts";
import type { Log } from "../telemetry/log.ts";
import type { Metrics } from "../telemetry/metrics.ts";
import type { CallsInFlight } from "./calls-in-flight.ts";
import type { GrpcService } from "./service.ts";

/** Takes streams of services that nobody here knows, to proxy them frame by frame. */
export interface ByteStreamHandler {
  /**
   * `path` is `/package.Service/Method` if the request is gRPC at all, which `headers` tell. The result hears the rest of the
   * request, undecoded; what is sent on `stream` is the answer.
   */
  handle(path: string, stream: Http2Stream, headers: HeaderBlock, endStream: boolean): StreamReceiver;
}

export interface ServeOptions {
  /** `host:port` or `unix:/path` each. */
  readonly addresses: readonly string[];
  readonly services: readonly GrpcService[];
  /** A transport that cannot do it throws when it is given. */
  readonly unknown?: ByteStreamHandler;
  /** Largest message either way; a larger one ends the call with RESOURCE_EXHAUSTED. */
  readonly maxMessageBytes: number;
  readonly appId: string;
  readonly log: Log;
  readonly metrics: Metrics;
  /** Where calls are counted while they run, all but bidirectional streams. */
  readonly calls?: CallsInFlight;
}

/** A server while it listens. Disposing cuts off what is left. */
export interface GrpcListener extends AsyncDisposable {
  /** As bound. */
  readonly addresses: readonly string[];
  /**
   * Accepts nothing more, lets calls in flight end, and cuts off what is left after `deadlineMs`. Bidirectional streams have
   * no end of their own: they are told (`draining`), and end with UNAVAILABLE when they are still open 6 seconds later.
   */
  drain(deadlineMs: number): Promise<void>;
}

/** What serves gRPC: the seam between services and the HTTP/2 beneath them. */
export interface GrpcTransport {
  /** Resolves once every address listens; rejects with a sentence that names the one that cannot. */
  serve(options: ServeOptions): Promise<GrpcListener>;
}
