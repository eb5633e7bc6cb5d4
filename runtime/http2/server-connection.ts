import type { Socket } from "node:net";
import { Connection } from "./connection.ts";
import { ConnectionError, errorCode } from "./error-code.ts";
import { largestStreamId } from "./frame.ts";
import { HeaderBlock } from "./header-block.ts";
import { defaultLimits } from "./limits.ts";
import { sectionFacts } from "./message-rules.ts";
import type { Role } from "./role.ts";
import { setting, writeSettings } from "./settings.ts";
import { SkippedIds } from "./skipped-ids.ts";
import { Stream } from "./stream.ts";
import type { Http2Connection, Http2ServerOptions, StreamReceiver } from "./stream-contract.ts";

const tooLargeHead = HeaderBlock.of(":status", "431", "content-length", "0");
/** Before `onStream` has answered nobody listens. */
const nobody: StreamReceiver = {
  headers: () => undefined,
  data: () => undefined,
  trailers: () => undefined,
  fault: () => undefined,
  drained: () => undefined,
};

/** Serves HTTP/2 on an accepted socket, with prior knowledge or after ALPN (RFC 9113, section 3). */
export function serveHttp2(socket: Socket, options: Http2ServerOptions): Http2Connection {
  const limits = { ...defaultLimits, ...options.limits };
  const role = new ServerRole(options);
  const connection = new Connection(socket, limits, role);
  role.attach(connection);
  writeSettings(connection.writer, [
    [setting.MAX_CONCURRENT_STREAMS, limits.maxConcurrentStreams],
    [setting.INITIAL_WINDOW_SIZE, limits.streamWindowBytes],
    [setting.MAX_HEADER_LIST_SIZE, limits.maxHeaderListBytes],
    [setting.MAX_FRAME_SIZE, limits.maxFrameBytes],
  ]);
  connection.window.announce(limits.connectionWindowBytes);
  if (options.received !== undefined && options.received.length > 0) connection.read(options.received);
  return connection;
}

class ServerRole implements Role {
  readonly isServer = true;
  readonly #options: Http2ServerOptions;
  readonly #skipped = new SkippedIds();
  #connection: Connection | undefined;
  #lastId = 0;
  /** Streams above it are not served any more. */
  #lastServedId = largestStreamId;

  constructor(options: Http2ServerOptions) {
    this.#options = options;
  }

  attach(connection: Connection): void {
    this.#connection = connection;
  }

  get lastPeerStreamId(): number {
    return Math.min(this.#lastId, this.#lastServedId);
  }

  isIdle(id: number): boolean {
    return id > this.#lastId || id % 2 === 0;
  }

  opened(id: number, block: HeaderBlock | undefined, endStream: boolean): void {
    const connection = this.#connection;
    if (connection === undefined) return;
    if (id % 2 === 0) throw new ConnectionError(errorCode.PROTOCOL_ERROR, `a client cannot open stream ${id}`);
    if (id <= this.#lastId) {
      if (this.#skipped.has(id))
        throw new ConnectionError(errorCode.PROTOCOL_ERROR, `stream ${id} comes after a later one`);
      throw new ConnectionError(errorCode.STREAM_CLOSED, `HEADERS for stream ${id}, which is closed`);
    }
    this.#skipped.opened(id, this.#lastId);
    this.#lastId = id;
    if (id > this.#lastServedId) {
      connection.ignore(id);
      return;
    }
    if (connection.activeStreams >= connection.limits.maxConcurrentStreams) {
      connection.refuse(id, errorCode.REFUSED_STREAM);
      return;
    }
    if (block === undefined) {
      this.#refuseHead(connection, id, endStream);
      return;
    }
    const { fault, contentLength } = sectionFacts(block, "request");
    if (fault !== undefined || (endStream && contentLength > 0)) {
      connection.refuse(id, errorCode.PROTOCOL_ERROR);
      return;
    }
    const stream = new Stream(id, connection, nobody);
    stream.hasHead = true;
    stream.expectedBytes = contentLength;
    if (endStream) stream.isReceived = true;
    connection.add(stream);
    try {
      stream.receiver = this.#options.onStream(stream, block, endStream);
    } catch (error) {
      stream.reset(errorCode.INTERNAL_ERROR);
      this.threw(error);
    }
  }

  headed(): void {
    throw new ConnectionError(errorCode.INTERNAL_ERROR, "a request without a head");
  }

  settingsCame(): void {
    // A client's limit of streams is about pushed ones, of which there are none.
  }

  drained(): void {
    this.#lastServedId = this.#lastId;
  }

  goneAway(): void {
    // The client begins no more streams; those it began are served.
  }

  streamClosed(): void {
    if (this.#lastServedId !== largestStreamId) this.#connection?.endIfDrained();
  }

  closed(fault: Error | undefined): void {
    if (this.#connection !== undefined) this.#options.onClose?.(this.#connection, fault);
  }

  threw(error: unknown): void {
    this.#options.onReceiverError?.(error);
  }

  /** RFC 6585, section 5; the rest of the request is not wanted (RFC 9113, section 8.1). */
  #refuseHead(connection: Connection, id: number, endStream: boolean): void {
    connection.flood.count("requests with too large a head");
    const stream = new Stream(id, connection, nobody);
    stream.hasHead = true;
    stream.isReceived = endStream;
    connection.add(stream);
    stream.sendHeaders(tooLargeHead, true);
    stream.reset(errorCode.NO_ERROR);
  }
}
