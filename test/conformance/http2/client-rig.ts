import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { connectHttp2 } from "../../../runtime/http2/client-connection.ts";
import { HeaderBlock } from "../../../runtime/http2/header-block.ts";
import type {
  Http2ClientConnection,
  Http2Limits,
  Http2Stream,
  StreamFault,
  StreamReceiver,
} from "../../../runtime/http2/stream-contract.ts";
import { FramePeer, listenFor, settings, settingsAck } from "../../support/http2-frames.ts";

/** What a request of the client heard, in words and in order. */
export interface HeardRequest {
  readonly stream: Http2Stream;
  readonly events: readonly string[];
  readonly fault: () => StreamFault | undefined;
}

/** A client of ours and the server that it talks to, which is nothing but frames. */
export interface ClientRig extends AsyncDisposable {
  readonly client: Http2ClientConnection;
  readonly server: FramePeer;
  /** How often `onAvailable` was called. */
  readonly available: () => number;
  readonly errors: readonly unknown[];
  /** Resolves to why the connection ended. */
  readonly closed: Promise<Error | undefined>;
  request(path?: string, method?: string, endStream?: boolean): HeardRequest;
}

/** `begin` is what the server sends first. */
export async function clientRig(
  limits: Partial<Http2Limits> = {},
  begin: readonly Buffer[] = [settings(), settingsAck],
): Promise<ClientRig> {
  const accepted = Promise.withResolvers<Socket>();
  const listener = await listenFor(accepted.resolve);
  const closed = Promise.withResolvers<Error | undefined>();
  const errors: unknown[] = [];
  let available = 0;
  const socket = connect(listener.port, "127.0.0.1");
  const client = connectHttp2(socket, {
    limits,
    onClose: (_, fault) => closed.resolve(fault),
    onAvailable: () => {
      available += 1;
    },
    onReceiverError: (error) => errors.push(error),
  });
  const server = new FramePeer(await accepted.promise, 24);
  if (socket.connecting) await once(socket, "connect");
  server.send(...begin);
  if (begin.length > 0) await server.settle();
  return {
    client,
    server,
    available: () => available,
    errors,
    closed: closed.promise,
    request: (path = "/", method = "GET", endStream = true) => request(client, path, method, endStream),
    [Symbol.asyncDispose]: async () => {
      socket.destroy();
      await server[Symbol.asyncDispose]();
      await listener[Symbol.asyncDispose]();
    },
  };
}

function request(client: Http2ClientConnection, path: string, method: string, endStream: boolean): HeardRequest {
  const events: string[] = [];
  let fault: StreamFault | undefined;
  const end = (ends: boolean): string => (ends ? " end" : "");
  const receiver: StreamReceiver = {
    headers: (block, ends) => {
      if (block.get("x-throw") !== undefined) throw new Error("the receiver is broken");
      events.push(`headers ${block.get(":status")}${end(ends)}`);
    },
    data: (_, from, to, ends) => events.push(`data ${to - from}${end(ends)}`),
    trailers: (block) => events.push(`trailers ${block.flat.join(" ")}`),
    fault: (found) => {
      fault = found;
      events.push(`fault ${found.origin} ${found.code}${found.unprocessed ? " unprocessed" : ""}`);
    },
    drained: () => events.push("drained"),
  };
  const head = HeaderBlock.of(":method", method, ":scheme", "http", ":path", path, ":authority", "localhost");
  return { stream: client.request(head, endStream, receiver), events, fault: () => fault };
}
