/** Calls of our gRPC client, and strangers that answer them. */
import { once } from "node:events";
import http2 from "node:http2";
import type { AddressInfo } from "node:net";
import type { AnswerSection } from "../../runtime/grpc/answer-section.ts";
import type { CallStatus } from "../../runtime/grpc/call-status.ts";
import type { CallReceiver } from "../../runtime/grpc/client-call.ts";
import { GrpcChannel, type GrpcChannelOptions } from "../../runtime/grpc/client-channel.ts";
import { type RawHandlers, rawGrpcServer } from "./raw-grpc-server.ts";

/** What the channels allow. */
export const maxMessageBytes = 4 * 1024 ** 2;
/** A channel to the address. */
export const channelTo = (address: string, options: Partial<GrpcChannelOptions> = {}): GrpcChannel =>
  new GrpcChannel({ address, maxMessageBytes, ...options });

/** A channel and what it leads to. */
export interface Rig extends AsyncDisposable {
  readonly address: string;
  readonly channel: GrpcChannel;
}

/** A stranger that serves, and a channel to it. */
export async function serving(handlers: RawHandlers, options: Parameters<typeof rawGrpcServer>[1] = {}): Promise<Rig> {
  const open = new AsyncDisposableStack();
  const { address } = open.use(await rawGrpcServer(handlers, options));
  const channel = open.use(channelTo(address));
  return { address, channel, [Symbol.asyncDispose]: () => open.disposeAsync() };
}

/** A server of Node's HTTP/2 that need not speak gRPC, and a channel to it. */
export async function answering(onStream: (stream: http2.ServerHttp2Stream) => void): Promise<Rig> {
  const open = new AsyncDisposableStack();
  const server = http2.createServer().on("stream", (stream: http2.ServerHttp2Stream) => {
    stream.on("error", () => undefined);
    onStream(stream);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  open.defer(() => new Promise<void>((resolve) => void server.close(() => resolve())));
  const channel = open.use(channelTo(address));
  return { address, channel, [Symbol.asyncDispose]: () => open.disposeAsync() };
}

/** A message. */
export const hello = Buffer.from("hello");
/** The unary method of a raw server. */
export const unaryPath = "/test.Raw/Unary";

/** Hears a call and tells of it. */
export class CallListener implements CallReceiver {
  readonly messages: Buffer[] = [];
  readonly ending: Promise<CallStatus>;
  metadata: AnswerSection["metadata"] | undefined;
  onMessage: (bytes: Buffer) => void = () => undefined;
  onDrained: () => void = () => undefined;
  readonly #end: (status: CallStatus) => void;

  constructor() {
    const { promise, resolve } = Promise.withResolvers<CallStatus>();
    this.ending = promise;
    this.#end = resolve;
  }

  head(section: AnswerSection): void {
    this.metadata = section.metadata;
  }

  message(bytes: Buffer): void {
    this.messages.push(bytes);
    this.onMessage(bytes);
  }

  drained(): void {
    this.onDrained();
  }

  ended(status: CallStatus): void {
    this.#end(status);
  }
}
