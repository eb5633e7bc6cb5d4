import { proxy_http_call, proxy_set_effective_context } from "./abi";
import { AbiStatus, BufferType, MapType } from "./abi-types";
import { readBuffer } from "./body";
import { Context, currentContext, enter } from "./context";
import { HeaderMap } from "./header-map";
import { encodePairs, Headers } from "./headers";
import { returnNumber } from "./memory";
import { failure, Result, StatusCode, statusOf, success } from "./status";
import { decodeText, encodeBuffer, encodeText } from "./text";

/** A request to an upstream. */
export class HttpRequest {
  readonly headers: Headers = new Headers();
  readonly trailers: Headers = new Headers();
  body: Uint8Array = new Uint8Array(0);

  constructor(
    readonly method: string,
    /** With its query, such as `/check?user=7`. */
    readonly path: string,
    /** What the upstream sees as host; by default the upstream's name. */
    readonly authority: string = "",
  ) {}

  /** Sets a header. */
  header(name: string, value: string): HttpRequest {
    this.headers.set(name, value);
    return this;
  }

  /** Sets the body, and its type. */
  withText(text: string, contentType: string = "text/plain; charset=utf-8"): HttpRequest {
    this.body = encodeText(text);
    return this.header("content-type", contentType);
  }
}

/** What came back from an upstream. */
export class HttpResponse {
  constructor(
    /** 0 when no whole response came in time. */
    readonly status: u32,
    /** Without `:status`. */
    readonly headers: Headers,
    readonly body: Uint8Array,
    readonly trailers: Headers,
  ) {}

  /** Whether a response came and its status is 2xx. */
  get ok(): bool {
    return this.status >= 200 && this.status < 300;
  }

  /** The body as text. */
  text(): string {
    return decodeText(this.body);
  }
}

/** Calls to upstreams over HTTP. */
export namespace http {
  /**
   * Sends the request and returns; `callback` gets `context`, usually `this`, and the response, whose status is 0 when none came
   * in time. A callback whose stream has ended is not called. NOT_FOUND at once when the upstream does not exist or is not
   * granted, INTERNAL when too many calls are under way. 0 ms is no timeout. Envoy takes no calls in
   * `onConfigure`: begin at the first tick.
   */
  export function call<C>(
    upstream: string,
    request: HttpRequest,
    context: C,
    callback: (context: C, response: HttpResponse) => void,
    timeoutMs: u32 = 5000,
  ): Result<u32> {
    const owner = currentContext();
    const sent = send(upstream, request, timeoutMs);
    if (sent.ok) keep(sent.value, new AwaitedHttpOf<C>(owner, context, callback));
    return sent;
  }
}

function send(upstream: string, request: HttpRequest, timeoutMs: u32): Result<u32> {
  const name = encodeBuffer(upstream);
  const head = new Headers()
    .add(":method", request.method)
    .add(":path", request.path)
    .add(":authority", request.authority.length > 0 ? request.authority : upstream);
  for (let i = 0; i < request.headers.length; i++) head.append(request.headers.at(i));
  const headers = encodePairs(head);
  const trailers = encodePairs(request.trailers);
  const body = request.body;
  store<u32>(returnNumber, 0);
  const answer = proxy_http_call(
    changetype<usize>(name), name.byteLength,
    changetype<usize>(headers), headers.byteLength,
    body.dataStart, body.byteLength,
    changetype<usize>(trailers), trailers.byteLength,
    timeoutMs, returnNumber,
  );
  if (answer == AbiStatus.Ok) return success<u32>(load<u32>(returnNumber));
  return notSent(answer, upstream);
}

/** Why a call could not even be sent. */
export function notSent(answer: AbiStatus, upstream: string): Result<u32> {
  if (answer == AbiStatus.BadArgument || answer == AbiStatus.ParseFailure) {
    return failure<u32>(StatusCode.NotFound, "there is no upstream '" + upstream + "', or it is not granted");
  }
  const status = statusOf(answer, "upstream '" + upstream + "'");
  return failure<u32>(status.code, status.message);
}

abstract class AwaitedHttp {
  constructor(readonly owner: Context) {}
  abstract deliver(response: HttpResponse): void;
}

class AwaitedHttpOf<C> extends AwaitedHttp {
  constructor(
    owner: Context,
    private readonly context: C,
    private readonly callback: (context: C, response: HttpResponse) => void,
  ) {
    super(owner);
  }

  deliver(response: HttpResponse): void {
    this.callback(this.context, response);
  }
}

const awaited = new Map<u32, AwaitedHttp>();
const responseHeaders = new HeaderMap(MapType.HttpCallResponseHeaders);
const responseTrailers = new HeaderMap(MapType.HttpCallResponseTrailers);

function keep(id: u32, call: AwaitedHttp): void {
  call.owner.calls++;
  awaited.set(id, call);
}

/** The host's word that a call is answered, or never will be when there are no headers. */
export function httpCallAnswered(pluginId: u32, id: u32, headerCount: u32): void {
  if (!awaited.has(id)) return;
  const call = awaited.get(id);
  awaited.delete(id);
  const owner = call.owner;
  owner.calls--;
  const response = received(headerCount); // before the owner's turn: it belongs to the plugin's context
  enter(owner);
  if (owner.id != pluginId) owner.use();
  call.deliver(response);
  if (owner.id != pluginId) proxy_set_effective_context(pluginId);
}

/** Forgets the calls of a context that goes. */
export function forgetHttpCalls(owner: Context): void {
  const ids = awaited.keys();
  for (let i = 0; i < ids.length; i++) if (awaited.get(ids[i]).owner === owner) awaited.delete(ids[i]);
}

function received(headerCount: u32): HttpResponse {
  if (headerCount == 0) return new HttpResponse(0, new Headers(), new Uint8Array(0), new Headers());
  const headers = responseHeaders.all();
  const status = headers.get(":status");
  const body = Uint8Array.wrap(readBuffer(BufferType.HttpCallResponseBody));
  return new HttpResponse(
    status === null ? 0 : <u32>parseInt(status, 10),
    headers.withoutPseudo(), body, responseTrailers.all(),
  );
}
