import { proxy_get_status, proxy_grpc_call, proxy_grpc_cancel, proxy_set_effective_context } from "./abi";
import { AbiStatus, BufferType } from "./abi-types";
import { readBuffer } from "./body";
import { Context, currentContext, enter } from "./context";
import { encodePairs, Headers } from "./headers";
import { notSent } from "./http";
import { clearReturned, returnNumber, returnPointer, returnSize, takeReturned } from "./memory";
import { failure, Result, Status, StatusCode, success } from "./status";
import { decodeBuffer, encodeBuffer } from "./text";

/** The name under which the runtime itself is an upstream. */
export const runtimeUpstream = "outrigger";
/** The service that the runtime speaks there. */
export const runtimeService = "spec.proto.runtime.v1.Runtime";

/** Calls to upstreams over gRPC. */
export namespace grpc {
  /**
   * Sends the message of a unary call and returns; `callback` gets `context`, usually `this`, and the answer's message
   * or why there is none: DEADLINE_EXCEEDED, UNAVAILABLE, or what the server said. A callback whose stream has ended is not
   * called. The value is an id for `cancel`. NOT_FOUND at once when the upstream does not exist or is not granted, INTERNAL
   * when too many calls are under way. 0 ms is no timeout. For streams of messages there is `GrpcStream`.
   */
  export function call<C>(
    upstream: string,
    service: string,
    method: string,
    message: Uint8Array,
    context: C,
    callback: (context: C, answer: Result<Uint8Array>) => void,
    timeoutMs: u32 = 5000,
    metadata: Headers = new Headers(),
  ): Result<u32> {
    const owner = currentContext();
    const sent = send(upstream, service, method, message, timeoutMs, metadata);
    if (sent.ok) keep(sent.value, new AwaitedGrpcOf<C>(owner, context, callback));
    return sent;
  }

  /** A call to the runtime, for filters, which may not wait: `GetState` with the bytes of a GetStateRequest. */
  export function callRuntime<C>(
    method: string,
    message: Uint8Array,
    context: C,
    callback: (context: C, answer: Result<Uint8Array>) => void,
    timeoutMs: u32 = 5000,
  ): Result<u32> {
    return call<C>(runtimeUpstream, runtimeService, method, message, context, callback, timeoutMs);
  }

  /** Ends a call whose answer is no longer wanted; its callback is not called. */
  export function cancel(id: u32): void {
    if (forget(id)) proxy_grpc_cancel(id);
  }
}

/** The status of the last gRPC answer, while the host offers it. */
export function lastStatus(): Status {
  clearReturned();
  store<u32>(returnNumber, 0);
  const answer = proxy_get_status(returnNumber, returnPointer, returnSize);
  if (answer != AbiStatus.Ok) return new Status(StatusCode.Ok, "");
  const code = load<u32>(returnNumber);
  return new Status(code, decodeBuffer(takeReturned()));
}

function send(
  upstream: string, service: string, method: string, message: Uint8Array, timeoutMs: u32, metadata: Headers,
): Result<u32> {
  const name = encodeBuffer(upstream);
  const serviceName = encodeBuffer(service);
  const methodName = encodeBuffer(method);
  const pairs = encodePairs(metadata);
  store<u32>(returnNumber, 0);
  const answer = proxy_grpc_call(
    changetype<usize>(name), name.byteLength,
    changetype<usize>(serviceName), serviceName.byteLength,
    changetype<usize>(methodName), methodName.byteLength,
    changetype<usize>(pairs), pairs.byteLength,
    message.dataStart, message.byteLength,
    timeoutMs, returnNumber,
  );
  if (answer == AbiStatus.Ok) return success<u32>(load<u32>(returnNumber));
  return notSent(answer, upstream);
}

abstract class AwaitedGrpc {
  constructor(readonly owner: Context) {}
  abstract deliver(answer: Result<Uint8Array>): void;
}

class AwaitedGrpcOf<C> extends AwaitedGrpc {
  constructor(
    owner: Context,
    private readonly context: C,
    private readonly callback: (context: C, answer: Result<Uint8Array>) => void,
  ) {
    super(owner);
  }

  deliver(answer: Result<Uint8Array>): void {
    this.callback(this.context, answer);
  }
}

const awaited = new Map<u32, AwaitedGrpc>();

function keep(id: u32, call: AwaitedGrpc): void {
  call.owner.calls++;
  awaited.set(id, call);
}

function forget(id: u32): bool {
  if (!awaited.has(id)) return false;
  awaited.get(id).owner.calls--;
  return awaited.delete(id);
}

/** The host's word that the message of an answer is there. */
export function grpcMessageReceived(pluginId: u32, id: u32): void {
  if (awaited.has(id)) deliver(pluginId, id, success(Uint8Array.wrap(readBuffer(BufferType.GrpcCallMessage))));
}

/** The host's word that a call ended; for one that still waits this is its failure. */
export function grpcClosed(pluginId: u32, id: u32, code: u32): void {
  if (!awaited.has(id)) return;
  const message = lastStatus().message;
  const why = code == StatusCode.Ok ? "the call ended without a message" : message;
  deliver(pluginId, id, failure<Uint8Array>(code == StatusCode.Ok ? StatusCode.Internal : code, why));
}

function deliver(pluginId: u32, id: u32, answer: Result<Uint8Array>): void {
  const call = awaited.get(id);
  forget(id);
  const owner = call.owner;
  enter(owner);
  if (owner.id != pluginId) owner.use();
  call.deliver(answer);
  if (owner.id != pluginId) proxy_set_effective_context(pluginId);
}

/** Forgets the calls of a context that goes. */
export function forgetGrpcCalls(owner: Context): void {
  const ids = awaited.keys();
  for (let i = 0; i < ids.length; i++) if (awaited.get(ids[i]).owner === owner) awaited.delete(ids[i]);
}
