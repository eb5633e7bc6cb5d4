/** The application behind the sidecar of a soak: an echo over HTTP/1.1 and over gRPC, on servers that are not ours. */
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import {
  Server,
  ServerCredentials,
  type ServerDuplexStream,
  type ServerUnaryCall,
  type ServerWritableStream,
  type sendUnaryData,
} from "@grpc/grpc-js";

const asIs = (bytes: Buffer): Buffer => bytes;
const raw = {
  requestSerialize: asIs,
  requestDeserialize: asIs,
  responseSerialize: asIs,
  responseDeserialize: asIs,
} as const;

/** Messages are octets. `many` answers each request with `manyAnswers` of it. */
export const echoDefinition = {
  unary: { path: "/soak.Echo/Unary", requestStream: false, responseStream: false, ...raw },
  many: { path: "/soak.Echo/Many", requestStream: false, responseStream: true, ...raw },
  both: { path: "/soak.Echo/Both", requestStream: true, responseStream: true, ...raw },
} as const;
export const manyAnswers = 20;

export interface Application extends AsyncDisposable {
  readonly http: string;
  readonly grpc: string;
}

export async function startApplication(): Promise<Application> {
  const http = createServer((request: IncomingMessage, response: ServerResponse) => {
    response.writeHead(200, { "content-type": "application/octet-stream", "x-path": request.url ?? "" });
    request.pipe(response);
  });
  http.listen(0, "127.0.0.1");
  await once(http, "listening");
  const address = http.address();
  if (address === null || typeof address === "string") throw new Error("the application has no port");

  const grpc = new Server({ "grpc.max_receive_message_length": -1 });
  grpc.addService(echoDefinition, {
    unary: ({ request }: ServerUnaryCall<Buffer, Buffer>, callback: sendUnaryData<Buffer>) => callback(null, request),
    many: (call: ServerWritableStream<Buffer, Buffer>) => {
      for (let sent = 0; sent < manyAnswers; sent++) call.write(call.request);
      call.end();
    },
    both: (call: ServerDuplexStream<Buffer, Buffer>) => {
      call.on("data", (message: Buffer) => call.write(message));
      call.on("end", () => call.end());
      call.on("error", () => undefined);
    },
  });
  const port = await new Promise<number>((resolve, reject) =>
    grpc.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, at) =>
      error ? reject(error) : resolve(at),
    ),
  );
  return {
    http: `127.0.0.1:${address.port}`,
    grpc: `127.0.0.1:${port}`,
    async [Symbol.asyncDispose]() {
      grpc.forceShutdown();
      http.closeAllConnections();
      http.close();
    },
  };
}
