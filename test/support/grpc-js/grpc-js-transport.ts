import type { Socket } from "node:net";
import { type MethodDefinition, Server, ServerCredentials, type UntypedHandleCall } from "@grpc/grpc-js";
import { RuntimeError } from "../../../components/error.ts";
import type { GrpcListener, GrpcTransport, ServeOptions } from "../../../runtime/grpc/transport.ts";
import { type Listener, listen } from "../../../runtime/listen.ts";
import type { Log } from "../../../runtime/telemetry/log.ts";
import type { Metrics } from "../../../runtime/telemetry/metrics.ts";
import type { CallScope } from "./call-scope.ts";
import { grpcJsMethod, type MethodOptions } from "./grpc-js-method.ts";

/** Most streams that one connection may have open. */
const maxStreams = 1000;
/** Most connections of one server; more are closed as they come. */
const maxConnections = 4096;
/** How long bidirectional streams may go on once the server drains. */
const conversationMs = 6_000;

/** gRPC on grpc-js. It cannot take services that it does not know. */
export const grpcJsTransport: GrpcTransport = { serve };

async function serve(options: ServeOptions): Promise<GrpcListener> {
  if (options.unknown !== undefined) throw new RangeError("grpc-js cannot serve services that it does not know");
  const { addresses, services, maxMessageBytes, appId, log, metrics } = options;
  const server = new Server({
    "grpc.max_receive_message_length": maxMessageBytes,
    "grpc.max_send_message_length": -1,
    "grpc.max_concurrent_streams": maxStreams,
    "grpc.keepalive_time_ms": 120_000,
    "grpc.keepalive_timeout_ms": 20_000,
  });
  const draining = new AbortController();
  const conversations = new Set<CallScope>();
  const shared = { maxMessageBytes, appId, log, metrics, draining: draining.signal, conversations };
  for (const service of services) addService(server, service, shared);

  const injector = server.createConnectionInjector(ServerCredentials.createInsecure());
  const connections = new Connections(metrics, log);
  const listeners: Listener[] = [];
  const stop = async (): Promise<void> => {
    draining.abort(shuttingDown());
    await Promise.all(listeners.map((listener) => listener.stop()));
  };
  const cutOff = (): void => {
    server.forceShutdown();
    connections.destroy();
  };
  try {
    for (const address of addresses) {
      listeners.push(
        await listen(address, (socket) => {
          if (connections.admit(socket)) injector.injectConnection(socket);
        }),
      );
    }
  } catch (error) {
    await stop();
    cutOff();
    throw error;
  }
  return {
    addresses: listeners.map(({ address }) => address),
    async drain(deadlineMs) {
      await stop();
      const endConversations = (): void => {
        for (const scope of conversations) scope.end(shuttingDown());
      };
      const timers = [
        setTimeout(endConversations, Math.min(conversationMs, deadlineMs)),
        setTimeout(cutOff, deadlineMs),
      ];
      // It sends GOAWAY, but calls back while calls are in flight: Node 24 and later close the sessions with their server,
      // and grpc-js takes those for gone. What is over is told by the sockets.
      server.tryShutdown(() => undefined);
      await connections.untilClosed();
      for (const timer of timers) clearTimeout(timer);
    },
    async [Symbol.asyncDispose]() {
      await stop();
      cutOff();
      await connections.untilClosed();
    },
  };
}

const shuttingDown = (): RuntimeError =>
  new RuntimeError("UNAVAILABLE", "SHUTTING_DOWN", "the runtime is shutting down; call it again when it is back");

function addService(
  server: Server,
  { definition, handlers }: ServeOptions["services"][number],
  options: MethodOptions,
): void {
  const methods: Record<string, MethodDefinition<Buffer, Buffer>> = {};
  const implementation: Record<string, UntypedHandleCall> = {};
  for (const [name, method] of Object.entries(definition)) {
    const adapted = grpcJsMethod(method, handlers[name], options);
    methods[name] = adapted.definition;
    implementation[name] = adapted.handle;
  }
  server.addService(methods, implementation);
}

/** The open connections of a server, no more than it may have. */
class Connections {
  readonly #open = new Set<Socket>();
  readonly #gauge;
  readonly #log: Log;
  #isFull = false;
  #closed: PromiseWithResolvers<void> | undefined;

  constructor(metrics: Metrics, log: Log) {
    this.#gauge = metrics.gauge("outrigger_grpc_connections", "Open connections to the gRPC API.");
    this.#log = log;
  }

  /** False when there are too many: the connection is closed then. */
  admit(socket: Socket): boolean {
    if (this.#open.size >= maxConnections) {
      if (!this.#isFull) this.#log.warn({ connections: maxConnections }, "the gRPC API refuses further connections");
      this.#isFull = true;
      socket.destroy();
      return false;
    }
    this.#open.add(socket);
    this.#gauge.inc();
    socket.once("close", () => this.#leave(socket));
    return true;
  }

  destroy(): void {
    for (const socket of this.#open) socket.destroy();
  }

  async untilClosed(): Promise<void> {
    if (this.#open.size === 0) return;
    this.#closed ??= Promise.withResolvers();
    await this.#closed.promise;
  }

  #leave(socket: Socket): void {
    this.#open.delete(socket);
    this.#gauge.dec();
    this.#isFull = false;
    if (this.#open.size === 0) this.#closed?.resolve();
  }
}
