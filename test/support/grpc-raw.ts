/** gRPC by hand over node:http2, for what a gRPC client would never send, and to read only as much as one wants. */
import { once } from "node:events";
import http2 from "node:http2";

export interface RawClient extends Disposable {
  /** Begins a request. It carries the headers of gRPC; `headers` change them, undefined leaves one out. */
  request(path: string, headers?: http2.OutgoingHttpHeaders): http2.ClientHttp2Stream;
}

export function rawClient(address: string): RawClient {
  const session = http2.connect(`http://${address}`);
  session.on("error", () => undefined);
  return {
    request: (path, headers = {}) =>
      session.request({
        ":method": "POST",
        ":path": path,
        "content-type": "application/grpc",
        te: "trailers",
        ...headers,
      }),
    [Symbol.dispose]: () => session.destroy(),
  };
}

/** A Length-Prefixed-Message. */
export function framed(message: Buffer | string, flag = 0): Buffer {
  const bytes = Buffer.from(message);
  const prefix = Buffer.from([flag, 0, 0, 0, 0]);
  prefix.writeUInt32BE(bytes.length, 1);
  return Buffer.concat([prefix, bytes]);
}

/** A whole answer: `status` is that of gRPC, of trailers or of a head that is all. */
export interface RawAnswer {
  readonly head: http2.IncomingHttpHeaders & http2.IncomingHttpStatusHeader;
  readonly body: Buffer;
  readonly status: string | undefined;
  readonly message: string;
  readonly trailers: http2.IncomingHttpHeaders;
}

/** Reads the answer to its end. */
export async function answerOf(stream: http2.ClientHttp2Stream): Promise<RawAnswer> {
  let trailers: http2.IncomingHttpHeaders = {};
  stream.on("trailers", (received) => {
    trailers = received;
  });
  const [[head], body] = await Promise.all([once(stream, "response"), Array.fromAsync(stream)]);
  const last: http2.IncomingHttpHeaders = "grpc-status" in head ? head : trailers;
  const text = last["grpc-message"];
  return {
    head,
    trailers,
    body: Buffer.concat(body),
    status: last["grpc-status"]?.toString(),
    message: decodeURIComponent(typeof text === "string" ? text : ""),
  };
}
