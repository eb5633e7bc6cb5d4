import type { Socket } from "node:net";
import { Connection } from "./connection.ts";
import { ConnectionError, errorCode } from "./error-code.ts";
import { largestStreamId, preface } from "./frame.ts";
import type { HeaderBlock } from "./header-block.ts";
import { defaultLimits } from "./limits.ts";
import { sectionFacts } from "./message-rules.ts";
import type { Role } from "./role.ts";
import { setting, writeSettings } from "./settings.ts";
import { Stream } from "./stream.ts";
import type {
  Http2ClientConnection,
  Http2ClientOptions,
  Http2Limits,
  Http2Stream,
  StreamReceiver,
} from "./stream-contract.ts";

/** What peers usually allow; their SETTINGS tell (RFC 9113, section 5.1.2). */
const streamsBeforeSettings = 100;

/** Speaks HTTP/2 to the peer of a socket, which may still be connecting. */
export function connectHttp2(socket: Socket, options: Http2ClientOptions): Http2ClientConnection {
  return new ClientConnection(socket, { ...defaultLimits, ...options.limits }, options);
}

class ClientConnection implements Http2ClientConnection, Role {
  readonly isServer = false;
  readonly lastPeerStreamId = 0;
  readonly #connection: Connection;
  readonly #options: Http2ClientOptions;
  #nextId = 1;
  #maxStreams = streamsBeforeSettings;
  #isGoingAway = false;

  constructor(socket: Socket, limits: Http2Limits, options: Http2ClientOptions) {
    this.#options = options;
    const connection = new Connection(socket, limits, this);
    this.#connection = connection;
    connection.writer.raw(preface);
    writeSettings(connection.writer, [
      [setting.ENABLE_PUSH, 0],
      [setting.INITIAL_WINDOW_SIZE, limits.streamWindowBytes],
      [setting.MAX_HEADER_LIST_SIZE, limits.maxHeaderListBytes],
      [setting.MAX_FRAME_SIZE, limits.maxFrameBytes],
    ]);
    connection.window.announce(limits.connectionWindowBytes);
  }

  get remoteAddress(): string {
    return this.#connection.remoteAddress;
  }

  get localAddress(): string {
    return this.#connection.localAddress;
  }

  get activeStreams(): number {
    return this.#connection.activeStreams;
  }

  get isClosed(): boolean {
    return this.#connection.isClosed;
  }

  get canRequest(): boolean {
    return this.#connection.activeStreams < this.#maxStreams && !this.isGoingAway;
  }

  get isGoingAway(): boolean {
    const { isClosed, isEnding } = this.#connection;
    return this.#isGoingAway || isEnding || isClosed || this.#nextId > largestStreamId;
  }

  request(headers: HeaderBlock, endStream: boolean, receiver: StreamReceiver): Http2Stream {
    if (!this.canRequest) throw new RangeError("the connection takes no more requests now");
    const stream = new Stream(this.#nextId, this.#connection, receiver);
    stream.asksHead = headers.get(":method") === "HEAD";
    this.#nextId += 2;
    this.#connection.add(stream);
    stream.sendHeaders(headers, endStream);
    if (this.#nextId > largestStreamId) this.#connection.drain();
    return stream;
  }

  suspect(sinceMs: number): void {
    this.#connection.suspect(sinceMs);
  }

  drain(): void {
    this.#connection.drain();
  }

  close(code: number, message: string): void {
    this.#connection.close(code, message);
  }

  isIdle(id: number): boolean {
    return id >= this.#nextId || id % 2 === 0;
  }

  opened(id: number): void {
    if (this.isIdle(id))
      throw new ConnectionError(errorCode.PROTOCOL_ERROR, `HEADERS for stream ${id}, which was not begun`);
    throw new ConnectionError(errorCode.STREAM_CLOSED, `HEADERS for stream ${id}, which is closed`);
  }

  headed(stream: Stream, block: HeaderBlock, endStream: boolean): void {
    const { fault, contentLength, status } = sectionFacts(block, "response");
    const isInterim = status >= 100 && status < 200;
    if (fault !== undefined || (isInterim && endStream)) {
      this.#connection.fail(stream, errorCode.PROTOCOL_ERROR, fault ?? "an interim response ends the stream");
      return;
    }
    if (isInterim) this.#connection.flood.count("interim responses");
    else {
      stream.hasHead = true;
      // An answer to HEAD and a 304 announce the length of a body that does not come.
      if (!endStream && !stream.asksHead && status !== 304) stream.expectedBytes = contentLength;
    }
    if (endStream) stream.isReceived = true;
    try {
      stream.receiver.headers(block, endStream);
    } catch (error) {
      stream.reset(errorCode.INTERNAL_ERROR);
      this.threw(error);
    }
    if (endStream) this.#connection.receivedEnd(stream);
  }

  settingsCame(maxConcurrentStreams: number): void {
    this.#maxStreams = maxConcurrentStreams;
    this.#options.onAvailable?.(this);
  }

  drained(): void {
    this.#goesAway();
  }

  goneAway(lastStreamId: number, code: number): void {
    this.#goesAway();
    const connection = this.#connection;
    const message = `the peer takes no more requests (GOAWAY with code ${code})`;
    for (const stream of connection.streams) {
      if (stream.id <= lastStreamId) continue;
      connection.endWith(stream, { code: errorCode.REFUSED_STREAM, origin: "connection", unprocessed: true, message });
    }
    connection.endIfDrained();
  }

  streamClosed(): void {
    if (this.#isGoingAway) this.#connection.endIfDrained();
    else if (this.#connection.activeStreams === this.#maxStreams - 1) this.#options.onAvailable?.(this);
  }

  #goesAway(): void {
    if (this.#isGoingAway) return;
    this.#isGoingAway = true;
    this.#options.onGoingAway?.(this);
  }

  closed(fault: Error | undefined): void {
    this.#options.onClose?.(this, fault);
  }

  threw(error: unknown): void {
    this.#options.onReceiverError?.(error);
  }
}
