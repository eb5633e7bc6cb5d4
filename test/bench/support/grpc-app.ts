/** The application behind the proxies: answers each call with the value of the state call, for as little CPU as can be. */
import { GetStateResponse } from "../../../proto/gen/spec/proto/runtime/v1/runtime.ts";
import { HeaderBlock } from "../../../runtime/http2/header-block.ts";
import { serveHttp2 } from "../../../runtime/http2/server-connection.ts";
import type { Http2Stream, StreamReceiver } from "../../../runtime/http2/stream-contract.ts";
import { listen } from "../../../runtime/listen.ts";
import { lengthPrefixed } from "./grpc-probe.ts";
import { value } from "./state-call.ts";

const head = HeaderBlock.of(":status", "200", "content-type", "application/grpc");
const trailers = HeaderBlock.of("grpc-status", "0");
const answer = lengthPrefixed(GetStateResponse.encode(GetStateResponse.fromPartial({ data: value })).finish());

function respond(stream: Http2Stream): void {
  stream.sendHeaders(head, false);
  stream.sendData(answer, 0, answer.length, false);
  stream.sendHeaders(trailers, true);
}

function onStream(stream: Http2Stream, _headers: HeaderBlock, endStream: boolean): StreamReceiver {
  if (endStream) respond(stream);
  return {
    headers: () => undefined,
    data: (_bytes, _start, _end, last) => {
      if (last) respond(stream);
    },
    trailers: () => respond(stream),
    fault: () => undefined,
    drained: () => undefined,
  };
}

const { address } = await listen("127.0.0.1:0", (socket) => void serveHttp2(socket, { onStream }));
console.log(`serves ${address}`);
