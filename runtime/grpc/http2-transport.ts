import { RuntimeError } from "../../components/error.ts";
import { errorCode } from "../http2/error-code.ts";
import type { HeaderBlock } from "../http2/header-block.ts";
import { defaultLimits } from "../http2/limits.ts";
import type { Http2Stream, StreamReceiver } from "../http2/stream-contract.ts";
import { type Listener, listen } from "../listen.ts";
import { shuttingDown } from "./call-end.ts";
import { CallsInFlight } from "./calls-in-flight.ts";
import { Deadlines } from "./deadlines.ts";
import { RequestHead } from "./request-head.ts";
import { failedAtOnce, notGrpc, notPost } from "./response-sections.ts";
import { ServedMethod, type ServedTogether } from "./served-method.ts";
import { ServerCall } from "./server-call.ts";
import { ServerConnections } from "./server-connections.ts";
import { failedStatus } from "./status.ts";
import type { ByteStreamHandler, GrpcListener, GrpcTransport, ServeOptions } from "./transport.ts";

/** How long bidirectional streams may go on once the server drains. */
const conversationMs = 6_000;
/** So many answers of the largest size may wait for a peer that reads slowly. */
const answersQueued = 32;

/** gRPC on our own HTTP/2. */
export const http2Transport: GrpcTransport = { serve };

async function serve(options: ServeOptions): Promise<GrpcListener> {
  const { addresses, maxMessageBytes, log, metrics, calls = new CallsInFlight() } = options;
  const draining = new AbortController();
  const conversations = new Set<ServerCall>();
  const deadlines = new Deadlines();
  const methods = new MethodTable(options, { ...options, draining: draining.signal, conversations, deadlines, calls });
  const maxQueuedBytes = Math.max(defaultLimits.maxQueuedBytes, answersQueued * maxMessageBytes);
  const connections = new ServerConnections(
    {
      onStream: (stream, headers, endStream) => methods.open(stream, headers, endStream),
      limits: { maxQueuedBytes },
    },
    metrics,
    log,
  );
  const listeners: Listener[] = [];
  const stop = async (): Promise<void> => {
    draining.abort(shuttingDown());
    await Promise.all(listeners.map((listener) => listener.stop()));
  };
  const cutOff = (): void => connections.cutOff("the runtime is shutting down");
  try {
    for (const address of addresses) {
      listeners.push(await listen(address, (socket) => connections.admit(socket)));
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
        for (const call of conversations) call.end(shuttingDown());
      };
      const timers = [
        setTimeout(endConversations, Math.min(conversationMs, deadlineMs)),
        setTimeout(cutOff, deadlineMs),
      ];
      connections.drain();
      await connections.untilClosed();
      for (const timer of timers) clearTimeout(timer);
    },
    async [Symbol.asyncDispose]() {
      await stop();
      cutOff();
      await connections.untilClosed();
      deadlines[Symbol.dispose]();
    },
  };
}

/** The methods of a server by their paths: each request finds its own. */
class MethodTable {
  readonly #methods = new Map<string, ServedMethod>();
  readonly #services = new Set<string>();
  readonly #unknown: ByteStreamHandler | undefined;

  constructor({ services, unknown }: ServeOptions, together: ServedTogether) {
    this.#unknown = unknown;
    for (const { definition, handlers } of services) {
      for (const [name, method] of Object.entries(definition)) {
        this.#methods.set(method.path, new ServedMethod(method, handlers[name], together));
        this.#services.add(serviceOf(method.path));
      }
    }
  }

  open(stream: Http2Stream, block: HeaderBlock, endStream: boolean): StreamReceiver {
    const path = block.note instanceof RequestHead ? block.note.path : (block.get(":path") ?? "");
    const method = this.#methods.get(path);
    // The block's note is left to the other handler.
    if (method === undefined && this.#unknown !== undefined && !this.#services.has(serviceOf(path))) {
      return this.#unknown.handle(path, stream, block, endStream);
    }
    const head = RequestHead.of(block);
    if (method === undefined || head.fault !== undefined || !head.isGrpc || !head.isPost) {
      stream.sendHeaders(refusal(method, head), true);
      if (!endStream) stream.reset(errorCode.NO_ERROR);
      return nobody;
    }
    const call = new ServerCall(method, stream, head);
    call.begin(endStream);
    return call;
  }
}

/** `package.Service` of `/package.Service/Method`. */
const serviceOf = (path: string): string => path.slice(1, Math.max(1, path.lastIndexOf("/")));

function refusal(method: ServedMethod | undefined, { path, isGrpc, isPost, fault }: RequestHead): HeaderBlock {
  if (!isGrpc) return notGrpc;
  if (!isPost) return notPost;
  const status = failedStatus(method === undefined ? unknownMethod(path) : fault);
  method?.meter.observe(status.code, 0);
  return failedAtOnce(status);
}

const unknownMethod = (path: string): RuntimeError =>
  new RuntimeError("UNIMPLEMENTED", "METHOD_UNKNOWN", `the server does not have the method ${path}`);

/** The rest of a request that was refused. */
const nobody: StreamReceiver = {
  headers: () => undefined,
  data: () => undefined,
  trailers: () => undefined,
  fault: () => undefined,
  drained: () => undefined,
};
