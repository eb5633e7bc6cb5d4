import { proxy_close_stream, proxy_continue_stream } from "./abi";
import { BufferType, MapType, StreamType } from "./abi-types";
import { Body } from "./body";
import { HeaderMap } from "./header-map";

/** One direction of a stream as the host holds it: the request, or the response. */
export class Message {
  readonly headers: HeaderMap;
  readonly body: Body;
  readonly trailers: HeaderMap;

  constructor(
    headers: MapType,
    body: BufferType,
    trailers: MapType,
    private readonly stream: StreamType,
  ) {
    this.headers = new HeaderMap(headers);
    this.body = new Body(body);
    this.trailers = new HeaderMap(trailers);
  }

  /** Goes on with what a callback held back by `Action.Pause`. */
  resume(): void {
    proxy_continue_stream(this.stream);
  }

  /** Resets the stream, in both directions: the client gets no answer, or no more of it. */
  close(): void {
    proxy_close_stream(this.stream);
  }
}

/** What came from the client. Hostcalls act on the stream whose callback runs, so one object serves every stream. */
export const request = new Message(
  MapType.HttpRequestHeaders, BufferType.HttpRequestBody, MapType.HttpRequestTrailers, StreamType.HttpRequest,
);

/** What goes to the client. */
export const response = new Message(
  MapType.HttpResponseHeaders, BufferType.HttpResponseBody, MapType.HttpResponseTrailers, StreamType.HttpResponse,
);

/**
 * One direction of a TCP connection: the bytes that the host shows now, which are there in the callback of their data and as
 * long as it holds them.
 */
export class Connection extends Body {
  constructor(
    buffer: BufferType,
    private readonly stream: StreamType,
  ) {
    super(buffer);
  }

  /** Goes on with what `onNewConnection` or a data callback held back by `Action.Pause`. */
  resume(): void {
    proxy_continue_stream(this.stream);
  }

  /** Sends what was passed on before, and closes the connections on both sides. */
  close(): void {
    proxy_close_stream(this.stream);
  }
}

/** Bytes of a TCP connection from the client. */
export const downstream = new Connection(BufferType.DownstreamData, StreamType.Downstream);

/** Bytes of a TCP connection to the upstream. */
export const upstream = new Connection(BufferType.UpstreamData, StreamType.Upstream);
