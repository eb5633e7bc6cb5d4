/** What the tests of HTTP/2 in the data plane share: gRPC services and clients on grpc-js, and HTTP/2 on node:http2. */
import { once } from "node:events";
import http2 from "node:http2";
import type net from "node:net";
import {
  Client,
  credentials,
  Metadata,
  Server,
  ServerCredentials,
  type ServiceDefinition,
  type ServiceError,
  status,
  type UntypedServiceImplementation,
} from "@grpc/grpc-js";
import type { HeaderBlock } from "../../runtime/http2/header-block.ts";
import { serveHttp2 as serveOnSocket } from "../../runtime/http2/server-connection.ts";
import type { Http2Stream, StreamReceiver } from "../../runtime/http2/stream-contract.ts";
import { serveRaw } from "./ingress-rig.ts";

const identity = (bytes: Buffer): Buffer => bytes;

function method(path: string, requestStream: boolean, responseStream: boolean) {
  return {
    path,
    requestStream,
    responseStream,
    requestSerialize: identity,
    requestDeserialize: identity,
    responseSerialize: identity,
    responseDeserialize: identity,
  };
}

/** A service of plain bytes with a method of each kind. */
export const echoService: ServiceDefinition = {
  unary: method("/test.Echo/Unary", false, false),
  upload: method("/test.Echo/Upload", true, false),
  download: method("/test.Echo/Download", false, true),
  talk: method("/test.Echo/Talk", true, true),
};

/** Answers with what it got; `fail` in the metadata makes a call fail with that status. */
export const echoHandlers: UntypedServiceImplementation = {
  unary: (
    call: import("@grpc/grpc-js").ServerUnaryCall<Buffer, Buffer>,
    done: import("@grpc/grpc-js").sendUnaryData<Buffer>,
  ) => {
    const failure = call.metadata.get("fail")[0];
    if (failure !== undefined) {
      const metadata = new Metadata();
      metadata.set("why", "it was asked for");
      done({ code: Number(failure), details: "failed: 100 % sure, déjà vu", metadata });
      return;
    }
    const head = new Metadata();
    for (const name of ["x-request-id", "x-forwarded-for", "user", "dapr-caller-app-id"]) {
      const [value] = call.metadata.get(name);
      if (value !== undefined) head.set(`got-${name}`, value);
    }
    call.sendMetadata(head);
    const trailers = new Metadata();
    trailers.set("took", "1ms");
    done(null, call.request, trailers);
  },
  upload: (
    call: import("@grpc/grpc-js").ServerReadableStream<Buffer, Buffer>,
    done: import("@grpc/grpc-js").sendUnaryData<Buffer>,
  ) => {
    let total = 0;
    call.on("data", (part: Buffer) => {
      total += part.length;
    });
    call.on("end", () => done(null, Buffer.from(String(total))));
  },
  download: (call: import("@grpc/grpc-js").ServerWritableStream<Buffer, Buffer>) => {
    const [count = 0, size = 0] = call.request.toString().split("x").map(Number);
    for (let at = 0; at < count; at += 1) call.write(Buffer.alloc(size, at % 256));
    call.end();
  },
  talk: (call: import("@grpc/grpc-js").ServerDuplexStream<Buffer, Buffer>) => {
    call.on("data", (part: Buffer) => call.write(part));
    call.on("end", () => call.end());
  },
};

export interface GrpcServer extends AsyncDisposable {
  readonly address: string;
  readonly server: Server;
}

/** A grpc-js server on a free port. */
export async function serveGrpc(handlers: UntypedServiceImplementation = echoHandlers): Promise<GrpcServer> {
  const server = new Server();
  server.addService(echoService, handlers);
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    );
  });
  return {
    address: `127.0.0.1:${port}`,
    server,
    [Symbol.asyncDispose]: async () => server.forceShutdown(),
  };
}

/** How a unary call ended. */
export interface Outcome {
  readonly code: number;
  readonly details: string;
  readonly message: string;
  readonly head: Metadata | undefined;
  readonly trailers: Metadata;
}

/** A grpc-js client of the echo service. */
export class EchoClient implements Disposable {
  readonly client: Client;

  constructor(address: string) {
    this.client = new Client(address, credentials.createInsecure(), { "grpc.max_receive_message_length": -1 });
  }

  unary(message: string | Buffer, fields: Record<string, string> = {}, path = "/test.Echo/Unary"): Promise<Outcome> {
    return new Promise((resolve) => {
      let head: Metadata | undefined;
      let answer: Buffer | undefined;
      let failure: ServiceError | null = null;
      const call = this.client.makeUnaryRequest(
        path,
        identity,
        identity,
        Buffer.from(message),
        metadataOf(fields),
        (error, response) => {
          failure = error;
          answer = response;
        },
      );
      call.on("metadata", (received: Metadata) => {
        head = received;
      });
      call.on("status", ({ code, details, metadata }) => {
        void failure;
        resolve({ code, details, message: answer?.toString() ?? "", head, trailers: metadata });
      });
    });
  }

  upload(path = "/test.Echo/Upload") {
    const answer = Promise.withResolvers<Buffer>();
    const call = this.client.makeClientStreamRequest(path, identity, identity, (error, response) => {
      if (error !== null) answer.reject(error);
      else answer.resolve(response ?? Buffer.alloc(0));
    });
    answer.promise.catch(() => undefined);
    return { call, answer: answer.promise };
  }

  download(wanted: string, fields: Record<string, string> = {}) {
    return this.client.makeServerStreamRequest(
      "/test.Echo/Download",
      identity,
      identity,
      Buffer.from(wanted),
      metadataOf(fields),
    );
  }

  talk(fields: Record<string, string> = {}) {
    return this.client.makeBidiStreamRequest("/test.Echo/Talk", identity, identity, metadataOf(fields));
  }

  [Symbol.dispose](): void {
    this.client.close();
  }
}

export function metadataOf(fields: Record<string, string>): Metadata {
  const metadata = new Metadata();
  for (const [name, value] of Object.entries(fields)) metadata.set(name, value);
  return metadata;
}

/** The status that a stream of grpc-js ended with. */
export function statusOf(call: {
  on(event: "status", listener: (status: import("@grpc/grpc-js").StatusObject) => void): unknown;
  on(event: "error", listener: () => void): unknown;
}): Promise<import("@grpc/grpc-js").StatusObject> {
  call.on("error", () => undefined);
  return new Promise((resolve) => call.on("status", resolve));
}

export { status };

export interface Http2Backend extends AsyncDisposable {
  readonly address: string;
  readonly sessions: Set<http2.ServerHttp2Session>;
}

/** A node:http2 server on a free port. */
export async function serveHttp2(
  onStream: (stream: http2.ServerHttp2Stream, headers: http2.IncomingHttpHeaders) => void,
  options: http2.ServerOptions = {},
): Promise<Http2Backend> {
  const server = http2.createServer(options);
  const sessions = new Set<http2.ServerHttp2Session>();
  server.on("session", (session) => {
    sessions.add(session);
    session.on("close", () => sessions.delete(session));
    session.on("error", () => undefined);
  });
  server.on("stream", (stream: http2.ServerHttp2Stream, headers) => {
    stream.on("error", () => undefined);
    onStream(stream, headers);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("the server has no port");
  return {
    address: `127.0.0.1:${address.port}`,
    sessions,
    [Symbol.asyncDispose]: async () => {
      for (const session of sessions) session.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

export interface Http2Session extends AsyncDisposable {
  readonly session: http2.ClientHttp2Session;
}

/** A node:http2 client. */
export function connectTo(port: number, createConnection?: () => net.Socket): Http2Session {
  const session = http2.connect(`http://127.0.0.1:${port}`, createConnection === undefined ? {} : { createConnection });
  session.on("error", () => undefined);
  return {
    session,
    [Symbol.asyncDispose]: async () => {
      if (session.destroyed) return;
      session.destroy();
      await once(session, "close");
    },
  };
}

export interface Http2Answer {
  readonly head: http2.IncomingHttpHeaders & http2.IncomingHttpStatusHeader;
  readonly body: string;
  readonly trailers: http2.IncomingHttpHeaders;
}

/** Resolves to the code that the stream was reset with. */
export function resetOf(stream: http2.ClientHttp2Stream): Promise<number> {
  stream.on("error", () => undefined);
  stream.resume();
  return new Promise((resolve) => stream.on("close", () => resolve(stream.rstCode)));
}

/** Reads the whole answer of a request. */
export async function answerOf(stream: http2.ClientHttp2Stream): Promise<Http2Answer> {
  let trailers: http2.IncomingHttpHeaders = {};
  stream.on("trailers", (received) => {
    trailers = received;
  });
  const [head] = (await once(stream, "response")) as [http2.IncomingHttpHeaders & http2.IncomingHttpStatusHeader];
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return { head, body: Buffer.concat(chunks).toString("latin1"), trailers };
}

/** Sends a request and reads its whole answer. */
export function ask(
  session: http2.ClientHttp2Session,
  headers: http2.OutgoingHttpHeaders,
  body?: string | Buffer,
): Promise<Http2Answer> {
  const stream = session.request(headers, { endStream: body === undefined });
  if (body !== undefined) stream.end(body);
  return answerOf(stream);
}

/** A server on our own HTTP/2, for what node:http2 does not let one do. */
export async function serveEngine(
  onStream: (stream: Http2Stream, headers: HeaderBlock) => void,
): Promise<{ readonly address: string } & AsyncDisposable> {
  const ignore = () => undefined;
  const nobody: StreamReceiver = { headers: ignore, data: ignore, trailers: ignore, fault: ignore, drained: ignore };
  return serveRaw((socket) => {
    serveOnSocket(socket, {
      onStream: (stream, headers) => {
        onStream(stream, headers);
        return nobody;
      },
    });
  });
}
