/** Peers over HTTP/2, Node's and our own, and requests to them. */

import assert from "node:assert/strict";
import { once } from "node:events";
import http2 from "node:http2";
import net, { type AddressInfo } from "node:net";
import { EndpointClient, type EndpointClientOptions } from "../../runtime/http2/endpoint-client.ts";
import { HeaderBlock } from "../../runtime/http2/header-block.ts";
import { serveHttp2 } from "../../runtime/http2/server-connection.ts";
import type { Http2Connection, Http2Stream, StreamFault, StreamReceiver } from "../../runtime/http2/stream-contract.ts";

/** A server while it listens; disposing cuts off what is left. */
export interface Peer extends AsyncDisposable {
  readonly address: string;
}

/** A server of Node's own HTTP/2. */
export async function nodePeer(
  onStream: (stream: http2.ServerHttp2Stream, headers: http2.IncomingHttpHeaders) => void,
  options: http2.ServerOptions = {},
): Promise<Peer & { readonly sessions: Set<http2.ServerHttp2Session> }> {
  const server = http2.createServer(options).on("stream", onStream);
  const sessions = new Set<http2.ServerHttp2Session>();
  server.on("session", (session) => {
    sessions.add(session);
    session.on("error", () => undefined).once("close", () => sessions.delete(session));
  });
  server.on("sessionError", () => undefined);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    sessions,
    async [Symbol.asyncDispose]() {
      for (const session of sessions) session.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** A server that speaks what it is told to on each socket. */
export async function socketPeer(accept: (socket: net.Socket) => void, path?: string): Promise<Peer> {
  const sockets = new Set<net.Socket>();
  const server = net.createServer({ noDelay: true }, (socket) => {
    sockets.add(socket.on("error", () => undefined));
    socket.once("close", () => sockets.delete(socket));
    accept(socket);
  });
  if (path === undefined) server.listen(0, "127.0.0.1");
  else server.listen(path);
  await once(server, "listening");
  return {
    address: path === undefined ? `127.0.0.1:${(server.address() as AddressInfo).port}` : `unix:${path}`,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** A port on which nobody listens. */
export async function deadAddress(): Promise<string> {
  await using peer = await socketPeer(() => undefined);
  return peer.address;
}

/** A whole answer. */
export interface Answer {
  readonly status: string;
  readonly body: string;
  readonly trailers: HeaderBlock | undefined;
}

/** Collects an answer; rejects with the fault. */
export function collecting(): { readonly receiver: StreamReceiver; readonly answer: Promise<Answer> } {
  const { promise, resolve, reject } = Promise.withResolvers<Answer>();
  promise.catch(() => undefined);
  let status = "";
  const chunks: Buffer[] = [];
  const done = (trailers?: HeaderBlock): void => resolve({ status, body: Buffer.concat(chunks).toString(), trailers });
  const receiver: StreamReceiver = {
    headers(block, endStream) {
      status = block.get(":status") ?? "";
      if (endStream) done();
    },
    data(bytes, start, end, endStream) {
      chunks.push(Buffer.from(bytes.subarray(start, end)));
      if (endStream) done();
    },
    trailers: done,
    fault: reject,
    drained: () => undefined,
  };
  return { receiver, answer: promise };
}

/** The head of a request. */
export const head = (path = "/", method = "POST"): HeaderBlock =>
  HeaderBlock.of(":method", method, ":scheme", "http", ":path", path, ":authority", "peer");

/** A request without content. */
export function get(
  client: EndpointClient,
  path = "/",
): { readonly stream: Http2Stream; readonly answer: Promise<Answer> } {
  const { receiver, answer } = collecting();
  return { stream: client.request(head(path, "GET"), true, receiver), answer };
}

/** A request with content. */
export function post(client: EndpointClient, body: string): Promise<Answer> {
  const { receiver, answer } = collecting();
  const bytes = Buffer.from(body);
  client.request(head(), false, receiver).sendData(bytes, 0, bytes.length, true);
  return answer;
}

/** The fault of a request that must not be answered. */
export const faultOf = (answer: Promise<Answer>): Promise<StreamFault> =>
  answer.then(
    () => assert.fail("the request was answered"),
    (fault: StreamFault) => fault,
  );

/** A client of the address. */
export const clientOf = (address: string, options: Partial<EndpointClientOptions> = {}): EndpointClient =>
  new EndpointClient({ address, ...options });

/** Counts the connections that a client makes. */
export function countingDials(address: string): { connect: () => net.Socket; readonly sockets: net.Socket[] } {
  const sockets: net.Socket[] = [];
  const port = Number(address.slice(address.lastIndexOf(":") + 1));
  return {
    sockets,
    connect() {
      const socket = net.connect(port, "127.0.0.1");
      sockets.push(socket);
      return socket;
    },
  };
}

/** Answers with what comes. */
export const echo = (stream: http2.ServerHttp2Stream): void => {
  stream.respond({ ":status": 200 });
  stream.pipe(stream);
};

/** Hears nothing. */
export const noReceiver: StreamReceiver = {
  headers: () => undefined,
  data: () => undefined,
  trailers: () => undefined,
  fault: () => undefined,
  drained: () => undefined,
};
/** The head of an answer. */
export const answer200 = HeaderBlock.of(":status", "200");

/** A peer of our own, told what to do with each connection's streams. */
export function ownPeer(
  onStream: (stream: Http2Stream, nth: number, connection: number) => StreamReceiver,
  connections: Http2Connection[] = [],
): Promise<Peer> {
  let accepted = 0;
  return socketPeer((socket) => {
    const connection = accepted++;
    let streams = 0;
    connections.push(serveHttp2(socket, { onStream: (stream) => onStream(stream, streams++, connection) }));
  });
}

/** Answers with the body that came. */
export function echoing(stream: Http2Stream): StreamReceiver {
  stream.sendHeaders(answer200, false);
  return {
    ...noReceiver,
    data: (bytes, start, end, endStream) => void stream.sendData(bytes, start, end, endStream),
  };
}

/** Resolves in the next turn of the event loop. */
export const untilNextTurn = (): Promise<string> => new Promise((resolve) => setImmediate(() => resolve("")));
