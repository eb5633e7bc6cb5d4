import { messageOf } from "../../components/thrown.ts";
import type { GrpcReply, GrpcRequest, HttpMessage } from "../plugin/outside-calls.ts";
import { GrpcCode } from "./abi.ts";
import type { RootContext } from "./root-context.ts";
import type { Origin } from "./vm.ts";

/** Calls of one root context that may be under way at once. */
export const maxOutstandingCalls = 128;
/** Bytes that the requests of these calls may hold together. */
export const maxOutstandingBytes = 64 << 20;
const longestTimeoutMs = 0x7fffffff;

interface OutstandingCall {
  readonly protocol: "http" | "grpc";
  readonly bytes: number;
  readonly abort: AbortController;
  readonly timer: NodeJS.Timeout | undefined;
}

/**
 * The HTTP and gRPC calls that a root context waits for, by their tokens. An answer is delivered to it, once; a call that
 * ends with it, or was cancelled, delivers nothing.
 */
export class OutstandingCalls {
  readonly #root: RootContext;
  readonly #calls = new Map<number, OutstandingCall>();
  #bytes = 0;

  constructor(root: RootContext) {
    this.#root = root;
  }

  has(token: number): boolean {
    return this.#calls.has(token);
  }

  /** The token of the call; undefined when too much is under way. `timeoutMs` 0 is no timeout. */
  http(upstream: string, request: HttpMessage, timeoutMs: number): number | undefined {
    const { services, vm } = this.#root;
    const { origin } = vm;
    return this.#begin(
      "http",
      request.body.byteLength,
      timeoutMs,
      (signal) => services.httpCall(upstream, request, signal, origin.caller),
      (token, message) => this.#deliverHttp(token, origin, message),
    );
  }

  /** The token of the call; undefined when too much is under way. `timeoutMs` 0 is no timeout. */
  grpc(upstream: string, request: GrpcRequest, timeoutMs: number): number | undefined {
    const { services, vm } = this.#root;
    const { origin } = vm;
    return this.#begin(
      "grpc",
      request.message.byteLength,
      timeoutMs,
      (signal) => services.grpcCall(upstream, request, signal, timeoutMs === 0 ? undefined : timeoutMs, origin.caller),
      (token, reply, failure) => this.#deliverGrpc(token, origin, reply ?? failedReply(failure)),
    );
  }

  /** Whether a gRPC call of that token was under way; it delivers nothing any more. */
  cancel(token: number): boolean {
    const call = this.#calls.get(token);
    if (call?.protocol !== "grpc") return false;
    this.#forget(token);
    this.#root.vm.defer(() => call.abort.abort());
    return true;
  }

  cancelAll(): void {
    const calls = [...this.#calls.values()];
    for (const token of [...this.#calls.keys()]) this.#forget(token);
    for (const { abort } of calls) abort.abort();
  }

  /** Sends on a stack of its own: a guest near the end of its stack must not break the sender in the middle. */
  #begin<Answer>(
    protocol: OutstandingCall["protocol"],
    bytes: number,
    timeoutMs: number,
    send: (signal: AbortSignal) => Promise<Answer>,
    deliver: (token: number, answer: Answer | undefined, failure: unknown) => void,
  ): number | undefined {
    if (this.#calls.size >= maxOutstandingCalls || this.#bytes + bytes > maxOutstandingBytes) return undefined;
    const abort = new AbortController();
    const token = this.#root.vm.tokens.forCall();
    const finish = (answer: Answer | undefined, failure: unknown) => {
      if (!this.#forget(token)) return;
      deliver(token, answer, failure);
    };
    const expire = () => {
      const failure = new TimedOut(`no answer within ${timeoutMs} ms`);
      finish(undefined, failure);
      abort.abort(failure);
    };
    const timer = timeoutMs === 0 ? undefined : setTimeout(expire, Math.min(timeoutMs, longestTimeoutMs));
    this.#calls.set(token, { protocol, bytes, abort, timer });
    this.#bytes += bytes;
    queueMicrotask(() => {
      if (abort.signal.aborted || !this.#calls.has(token)) return;
      Promise.try(send, abort.signal).then(
        (answer) => finish(answer, undefined),
        (failure: unknown) => finish(undefined, failure),
      );
    });
    return token;
  }

  /** Whether the call was still known. */
  #forget(token: number): boolean {
    const call = this.#calls.get(token);
    if (call === undefined) return false;
    clearTimeout(call.timer);
    this.#bytes -= call.bytes;
    return this.#calls.delete(token);
  }

  #deliverHttp(token: number, origin: Origin, message: HttpMessage | undefined): void {
    const root = this.#root;
    const { vm } = root;
    const { httpCallResponse } = vm.callbacks;
    if (httpCallResponse === undefined) return;
    vm.take(() => {
      vm.reply = { protocol: "http", origin, message };
      const { headers, body, trailers } = message ?? noMessage;
      return vm.enter(root, httpCallResponse, root.id, token, headers.length, body.byteLength, trailers.length);
    });
  }

  #deliverGrpc(token: number, origin: Origin, reply: GrpcReply): void {
    const root = this.#root;
    const { vm } = root;
    const { grpcReceive, grpcClose } = vm.callbacks;
    vm.take(() => {
      vm.reply = { protocol: "grpc", origin, message: reply };
      vm.status = { code: reply.code, message: reply.details };
      if (reply.code === GrpcCode.OK)
        return grpcReceive && vm.enter(root, grpcReceive, root.id, token, reply.message?.byteLength ?? 0);
      return grpcClose && vm.enter(root, grpcClose, root.id, token, reply.code);
    });
  }
}

class TimedOut extends Error {}

const noMessage: HttpMessage = { headers: [], body: new Uint8Array(0), trailers: [] };

function failedReply(failure: unknown): GrpcReply {
  return {
    code: failure instanceof TimedOut ? GrpcCode.DEADLINE_EXCEEDED : GrpcCode.UNAVAILABLE,
    details: messageOf(failure),
    initialMetadata: [],
    trailingMetadata: [],
  };
}
