import http from "node:http";
import type net from "node:net";
import type { ConnectionFacts, Failure, RequestSink, ResponseSink, Serve } from "../proxy/exchange.ts";
import { HeaderList, statusOf } from "../proxy/headers.ts";
import { isHopByHop } from "../proxy/hop-by-hop.ts";
import type { Http1Head } from "./http1-request.ts";

/** Longest request that is read to its end, and dropped, when its answer came before that end. */
const droppedBytes = 64 * 1024;
/** How long a connection stays readable after an answer that came before the end of its request. */
const lingerMs = 1_000;

/** One request on a connection, between node:http and a RequestSink. */
export class Http1Exchange implements ResponseSink {
  readonly #request: http.IncomingMessage;
  readonly #response: http.ServerResponse;
  readonly #head: Http1Head;
  readonly #draining: () => boolean;
  #sink: RequestSink | undefined;
  #requestEnded: boolean;
  #answered = false;
  #over = false;
  #slow = false;
  #wroteBody = false;

  constructor(request: http.IncomingMessage, response: http.ServerResponse, head: Http1Head, draining: () => boolean) {
    this.#request = request;
    this.#response = response;
    this.#head = head;
    this.#requestEnded = head.endOfStream;
    this.#draining = draining;
  }

  /** Whether the head of the response was sent. */
  get answered(): boolean {
    return this.#answered;
  }

  begin(serve: Serve, connection: ConnectionFacts): void {
    const { headers, endOfStream } = this.#head;
    const gone = () => this.disconnected();
    this.#response.on("close", gone);
    this.#response.on("error", gone);
    this.#request.on("error", gone);
    this.#response.on("drain", () => {
      if (!this.#slow) return;
      this.#slow = false;
      this.#sink?.resume();
    });
    this.#sink = serve(connection, headers, endOfStream, this);
    if (!endOfStream) this.#receive(this.#sink);
  }

  head(headers: HeaderList, endOfStream: boolean): void {
    if (this.#over || this.#answered) return;
    this.#answered = true;
    const response = this.#response;
    const status = statusOf(headers) ?? 500;
    // A short rest of a request is read and dropped; a long one is not worth the connection.
    const rest = this.#requestEnded ? 0 : (this.#head.declared ?? Number.POSITIVE_INFINITY);
    const unwanted = rest > droppedBytes || (rest > 0 && status === 408);
    if (unwanted) lingerAfterEnd(this.#request.socket);
    if (unwanted || this.#draining()) response.shouldKeepAlive = false;
    const bodiless = this.#request.method === "HEAD" || status === 204 || status === 304;
    response.writeHead(status, http.STATUS_CODES[status] ?? "", fieldsOf(headers, status, endOfStream && !bodiless));
    if (endOfStream) this.#end();
    // A body that comes at once goes out in one write with the head; one that does not must not hold the head back.
    else setImmediate(flushHead, this);
  }

  data(chunk: Uint8Array, endOfStream: boolean): void {
    if (this.#over) return;
    this.#wroteBody = true;
    if (endOfStream) {
      this.#end(chunk);
      return;
    }
    if (chunk.length === 0 || this.#response.write(chunk) || this.#slow) return;
    this.#slow = true;
    this.#sink?.pause();
  }

  trailers(trailers: HeaderList): void {
    if (this.#over) return;
    this.#response.addTrailers(trailers.entries().map(([name, value]): [string, string] => [name, value]));
    this.#end();
  }

  reset(_failure: Failure): void {
    if (this.#over) return;
    this.#over = true;
    const { socket } = this.#request;
    // Where the end of the connection is the end of the body, only a reset tells that it is not whole.
    if (this.#request.httpVersion === "1.0") socket.resetAndDestroy();
    else socket.destroy();
  }

  pause(): void {
    if (!this.#requestEnded) this.#request.pause();
  }

  resume(): void {
    if (!this.#requestEnded) this.#request.resume();
  }

  flush(): void {
    if (!this.#over && !this.#wroteBody) this.#response.flushHeaders();
  }

  #receive(sink: RequestSink): void {
    const request = this.#request;
    let left = this.#head.declared;
    request.on("data", (chunk: Uint8Array) => {
      if (left !== undefined) left -= chunk.length;
      if (left === 0) this.#requestEnded = true;
      sink.data(chunk, this.#requestEnded);
    });
    request.on("end", () => {
      if (this.#requestEnded || !request.complete) return;
      this.#requestEnded = true;
      if (request.rawTrailers.length > 0) sink.trailers(HeaderList.fromRaw(request.rawTrailers));
      else sink.data(new Uint8Array(0), true);
    });
  }

  #end(chunk?: Uint8Array): void {
    this.#over = true;
    if (chunk === undefined) this.#response.end();
    else this.#response.end(chunk);
    // What is left of the request is read and dropped, so that the client comes to reading the answer.
    if (!this.#requestEnded) this.#request.resume();
  }

  /** The connection is gone; what could not be sent is not wanted any more. */
  disconnected(): void {
    if (this.#over) return;
    this.#over = true;
    this.#sink?.reset();
  }
}

function flushHead(exchange: Http1Exchange): void {
  exchange.flush();
}

/** The head as it goes on the wire; framing is decided here and nowhere else. */
function fieldsOf(headers: HeaderList, status: number, empty: boolean): string[] {
  const fields: string[] = [];
  const flat = headers.flat;
  let declared = false;
  for (let at = 0; at < flat.length; at += 2) {
    const name = flat[at] ?? "";
    const value = flat[at + 1] ?? "";
    if (name.startsWith(":") || isHopByHop(name)) continue;
    if (name === "content-length") {
      if (declared || status === 204 || (empty && value !== "0")) continue;
      declared = true;
    }
    fields.push(name, value);
  }
  if (empty && !declared) fields.push("content-length", "0");
  return fields;
}

/**
 * Closing at once while the client still sends makes its kernel throw away the answer; so the connection is closed for
 * writing first, and read for a moment more.
 */
export function lingerAfterEnd(socket: net.Socket): void {
  socket.destroySoon = () => {
    socket.end();
    const timer = setTimeout(() => socket.destroy(), lingerMs);
    socket.once("close", () => clearTimeout(timer));
    socket.once("end", () => socket.destroy());
  };
}
