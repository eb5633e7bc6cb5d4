import { EventEmitter, once } from "node:events";
import { HeaderBlock } from "../../../runtime/http2/header-block.ts";
import { serveHttp2 } from "../../../runtime/http2/server-connection.ts";
import type {
  Http2Connection,
  Http2Limits,
  Http2Stream,
  StreamFault,
  StreamReceiver,
} from "../../../runtime/http2/stream-contract.ts";
import { listenFor } from "../../support/http2-frames.ts";

/** What the server saw of one request. */
export interface SeenRequest {
  readonly stream: Http2Stream;
  readonly path: string;
  /** Octets of the body so far. */
  bytes: number;
  trailers: HeaderBlock | undefined;
  fault: StreamFault | undefined;
  isComplete: boolean;
}

export interface AnsweringServer extends AsyncDisposable {
  readonly port: number;
  readonly requests: readonly SeenRequest[];
  readonly connections: readonly Http2Connection[];
  /** Why the next connection ends that has not been asked for. */
  closed(): Promise<Error | undefined>;
  /** What receivers threw. */
  readonly errors: readonly unknown[];
}

const okHead = HeaderBlock.of(":status", "200");
export const answer = Buffer.from("hello, world");

/**
 * An HTTP/2 server of ours. It answers 200 with a short body once a request is complete; `/wait` is never answered, `/now`
 * is answered before its body comes, `/echo` sends the body back as it comes, `/big/N` answers N octets, `/throw` throws.
 */
export async function answeringServer(limits: Partial<Http2Limits> = {}): Promise<AnsweringServer> {
  const requests: SeenRequest[] = [];
  const connections: Http2Connection[] = [];
  const faults: (Error | undefined)[] = [];
  const closings = new EventEmitter();
  let asked = 0;
  const errors: unknown[] = [];
  const listener = await listenFor((socket) => {
    const connection = serveHttp2(socket, {
      limits,
      onStream: (stream, headers, endStream) => {
        const path = headers.get(":path") ?? "";
        const seen: SeenRequest = {
          stream,
          path,
          bytes: 0,
          trailers: undefined,
          fault: undefined,
          isComplete: endStream,
        };
        requests.push(seen);
        return respond(seen, endStream);
      },
      onClose: (_, fault) => {
        faults.push(fault);
        closings.emit("closed");
      },
      onReceiverError: (error) => errors.push(error),
    });
    connections.push(connection);
  });
  return {
    port: listener.port,
    requests,
    connections,
    errors,
    closed: async () => {
      asked += 1;
      while (faults.length < asked) await once(closings, "closed");
      return faults[asked - 1];
    },
    [Symbol.asyncDispose]: () => listener[Symbol.asyncDispose](),
  };
}

function respond(seen: SeenRequest, isWhole: boolean): StreamReceiver {
  const { stream, path } = seen;
  if (path === "/throw") throw new Error("the handler is broken");
  const isEcho = path === "/echo";
  const complete = (): void => {
    seen.isComplete = true;
    if (isEcho) stream.sendData(answer, 0, 0, true);
    else if (path !== "/wait" && path !== "/now") send(stream, path);
  };
  if (isEcho) stream.sendHeaders(okHead, false);
  if (path === "/now") send(stream, path);
  if (isWhole) complete();
  return {
    headers: () => undefined,
    data: (bytes, start, end, endStream) => {
      seen.bytes += end - start;
      if (isEcho && !stream.sendData(bytes, start, end, false)) stream.pause();
      if (endStream) complete();
    },
    trailers: (block) => {
      seen.trailers = block;
      complete();
    },
    fault: (fault) => {
      seen.fault = fault;
    },
    drained: () => stream.resume(),
  };
}

function send(stream: Http2Stream, path: string): void {
  const size = /^\/big\/(\d+)$/.exec(path)?.[1];
  const body = size === undefined ? answer : Buffer.alloc(Number(size), 0x61);
  stream.sendHeaders(okHead, false);
  stream.sendData(body, 0, body.length, true);
}
