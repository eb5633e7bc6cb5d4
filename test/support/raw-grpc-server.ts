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

export interface RawServerOptions extends ServerOptions {
  /** `host:port` or `unix:/path`; default: a free port. */
  readonly listen?: string;
  readonly credentials?: ServerCredentials;
}

/** Serves; disposing cuts off what is left. */
export async function rawGrpcServer(handlers: RawHandlers, options: RawServerOptions = {}): Promise<RawServer> {
  const { listen = "127.0.0.1:0", credentials = ServerCredentials.createInsecure(), ...serverOptions } = options;
  const server = new Server(serverOptions);
  server.addService(definition, { ...handlers });
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync(listen, credentials, (error, bound) => (error === null ? resolve(bound) : reject(error)));
  });
  return {
    address: listen.startsWith("unix:") ? listen : `127.0.0.1:${port}`,
    async [Symbol.asyncDispose]() {
      server.forceShutdown();
    },
  };
}
