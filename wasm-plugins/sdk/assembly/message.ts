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

  /** Ends the stream without an answer. */
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

/** Bytes of a TCP connection from the client. */
export const downstream = new Body(BufferType.DownstreamData);

/** Bytes of a TCP connection to the upstream. */
export const upstream = new Body(BufferType.UpstreamData);
