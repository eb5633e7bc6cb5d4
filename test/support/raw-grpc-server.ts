/** A gRPC server of grpc-js whose messages are bytes, as a stranger for our client. */
import {
  type handleBidiStreamingCall,
  type handleClientStreamingCall,
  type handleServerStreamingCall,
  type handleUnaryCall,
  type MethodDefinition,
  Server,
  ServerCredentials,
  type ServerOptions,
} from "@grpc/grpc-js";

/** Handlers of `/test.Raw/Unary`, `ServerStream`, `ClientStream` and `Bidi`. */
export interface RawHandlers {
  readonly unary?: handleUnaryCall<Buffer, Buffer>;
  readonly serverStream?: handleServerStreamingCall<Buffer, Buffer>;
  readonly clientStream?: handleClientStreamingCall<Buffer, Buffer>;
  readonly bidi?: handleBidiStreamingCall<Buffer, Buffer>;
}

export interface RawServer extends AsyncDisposable {
  /** `host:port`. */
  readonly address: string;
}

const identity = (bytes: Buffer): Buffer => bytes;
const rawMethod = (
  name: string,
  requestStream: boolean,
  responseStream: boolean,
): MethodDefinition<Buffer, Buffer> => ({
  path: `/test.Raw/${name}`,
  requestStream,
  responseStream,
  requestSerialize: identity,
  requestDeserialize: identity,
  responseSerialize: identity,
  responseDeserialize: identity,
});

const definition = {
  unary: rawMethod("Unary", false, false),
  serverStream: rawMethod("ServerStream", false, true),
  clientStream: rawMethod("ClientStream", true, false),
  bidi: rawMethod("Bidi", true, true),
};

/** Serves on a free port; disposing cuts off what is left. */
export async function rawGrpcServer(handlers: RawHandlers, options: ServerOptions = {}): Promise<RawServer> {
  const server = new Server(options);
  server.addService(definition, { ...handlers });
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    );
  });
  return {
    address: `127.0.0.1:${port}`,
    async [Symbol.asyncDispose]() {
      server.forceShutdown();
    },
  };
}
