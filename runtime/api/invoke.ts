import type { CallContext } from "../../components/component.ts";
import { RuntimeError } from "../../components/error.ts";
import { codeOfHttpStatus } from "../../components/http-status.ts";
import { errorCodeOf } from "../grpc/status.ts";
import { statusCode } from "../grpc/status-code.ts";
import type { Caller } from "../plugin/contract.ts";
import type { GrpcReply, GrpcRequest, HttpMessage } from "../plugin/outside-calls.ts";

/** Where invoked services are found and called, by a plugin or by the application; the composition root supplies it over the configured upstreams. */
export interface InvokeTargets {
  names(): readonly string[];
  /** Rejects with RuntimeError when no whole answer comes. */
  http(upstream: string, request: HttpMessage, signal: AbortSignal, caller: Caller | undefined): Promise<HttpMessage>;
  /** The reply's code tells of failures, also when the time has passed, which the service is told; absent: without end. */
  grpc(
    upstream: string,
    request: GrpcRequest,
    signal: AbortSignal,
    timeoutMs: number | undefined,
    caller: Caller | undefined,
  ): Promise<GrpcReply>;
}

/** HTTP methods that a service can be invoked with. */
export const invokeVerbs = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH"] as const;
export type InvokeVerb = (typeof invokeVerbs)[number];
type Pairs = readonly (readonly [name: string, value: string])[];

/** A call to another service. */
export interface InvokeRequest {
  /** Name of the upstream. */
  readonly id: string;
  /** A path, or `/package.Service/Method` without a verb: a gRPC call. */
  readonly method: string;
  /** Absent: POST when there is data, GET otherwise. */
  readonly verb: InvokeVerb | undefined;
  /** Without the question mark. */
  readonly querystring: string;
  readonly contentType: string;
  readonly data: Uint8Array;
  /** Passed on as headers or metadata, without those that belong to this hop. */
  readonly metadata: Pairs;
}

/** What the service answered. */
export interface InvokeReply {
  readonly data: Uint8Array;
  readonly contentType: string;
  readonly metadata: Pairs;
}

/**
 * The invocation building block. A service that answers HTTP with anything but 2xx fails the call with the code of that
 * status and the beginning of its body; one that answers gRPC with a failure fails it with that very code and message.
 */
export interface InvokeBlock {
  invoke(request: InvokeRequest, call: CallContext): Promise<InvokeReply>;
}

const defaultTimeoutMs = 3_000;
/** Layotto's metadata field for the time a call may take, in milliseconds. */
const timeoutField = "rpc_request_timeout";
const quotedCharacters = 256;
/** What every gRPC client takes as the metadata of a response. */
const maxMetadataBytes = 4096;
/** A package, a service with a capital, a method: what could be a path of HTTP needs its verb to be taken for one. */
const grpcMethod = /^\/((?:[A-Za-z_]\w*\.)+[A-Z]\w*)\/([A-Za-z_]\w*)$/;

/** The block over the targets that exist when a call comes. */
export function createInvoke(targets: InvokeTargets): InvokeBlock {
  return {
    async invoke(request, call) {
      requireTarget(targets.names(), request.id);
      const timeoutMs = timeoutOf(request, call);
      const [, service, method] = (request.verb === undefined ? grpcMethod.exec(request.method) : null) ?? [];
      return service !== undefined && method !== undefined
        ? invokeGrpc(targets, request, { service, method }, call, timeoutMs)
        : invokeHttp(targets, request, call, timeoutMs);
    },
  };
}

async function invokeHttp(
  targets: InvokeTargets,
  request: InvokeRequest,
  call: CallContext,
  timeoutMs: number | undefined,
): Promise<InvokeReply> {
  const signal = timeoutMs === undefined ? call.signal : AbortSignal.any([call.signal, AbortSignal.timeout(timeoutMs)]);
  try {
    return await invokeHttpUntil(targets, request, signal, call.caller);
  } catch (error) {
    if (signal.aborted && !call.signal.aborted) throw tooSlow(request, timeoutMs);
    throw error;
  }
}

async function invokeHttpUntil(
  targets: InvokeTargets,
  request: InvokeRequest,
  signal: AbortSignal,
  caller: Caller | undefined,
): Promise<InvokeReply> {
  const verb = request.verb ?? (request.data.length > 0 ? "POST" : "GET");
  const path = pathOf(request);
  const headers: Pairs = [
    [":method", verb],
    [":path", path],
    [":scheme", "http"],
    [":authority", request.id],
    ...(request.contentType === "" ? [] : [["content-type", fieldValue(request.contentType, "content type")] as const]),
    ...request.metadata.filter(([name]) => isPassedOn(name) && !name.endsWith("-bin")),
  ];
  const reply = await targets.http(request.id, { headers, body: request.data, trailers: [] }, signal, caller);
  const status = Number(valueIn(reply.headers, ":status"));
  if (!(status >= 200 && status < 300)) throw refusedBy(request.id, `${verb} ${path}`, status, reply.body);
  return {
    data: reply.body,
    contentType: valueIn(reply.headers, "content-type") ?? "",
    metadata: asMetadata(reply.headers),
  };
}

async function invokeGrpc(
  targets: InvokeTargets,
  request: InvokeRequest,
  { service, method }: { service: string; method: string },
  { signal, deadlineMs, caller }: CallContext,
  timeoutMs: number | undefined,
): Promise<InvokeReply> {
  const { id, data: message } = request;
  const metadata = request.metadata.filter(([name]) => isPassedOn(name));
  const leftMs = timeoutMs ?? (deadlineMs === undefined ? undefined : deadlineMs - Date.now());
  const dueAtMs = performance.now() + (timeoutMs ?? Number.POSITIVE_INFINITY);
  const reply = await targets.grpc(id, { service, method, metadata, message }, signal, leftMs, caller);
  if (reply.code === statusCode.DEADLINE_EXCEEDED && performance.now() >= dueAtMs) throw tooSlow(request, timeoutMs);
  if (reply.code !== 0) {
    const name = errorCodeOf(reply.code);
    const code = name === "OK" ? "UNKNOWN" : name;
    const message = reply.details === "" ? `'${id}' answered /${service}/${method} with ${code}` : reply.details;
    throw new RuntimeError(code, "INVOKED_SERVICE_FAILED", message, { details: { id } });
  }
  return {
    data: reply.message ?? new Uint8Array(),
    contentType: "application/grpc",
    metadata: reply.initialMetadata.filter(([name]) => isPassedOn(name)),
  };
}

function requireTarget(names: readonly string[], id: string): void {
  if (names.includes(id)) return;
  if (names.length === 0) {
    const message = `there is no upstream to invoke as '${id}'; add it under upstreams`;
    throw new RuntimeError("FAILED_PRECONDITION", "UPSTREAM_NOT_CONFIGURED", message);
  }
  const message = `there is no upstream '${id}' to invoke; configured: ${[...names].sort().join(", ")}`;
  throw new RuntimeError("NOT_FOUND", "UPSTREAM_NOT_FOUND", message);
}

/** The time to set for this call: what its metadata asks for, or the default where the caller gave no deadline. */
function timeoutOf({ metadata }: InvokeRequest, { deadlineMs }: CallContext): number | undefined {
  const asked = valueIn(metadata, timeoutField);
  if (asked === undefined) return deadlineMs === undefined ? defaultTimeoutMs : undefined;
  if (/^[1-9]\d{0,8}$/.test(asked)) return Number(asked);
  const message = `the metadata ${timeoutField} is '${asked}'; expected milliseconds above 0`;
  throw new RuntimeError("INVALID_ARGUMENT", "TIMEOUT_INVALID", message);
}

function pathOf({ method, querystring }: InvokeRequest): string {
  const path = method.startsWith("/") ? method : `/${method}`;
  const query = querystring.replace(/^\?/, "");
  const whole = query === "" ? path : `${path}${path.includes("?") ? "&" : "?"}${query}`;
  if (/^[\x21-\x7e]+$/.test(whole)) return whole;
  const message =
    "the method and the query string must be percent-encoded: they hold a blank or a character above ASCII";
  throw new RuntimeError("INVALID_ARGUMENT", "PATH_INVALID", message);
}

function fieldValue(text: string, what: string): string {
  if (/^[\x20-\x7e]+$/.test(text)) return text;
  throw new RuntimeError("INVALID_ARGUMENT", "HEADER_INVALID", `the ${what} holds characters that no header may have`);
}

/** Fields of the connection, of the message's framing and of the gRPC hop stay here; all others travel with the call. */
const staysHere = new Set([
  "connection",
  "keep-alive",
  "proxy-connection",
  "transfer-encoding",
  "upgrade",
  "te",
  "trailer",
  "host",
  "content-length",
  "content-type",
  "content-encoding",
  "accept-encoding",
  "user-agent",
  "date",
  timeoutField,
]);
const isPassedOn = (name: string): boolean =>
  !name.startsWith(":") && !name.startsWith("grpc-") && !staysHere.has(name);

/** Fields of a response that can be metadata of ours, as long as they fit into what clients take. */
function asMetadata(headers: Pairs): Pairs {
  let size = 0;
  return headers.filter(([name, value]) => {
    const fits =
      isPassedOn(name) && /^[0-9a-z_.-]+$/.test(name) && !name.endsWith("-bin") && /^[\x20-\x7e]*$/.test(value);
    if (fits) size += name.length + value.length;
    return fits && size <= maxMetadataBytes;
  });
}

const valueIn = (pairs: Pairs, name: string): string | undefined => pairs.find(([key]) => key === name)?.[1];

function refusedBy(id: string, what: string, status: number, body: Uint8Array): RuntimeError {
  const text = new TextDecoder().decode(body.subarray(0, 4 * quotedCharacters)).slice(0, quotedCharacters);
  // Control characters have no place in a status message.
  const quoted = text.replace(/[\p{Cc}\s]+/gu, " ").trim();
  const message = `'${id}' answered ${what} with ${status}${quoted === "" ? "" : `: ${quoted}`}`;
  const details = { id, httpStatus: String(status) };
  return new RuntimeError(codeOfHttpStatus(status), "INVOKED_SERVICE_FAILED", message, { details });
}

function tooSlow({ id, method }: InvokeRequest, timeoutMs: number | undefined): RuntimeError {
  const message = `'${id}' did not answer ${method} within ${timeoutMs} ms; a call with a deadline may take longer`;
  return new RuntimeError("DEADLINE_EXCEEDED", "INVOKE_TIMEOUT", message);
}
