import type { EventEmitter } from "node:events";
import {
  Metadata,
  type MethodDefinition,
  type ServerDuplexStream,
  type ServerReadableStream,
  type ServerUnaryCall,
  type ServerWritableStream,
  type UntypedHandleCall,
} from "@grpc/grpc-js";
import { CallMeter } from "../../../runtime/grpc/call-meter.ts";
import { type MessageCodec, messageCodec } from "../../../runtime/grpc/message-codec.ts";
import { unimplemented } from "../../../runtime/grpc/served-method.ts";
import type { Handler, ResponseStream, MethodDefinition as ServedDefinition } from "../../../runtime/grpc/service.ts";
import { asRuntimeError, failedStatus, statusCodeOf } from "../../../runtime/grpc/status.ts";
import type { Log } from "../../../runtime/telemetry/log.ts";
import type { Metrics } from "../../../runtime/telemetry/metrics.ts";
import { CallScope } from "./call-scope.ts";
import { metadataOf, pairsOf } from "./metadata-pairs.ts";

/** What the methods of one server share. */
export interface MethodOptions {
  readonly maxMessageBytes: number;
  readonly appId: string;
  readonly log: Log;
  readonly metrics: Metrics;
  /** Aborts when the server begins to drain. */
  readonly draining: AbortSignal;
  /** The open bidirectional streams; a method adds its own. */
  readonly conversations: Set<CallScope>;
}

/** A method as grpc-js takes it: messages stay encoded for grpc-js, so that failures of coding are told like all others. */
export interface GrpcJsMethod {
  readonly definition: MethodDefinition<Buffer, Buffer>;
  readonly handle: UntypedHandleCall;
}

type Unary = ServerUnaryCall<Buffer, Buffer>;
type ClientStream = ServerReadableStream<Buffer, Buffer>;
type ServerStream = ServerWritableStream<Buffer, Buffer>;
type Bidi = ServerDuplexStream<Buffer, Buffer>;
type Status = { readonly code: number; readonly details: string; readonly metadata: Metadata };
type Respond = (error: Status | null, response?: Buffer, trailer?: Metadata) => void;

/** Runs a handler as a method of grpc-js; without a handler the method answers UNIMPLEMENTED with a sentence. */
export function grpcJsMethod(
  method: ServedDefinition,
  handler: Handler | undefined,
  options: MethodOptions,
): GrpcJsMethod {
  const definition = { ...method, ...uncoded } satisfies MethodDefinition<Buffer, Buffer>;
  const codec = messageCodec(method, options.maxMessageBytes);
  const calls = new Calls(method.path, options);
  return { definition, handle: handle(handler ?? unimplemented(method), codec, calls, options) };
}

const identity = (bytes: Buffer): Buffer => bytes;
const uncoded = {
  requestSerialize: identity,
  requestDeserialize: identity,
  responseSerialize: identity,
  responseDeserialize: identity,
};

function handle(handler: Handler, codec: MessageCodec, calls: Calls, options: MethodOptions): UntypedHandleCall {
  const { draining, conversations } = options;
  switch (handler.kind) {
    case "unary":
      return (call: Unary, respond: Respond) => {
        const { scope, trailing } = calls.begin(call);
        const work = async () => codec.encode(await handler.handle(codec.decode(call.request), scope.context));
        void calls.run(scope, trailing, work, (response) => respond(null, response, trailing), respond);
      };
    case "client-stream":
      return (call: ClientStream, respond: Respond) => {
        const { scope, trailing } = calls.begin(call);
        const work = async () => codec.encode(await handler.handle(requestsOf(call, codec, scope), scope.context));
        void calls.run(scope, trailing, work, (response) => respond(null, response, trailing), respond);
      };
    case "server-stream":
      return (call: ServerStream) => {
        const { scope, trailing } = calls.begin(call);
        const work = async () => handler.handle(codec.decode(call.request), responsesOf(call, codec, scope, draining));
        void calls.run(scope, trailing, work, () => call.end(trailing), failStream(call));
      };
    case "bidi":
      return (call: Bidi) => {
        const { scope, trailing } = calls.begin(call);
        conversations.add(scope);
        const requests = requestsOf(call, codec, scope);
        const work = () => handler.handle({ ...responsesOf(call, codec, scope, draining), requests });
        void calls
          .run(scope, trailing, work, () => call.end(trailing), failStream(call))
          .finally(() => conversations.delete(scope));
      };
  }
}

/** The calls of one method: each has a scope, is measured, and its failure is told once. */
class Calls {
  readonly #path: string;
  readonly #meter: CallMeter;
  readonly #appId: string;
  readonly #log: Log;

  constructor(path: string, { metrics, appId, log }: MethodOptions) {
    this.#path = path;
    this.#meter = new CallMeter(metrics, path);
    this.#appId = appId;
    this.#log = log;
  }

  /** `trailing` is filled by the handler. */
  begin(call: Unary | ClientStream | ServerStream | Bidi): { scope: CallScope; trailing: Metadata } {
    const trailing = new Metadata();
    const deadlineMs = Number(call.getDeadline());
    const peer = call.getPeer();
    const scope = new CallScope({
      deadlineMs: Number.isFinite(deadlineMs) ? deadlineMs : undefined,
      // What grpc-js says of a Unix socket's peer.
      peerAddress: peer === "unknown" ? "unix:" : peer,
      metadata: pairsOf(call.metadata),
      sendMetadata: (pairs) => call.sendMetadata(metadataOf(pairs)),
      setTrailingMetadata: (pairs) => trailing.merge(metadataOf(pairs)),
      appId: this.#appId,
      log: this.#log,
    });
    const emitter: EventEmitter = call;
    emitter.on("cancelled", () => scope.cancel());
    return { scope, trailing };
  }

  /** Runs the work to its end and tells it: `respond` on success, `fail` otherwise. Never rejects. */
  async run<R>(
    scope: CallScope,
    trailing: Metadata,
    work: () => Promise<R>,
    respond: (result: R) => void,
    fail: (status: Status) => void,
  ): Promise<void> {
    const startedAt = performance.now();
    try {
      const result = await scope.race(work());
      this.#meter.observe(0, performance.now() - startedAt);
      scope[Symbol.dispose]();
      respond(result);
    } catch (error) {
      const { code, cause } = asRuntimeError(error);
      this.#meter.observe(statusCodeOf(code), performance.now() - startedAt);
      if (code === "INTERNAL" || code === "UNKNOWN") {
        this.#log.error({ err: cause ?? error, method: this.#path }, "a call failed");
      }
      scope[Symbol.dispose]();
      fail(statusOf(error, trailing));
    }
  }
}

function statusOf(error: unknown, trailing: Metadata): Status {
  const { code, message, details } = failedStatus(error);
  const metadata = trailing.clone();
  metadata.set("grpc-status-details-bin", Buffer.from(details));
  return { code, details: message, metadata };
}

/** grpc-js takes the status of a failed stream from its event `error`. */
const failStream =
  (call: ServerStream | Bidi) =>
  (status: Status): void =>
    void call.emit("error", status);

function responsesOf(
  call: ServerStream | Bidi,
  codec: MessageCodec,
  scope: CallScope,
  draining: AbortSignal,
): ResponseStream<unknown> {
  let drained: Promise<void> | undefined;
  return {
    call: scope.context,
    draining,
    async write(response) {
      scope.throwIfOver();
      if (call.write(codec.encode(response))) return;
      drained ??= new Promise<void>((resolve) => call.once("drain", resolve)).then(() => {
        drained = undefined;
      });
      await scope.race(drained);
    },
  };
}

async function* requestsOf(
  call: ClientStream | Bidi,
  codec: MessageCodec,
  scope: CallScope,
): AsyncGenerator<unknown, undefined> {
  const requests: AsyncIterator<Buffer> = call.iterator({ destroyOnReturn: false });
  for (;;) {
    const next = await scope.race(requests.next());
    if (next.done === true) return undefined;
    yield codec.decode(next.value);
  }
}
