/** The services of gRPC's interoperability tests, served by a transport of the runtime's (grpc/doc/interop-test-descriptions.md). */
import { setTimeout } from "node:timers/promises";
import type { CallContext } from "../../components/component.ts";
import { RuntimeError } from "../../components/error.ts";
import { type BidiStream, defineService } from "../../runtime/grpc/service.ts";
import { errorCodeOf } from "../../runtime/grpc/status.ts";
import type { GrpcTransport } from "../../runtime/grpc/transport.ts";
import { Metrics } from "../../runtime/telemetry/metrics.ts";
import { silentLog } from "./api.ts";
import {
  type EchoStatus,
  emptyMessage,
  type InteropRequest,
  outputRequest,
  payloadMessage,
  simpleRequest,
  sizeMessage,
} from "./grpc-interop-messages.ts";

interface Message<Q, In> {
  readonly encode: (message: In) => Buffer;
  readonly decode: (bytes: Uint8Array) => Q;
}

const method = <Q, QIn, R, RIn, In extends boolean, Out extends boolean>(
  name: string,
  requestStream: In,
  responseStream: Out,
  request: Message<Q, QIn>,
  response: Message<R, RIn>,
) => ({
  path: `/grpc.testing.TestService/${name}`,
  requestStream,
  responseStream,
  requestSerialize: request.encode,
  requestDeserialize: request.decode,
  responseSerialize: response.encode,
  responseDeserialize: response.decode,
});

/** TestService as a generated definition would have it. */
export const testService = {
  emptyCall: method("EmptyCall", false, false, emptyMessage, emptyMessage),
  unaryCall: method("UnaryCall", false, false, simpleRequest, payloadMessage),
  streamingOutputCall: method("StreamingOutputCall", false, true, outputRequest, payloadMessage),
  streamingInputCall: method("StreamingInputCall", true, false, payloadMessage, sizeMessage),
  fullDuplexCall: method("FullDuplexCall", true, true, outputRequest, payloadMessage),
  unimplementedCall: method("UnimplementedCall", false, false, emptyMessage, emptyMessage),
} as const;

/** A method of a service that no server has. */
export const unknownMethod = {
  ...method("UnimplementedCall", false, false, emptyMessage, emptyMessage),
  path: "/grpc.testing.UnimplementedService/UnimplementedCall",
} as const;

/** Keys whose values travel back as they came, with the head and with the trailers. */
export const echoed = { initial: "x-grpc-test-echo-initial", trailing: "x-grpc-test-echo-trailing-bin" };

function echo(call: CallContext): void {
  const of = (name: string) => (call.metadata ?? []).filter(([key]) => key === name);
  const initial = of(echoed.initial);
  if (initial.length > 0) call.sendMetadata?.(initial);
  call.setTrailingMetadata?.(of(echoed.trailing));
}

function throwAsked(status: EchoStatus | undefined): void {
  if (status === undefined || status.code === 0) return;
  const code = errorCodeOf(status.code);
  if (code !== "OK") throw new RuntimeError(code, "ASKED", status.message);
}

async function answer(
  { responses, responseStatus }: InteropRequest,
  { call, write }: Pick<BidiStream<InteropRequest, Uint8Array>, "call" | "write">,
): Promise<void> {
  throwAsked(responseStatus);
  for (const { size, intervalUs } of responses) {
    if (intervalUs > 0) await setTimeout(intervalUs / 1000, undefined, { signal: call.signal });
    await write(new Uint8Array(size));
  }
}

export const interopService = defineService(testService, {
  emptyCall: async () => ({}),
  async unaryCall({ responseSize, responseStatus }, call) {
    echo(call);
    throwAsked(responseStatus);
    return new Uint8Array(responseSize);
  },
  streamingOutputCall: (request, stream) => answer(request, stream),
  async streamingInputCall(requests) {
    let size = 0;
    for await (const body of requests) size += body.length;
    return size;
  },
  async fullDuplexCall(stream) {
    echo(stream.call);
    for await (const request of stream.requests) await answer(request, stream);
  },
});

export interface InteropServer extends AsyncDisposable {
  /** `host:port`. */
  readonly address: string;
}

export async function serveInterop(transport: GrpcTransport): Promise<InteropServer> {
  const listener = await transport.serve({
    addresses: ["127.0.0.1:0"],
    services: [interopService],
    maxMessageBytes: 4 * 1024 ** 2,
    appId: "interop",
    log: silentLog,
    metrics: new Metrics(),
  });
  const [address = ""] = listener.addresses;
  return { address, [Symbol.asyncDispose]: () => listener[Symbol.asyncDispose]() };
}
