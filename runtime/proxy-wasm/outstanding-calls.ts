import type { GrpcReply, GrpcRequest, HttpMessage } from "../plugin/contract.ts";
import { GrpcCode } from "./abi.ts";
import type { Vm } from "./vm.ts";

/** Calls of one guest that may be under way at once. */
export const maxOutstandingCalls = 128;
/** Bytes that the requests of these calls may hold together. */
export const maxOutstandingBytes = 64 << 20;
const longestTimeoutMs = 0x7fffffff;
const maxToken = 0x7ffffffd;

interface OutstandingCall {
  readonly protocol: "http" | "grpc";
  readonly bytes: number;
  readonly abort: AbortController;
  readonly timer: NodeJS.Timeout | undefined;
}

/**
 * The HTTP and gRPC calls that a guest waits for, by their tokens. An answer is delivered to the root context, once;
 * a call that ends with its guest, or was cancelled, delivers nothing.
 */
export class OutstandingCalls {
  readonly #vm: Vm;
  readonly #calls = new Map<number, OutstandingCall>();
  #lastToken = -1;
  #bytes = 0;

  constructor(vm: Vm) {
    this.#vm = vm;
  }

  /** The token of the call; undefined when too much is under way. `timeoutMs` 0 is no timeout. */
  http(upstream: string, request: HttpMessage, timeoutMs: number): number | undefined {
    const { services, depth } = this.#vm;
    return this.#begin(
      "http",
      request.body.byteLength,
      timeoutMs,
      (signal) => services.httpCall(upstream, request, signal),
      (token, message) => this.#deliverHttp(token, depth, message),
    );
  }

  /** The token of the call; undefined when too much is under way. `timeoutMs` 0 is no timeout. */
  grpc(upstream: string, request: GrpcRequest, timeoutMs: number): number | undefined {
    const { services, depth } = this.#vm;
    return this.#begin(
      "grpc",
      request.message.byteLength,
      timeoutMs,
      (signal) => services.grpcCall(upstream, request, signal, timeoutMs === 0 ? undefined : timeoutMs),
      (token, reply, failure) => this.#deliverGrpc(token, depth, reply ?? failedReply(failure)),
    );
  }

  /** Whether a gRPC call of that token was under way; it delivers nothing any more. */
  cancel(token: number): boolean {
    const call = this.#calls.get(token);
    if (call?.protocol !== "grpc") return false;
    this.#forget(token);
    this.#vm.defer(() => call.abort.abort());
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
    const token = this.#nextToken();
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

  /** Odd, as the tokens of unary calls are; even ones are for gRPC streams. */
  #nextToken(): number {
    do this.#lastToken = this.#lastToken >= maxToken ? 1 : this.#lastToken + 2;
    while (this.#calls.has(this.#lastToken));
    return this.#lastToken;
  }

  #deliverHttp(token: number, depth: number, message: HttpMessage | undefined): void {
    const vm = this.#vm;
    const { httpCallResponse } = vm.callbacks;
    if (httpCallResponse === undefined) return;
    vm.take(() => {
      vm.reply = { protocol: "http", depth, message };
      const { headers, body, trailers } = message ?? noMessage;
      return vm.enter(undefined, httpCallResponse, vm.rootId, token, headers.length, body.byteLength, trailers.length);
    });
  }

  #deliverGrpc(token: number, depth: number, reply: GrpcReply): void {
    const vm = this.#vm;
    const { grpcReceive, grpcClose } = vm.callbacks;
    vm.take(() => {
      vm.reply = { protocol: "grpc", depth, message: reply };
      vm.status = { code: reply.code, message: reply.details };
      if (reply.code === GrpcCode.OK)
        return grpcReceive && vm.enter(undefined, grpcReceive, vm.rootId, token, reply.message?.byteLength ?? 0);
      return grpcClose && vm.enter(undefined, grpcClose, vm.rootId, token, reply.code);
    });
  }
}

class TimedOut extends Error {}

const noMessage: HttpMessage = { headers: [], body: new Uint8Array(0), trailers: [] };

function failedReply(failure: unknown): GrpcReply {
  return {
    code: failure instanceof TimedOut ? GrpcCode.DEADLINE_EXCEEDED : GrpcCode.UNAVAILABLE,
    details: failure instanceof Error ? failure.message : String(failure),
    initialMetadata: [],
    trailingMetadata: [],
  };
}
