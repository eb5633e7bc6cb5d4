import { proxy_done, proxy_send_local_response } from "./abi";
import { Action, PeerType } from "./abi-types";
import { Context } from "./context";
import { encodePairs, Headers } from "./headers";
import { Connection, downstream, Message, request, response, upstream } from "./message";
import { Plugin } from "./plugin";
import { StatusCode } from "./status";
import { encodeBuffer, encodeText } from "./text";

/** One stream, whatever plugin it belongs to; extend `Filter`, `Service`, or their forms with a configuration, `FilterOf` and `ServiceOf`. */
export abstract class Stream extends Context {
  /** The plugin that the stream belongs to. */
  owner: Plugin | null = null;

  /** Makes the plugin that streams of this class belong to. */
  abstract createPlugin(): Plugin;

  /** The request. Its body and trailers are there only in their callbacks. */
  @inline
  get request(): Message {
    return request;
  }

  /** The response; its headers can be changed from `onResponseHeaders` on. */
  @inline
  get response(): Message {
    return response;
  }

  /** Of a TCP connection, what comes from the client. */
  @inline
  get downstream(): Connection {
    return downstream;
  }

  /** Of a TCP connection, what comes from the upstream. */
  @inline
  get upstream(): Connection {
    return upstream;
  }

  /** The head of the request is there; `endOfStream` when it is all of it. */
  onRequestHeaders(endOfStream: bool): Action {
    return Action.Continue;
  }
  /** `size` bytes of the body are there: this piece, or everything since the first pause. */
  onRequestBody(size: i32, endOfStream: bool): Action {
    return Action.Continue;
  }
  /** The trailers of the request are there, and with them its end. */
  onRequestTrailers(): Action {
    return Action.Continue;
  }
  /** The head of the response is there; `endOfStream` when it is all of it. */
  onResponseHeaders(endOfStream: bool): Action {
    return Action.Continue;
  }
  /** `size` bytes of the body are there: this piece, or everything since the first pause. */
  onResponseBody(size: i32, endOfStream: bool): Action {
    return Action.Continue;
  }
  /** The trailers of the response are there, and with them its end. */
  onResponseTrailers(): Action {
    return Action.Continue;
  }

  /** A TCP client connected. `Pause` keeps the upstream unconnected until its first data may pass, or `resume`. */
  onNewConnection(): Action {
    return Action.Continue;
  }
  /** `size` bytes of the client are there, this piece or everything since the first pause; `endOfStream` when it says no more. */
  onDownstreamData(size: i32, endOfStream: bool): Action {
    return Action.Continue;
  }
  /** The client's connection is closed; `peer` says which end did it. */
  onDownstreamClose(peer: PeerType): void {}
  /** `size` bytes of the upstream are there, this piece or everything since the first pause; `endOfStream` when it says no more. */
  onUpstreamData(size: i32, endOfStream: bool): Action {
    return Action.Continue;
  }
  /** The upstream's connection is closed; `peer` says which end did it. */
  onUpstreamClose(peer: PeerType): void {}

  /** The stream ended. False keeps it until `finish` is called. */
  onDone(): bool {
    return true;
  }

  /** The last moment to look at the stream, for a log line of one's own. */
  onLog(): void {}

  /**
   * Answers in place of what lies behind; the stream goes no further, whatever the callback returns. `details` is a word
   * for the access log. Without effect once response headers went to the client.
   */
  respond(
    status: u32,
    headers: Headers | null = null,
    body: Uint8Array | null = null,
    details: string = "",
    grpcStatus: i32 = -1,
  ): void {
    const pairs = encodePairs(headers === null ? new Headers() : headers);
    const reason = encodeBuffer(details);
    const content = body === null ? <usize>0 : body.dataStart;
    const contentSize = body === null ? 0 : body.byteLength;
    proxy_send_local_response(
      status,
      changetype<usize>(reason), reason.byteLength,
      content, contentSize,
      changetype<usize>(pairs), pairs.byteLength,
      grpcStatus,
    );
  }

  /** Answers with a line of text. */
  respondText(status: u32, text: string, details: string = ""): void {
    this.respond(status, new Headers().add("content-type", "text/plain; charset=utf-8"), encodeText(text), details);
  }

  /**
   * Answers a gRPC call with a status other than OK, and a sentence for the caller. To a request that is none of gRPC it is a
   * response with `httpStatus` and the sentence as its body.
   */
  respondGrpc(code: StatusCode, message: string, httpStatus: u32 = 500): void {
    this.respond(httpStatus, null, encodeText(message), "", <i32>code);
  }

  /** Lets the stream go after an `onDone` that answered false. */
  finish(): void {
    this.use();
    proxy_done();
  }
}

/** A rule on traffic with a configuration: override the callbacks you need. `P` is the class that holds what its streams share. */
export abstract class FilterOf<P extends Plugin> extends Stream {
  /** The plugin with its configuration, shared by all its streams. */
  get plugin(): P {
    return changetype<P>(this.owner); // `createPlugin` made it
  }

  createPlugin(): Plugin {
    return instantiate<P>();
  }
}

/** A rule on traffic without a configuration: override the callbacks you need. */
export abstract class Filter extends FilterOf<Plugin> {}
