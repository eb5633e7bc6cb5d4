/** gRPC with handlers of the test's own: raw bytes under the name `test.Echo`, on a real socket. */
import { Client, credentials, type Metadata, type MethodDefinition, type ServiceError } from "@grpc/grpc-js";
import { http2Transport } from "../../runtime/grpc/http2-transport.ts";
import { defineService, type GrpcService, type HandlersOf } from "../../runtime/grpc/service.ts";
import type { ByteStreamHandler, GrpcListener, GrpcTransport } from "../../runtime/grpc/transport.ts";
import type { Log } from "../../runtime/telemetry/log.ts";
import { Metrics } from "../../runtime/telemetry/metrics.ts";
import { silentLog } from "./api.ts";

const identity = (bytes: Buffer): Buffer => bytes;
const coding = {
  requestSerialize: identity,
  requestDeserialize: (bytes: Buffer): Buffer => {
    if (bytes.toString() === "malformed") throw new Error("not a message");
    return bytes;
  },
  responseSerialize: identity,
  responseDeserialize: identity,
};
export const echo = {
  unary: { path: "/test.Echo/Unary", requestStream: false, responseStream: false, ...coding },
  upload: { path: "/test.Echo/Upload", requestStream: true, responseStream: false, ...coding },
  download: { path: "/test.Echo/Download", requestStream: false, responseStream: true, ...coding },
  chat: { path: "/test.Echo/Chat", requestStream: true, responseStream: true, ...coding },
} as const;

export interface EchoServer extends AsyncDisposable {
  readonly listener: GrpcListener;
  readonly address: string;
  readonly client: Client;
  readonly metrics: Metrics;
}

export interface EchoOptions {
  readonly handlers: HandlersOf<typeof echo>;
  readonly services?: readonly GrpcService[];
  readonly addresses?: readonly string[];
  readonly log?: Log;
  readonly unknown?: ByteStreamHandler;
  readonly transport?: GrpcTransport;
}

export const maxMessageBytes = 256 * 1024;

export async function serveEcho(options: EchoOptions): Promise<EchoServer> {
  const { handlers, services = [], addresses = ["127.0.0.1:0"], log = silentLog, unknown } = options;
  const { transport = http2Transport } = options;
  const open = new AsyncDisposableStack();
  const metrics = new Metrics();
  const all = [defineService(echo, handlers), ...services];
  const listener = open.use(
    await transport.serve({
      addresses,
      services: all,
      maxMessageBytes,
      appId: "app",
      log,
      metrics,
      ...(unknown === undefined ? {} : { unknown }),
    }),
  );
  const [address = ""] = listener.addresses;
  const client = new Client(address, credentials.createInsecure());
  open.defer(() => client.close());
  return { listener, address, client, metrics, [Symbol.asyncDispose]: () => open.disposeAsync() };
}

/** Resolves once the client has a connection, so that nothing of a first call hangs on how it is made. */
export function connected(client: Client): Promise<void> {
  return new Promise((resolve, reject) => {
    client.waitForReady(Date.now() + 10_000, (error) => (error === undefined ? resolve() : reject(error)));
  });
}

/** What a unary call came to. */
export interface Answer {
  readonly code: number;
  readonly details: string;
  readonly data: string;
}

export function ask(
  client: Client,
  data: string | Buffer,
  { metadata, deadlineMs }: { metadata?: Metadata; deadlineMs?: number } = {},
  { path }: MethodDefinition<Buffer, Buffer> = echo.unary,
): Promise<Answer> {
  return new Promise((resolve) => {
    const options = deadlineMs === undefined ? {} : { deadline: deadlineMs };
    const done = (error: ServiceError | null, response?: Buffer): void =>
      resolve({ code: error?.code ?? 0, details: error?.details ?? "", data: response?.toString() ?? "" });
    if (metadata === undefined) client.makeUnaryRequest(path, identity, identity, Buffer.from(data), options, done);
    else client.makeUnaryRequest(path, identity, identity, Buffer.from(data), metadata, options, done);
  });
}

/** Opens a bidirectional stream; `ended` is its status. */
export function chat(client: Client) {
  const stream = client.makeBidiStreamRequest(echo.chat.path, identity, identity);
  return { stream, ended: statusOf(stream) };
}

/** Resolves with the code of the status of a stream that is read from. */
export function statusOf(stream: NodeJS.EventEmitter): Promise<number> {
  stream.on("error", () => undefined);
  return new Promise((resolve) => stream.once("status", ({ code }: { code: number }) => resolve(code)));
}

/** Lets everything that is ready to run do so, again and again. */
export async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn++) await new Promise((resolve) => setImmediate(resolve));
}
