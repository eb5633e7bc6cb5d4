import type { EventEmitter } from "node:events";
import {
  Metadata,
  type MethodDefinition,
  Server,
  ServerCredentials,
  type ServerDuplexStream,
  type ServerReadableStream,
  type ServerUnaryCall,
  type ServerWritableStream,
  type UntypedHandleCall,
} from "@grpc/grpc-js";
import { RuntimeError } from "../../components/error.ts";
import { type Listener, listen } from "../listen.ts";
import { CallMeter } from "./call-meter.ts";
import { CallScope } from "./call-scope.ts";
import { metadataOf, pairsOf } from "./metadata-pairs.ts";
import type { BidiStream, GrpcService, Handler, ResponseStream } from "./service.ts";
import { asRuntimeError, failedStatus } from "./status.ts";
import type { GrpcListener, GrpcTransport, ServeOptions } from "./transport.ts";

/** Most streams that one connection may have open. */
const maxStreams = 1000;

/** gRPC on grpc-js. It cannot take services that it does not know. */
export const grpcJsTransport: GrpcTransport = { serve };

async function serve(options: ServeOptions): Promise<GrpcListener> {
  if (options.unknown !== undefined) throw new RangeError("grpc-js cannot serve services that it does not know");
  const server = new Server({
    "grpc.max_receive_message_length": options.maxMessageBytes,
    "grpc.max_send_message_length": options.maxMessageBytes,
    "grpc.max_concurrent_streams": maxStreams,
    "grpc.keepalive_time_ms": 120_000,
    "grpc.keepalive_timeout_ms": 20_000,
  });
  for (const service of options.services) addService(server, service, options);
  const injector = server.createConnectionInjector(ServerCredentials.createInsecure());
  const listeners: Listener[] = [];
  const stop = async (): Promise<void> => void (await Promise.all(listeners.map((listener) => listener.stop())));
  try {
    for (const address of options.addresses) {
      listeners.push(await listen(address, (socket) => injector.injectConnection(socket)));
    }
  } catch (error) {
    await stop();
    throw error;
  }
  let shut: Promise<void> | undefined;
  const shutDown = (): Promise<void> => {
    shut ??= new Promise((resolve) => server.tryShutdown(() => resolve()));
    return shut;
  };
  return {
    addresses: listeners.map(({ address }) => address),
    async drain(deadlineMs) {
      await stop();
      const timer = setTimeout(() => server.forceShutdown(), deadlineMs);
      await shutDown();
      clearTimeout(timer);
    },
    async [Symbol.asyncDispose]() {
      await stop();
      server.forceShutdown();
      await shutDown();
    },
  };
}

function addService(server: Server, { definition, handlers }: GrpcService, options: ServeOptions): void {
  const implementation: Record<string, UntypedHandleCall> = {};
  for (const [name, method] of Object.entries(definition)) {
    implementation[name] = adapt(method, handlers[name] ?? unimplemented(method), options);
  }
  server.addService(definition, implementation);
}

function unimplemented({ path, requestStream, responseStream }: MethodDefinition<unknown, unknown>): Handler {
  const refuse = async (): Promise<never> => {
    throw new RuntimeError("UNIMPLEMENTED", "METHOD_UNIMPLEMENTED", `the method ${path} is not built yet`);
  };
  if (requestStream)
    return responseStream ? { kind: "bidi", handle: refuse } : { kind: "client-stream", handle: refuse };
  return responseStream ? { kind: "server-stream", handle: refuse } : { kind: "unary", handle: refuse };
}

type AnyCall =
  | ServerUnaryCall<unknown, unknown>
  | ServerReadableStream<unknown, unknown>
  | ServerWritableStream<unknown, unknown>
  | ServerDuplexStream<unknown, unknown>;

function adapt(
  { path }: MethodDefinition<unknown, unknown>,
  handler: Handler,
  options: ServeOptions,
): UntypedHandleCall {
  const meter = new CallMeter(options.metrics, path);
  const begin = (call: AnyCall): CallScope => {
    const scope = new CallScope({
      deadlineMs: deadlineOf(call),
      peerAddress: call.getPeer(),
      metadata: pairsOf(call.metadata),
      sendMetadata: (pairs) => call.sendMetadata(metadataOf(pairs)),
      appId: options.appId,
      log: options.log,
    });
    const emitter: EventEmitter = call;
    emitter.on("cancelled", () => scope.cancel());
    return scope;
  };
  /** Runs the work to its end and tells it: `respond` on success, `fail` otherwise. */
  const run = async <R>(
    scope: CallScope,
    work: () => Promise<R>,
    respond: (result: R) => void,
    fail: Fail,
  ): Promise<void> => {
    const startedAt = performance.now();
    try {
      const result = await scope.race(work());
      meter.observe("OK", performance.now() - startedAt);
      respond(result);
    } catch (error) {
      const { code, cause } = asRuntimeError(error);
      meter.observe(code, performance.now() - startedAt);
      if (code === "INTERNAL" || code === "UNKNOWN")
        options.log.error({ err: cause ?? error, method: path }, "a call failed");
      fail(toServiceError(error));
    } finally {
      scope[Symbol.dispose]();
    }
  };
  switch (handler.kind) {
    case "unary":
      return (
        call: ServerUnaryCall<unknown, unknown>,
        callback: (error: object | null, response?: unknown) => void,
      ) => {
        const scope = begin(call);
        void run(
          scope,
          () => handler.handle(call.request, scope.context),
          (response) => callback(null, response),
          callback,
        );
      };
    case "client-stream":
      return (
        call: ServerReadableStream<unknown, unknown>,
        callback: (error: object | null, response?: unknown) => void,
      ) => {
        const scope = begin(call);
        const work = () => handler.handle(requestsOf(call, scope), scope.context);
        void run(scope, work, (response) => callback(null, response), callback);
      };
    case "server-stream":
      return (call: ServerWritableStream<unknown, unknown>) => {
        const scope = begin(call);
        const work = () => handler.handle(call.request, responseStream(call, scope));
        void run(
          scope,
          work,
          () => call.end(),
          (error) => call.emit("error", error),
        );
      };
    case "bidi":
      return (call: ServerDuplexStream<unknown, unknown>) => {
        const scope = begin(call);
        const stream: BidiStream<unknown, unknown> = {
          ...responseStream(call, scope),
          requests: requestsOf(call, scope),
        };
        void run(
          scope,
          () => handler.handle(stream),
          () => call.end(),
          (error) => call.emit("error", error),
        );
      };
  }
}

type Fail = (error: { code: number; details: string; metadata: Metadata }) => void;

function toServiceError(error: unknown): Parameters<Fail>[0] {
  const { code, message, details } = failedStatus(error);
  const metadata = new Metadata();
  metadata.set("grpc-status-details-bin", Buffer.from(details));
  return { code, details: message, metadata };
}

function deadlineOf(call: AnyCall): number | undefined {
  const deadline = Number(call.getDeadline());
  return Number.isFinite(deadline) ? deadline : undefined;
}

function responseStream(
  call: ServerWritableStream<unknown, unknown> | ServerDuplexStream<unknown, unknown>,
  scope: CallScope,
): ResponseStream<unknown> {
  return {
    call: scope.context,
    async write(response) {
      scope.context.signal.throwIfAborted();
      if (call.write(response)) return;
      await scope.race(new Promise<void>((resolve) => call.once("drain", resolve)));
    },
  };
}

async function* requestsOf(
  call: ServerReadableStream<unknown, unknown> | ServerDuplexStream<unknown, unknown>,
  scope: CallScope,
): AsyncGenerator<unknown> {
  const requests = call.iterator({ destroyOnReturn: false });
  for (;;) {
    const next = await scope.race(requests.next());
    if (next.done === true) return;
    yield next.value;
  }
}
