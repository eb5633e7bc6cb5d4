import {
  Metadata,
  Server,
  ServerCredentials,
  type ServerDuplexStream,
  type ServerUnaryCall,
  type sendUnaryData,
  status,
} from "@grpc/grpc-js";
import { echo } from "./grpc-echo.ts";

/** Serves `test.Echo` of grpc-echo.ts: says what it is told, and to whom; `nothing` is not found. */
export async function serveGrpcParrot(): Promise<{ readonly address: string } & AsyncDisposable> {
  const server = new Server();
  server.addService(
    { Unary: echo.unary, Chat: echo.chat },
    {
      Unary: (call: ServerUnaryCall<Buffer, Buffer>, answer: sendUnaryData<Buffer>) => {
        if (call.request.toString() === "nothing") answer({ code: status.NOT_FOUND, details: "there is nothing" });
        else answer(null, Buffer.from(`${call.request} for ${call.metadata.get("x-from")}`));
      },
      Chat: (stream: ServerDuplexStream<Buffer, Buffer>) => {
        const [from = ""] = stream.metadata.get("x-from");
        stream.sendMetadata(metadata("x-to", String(from)));
        stream.on("data", (message: Buffer) => stream.write(message));
        stream.on("end", () => stream.end(metadata("x-end", "over")));
      },
    },
  );
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, port) =>
      error === null ? resolve(port) : reject(error),
    );
  });
  return { address: `127.0.0.1:${port}`, [Symbol.asyncDispose]: async () => server.forceShutdown() };
}

function metadata(name: string, value: string): Metadata {
  const fields = new Metadata();
  fields.set(name, value);
  return fields;
}
