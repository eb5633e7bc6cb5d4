import type { Socket } from "node:net";
import { ConnectionError, errorCode } from "./error-code.ts";
import { FloodGuard } from "./flood-guard.ts";
import { frameFlag, frameType, initialWindow, largestStreamId, readUint32 } from "./frame.ts";
import { FrameReader } from "./frame-reader.ts";
import { FrameWriter } from "./frame-writer.ts";
import { HeaderAssembly } from "./header-assembly.ts";
import type { HeaderBlock } from "./header-block.ts";
import { HpackDecoder } from "./hpack/decoder.ts";
import { Liveness } from "./liveness.ts";
import { sectionFacts } from "./message-rules.ts";
import { Outflow } from "./outflow.ts";
import { acknowledgeSettings, readSettings, setting } from "./settings.ts";
import type { Stream, StreamHost } from "./stream.ts";
import type { Http2Limits, StreamFault } from "./stream-contract.ts";
import { StreamTable } from "./stream-table.ts";

/** What differs between the two ends. */
export interface Role {
  readonly isServer: boolean;
  /**
   * A field section for a stream that is not open. `block` is undefined when it was larger than the limits. Throws
   * ConnectionError when the identifier is not allowed.
   */
  opened(id: number, block: HeaderBlock | undefined, endStream: boolean): void;
  /** The first section of a stream whose final head has not come, on a client. */
  headed(stream: Stream, block: HeaderBlock, endStream: boolean): void;
  /** Whether the identifier belongs to a stream that nobody has begun. */
  isIdle(id: number): boolean;
  settingsCame(maxConcurrentStreams: number): void;
  /** The last stream of the peer that was or may be worked on, for GOAWAY. */
  readonly lastPeerStreamId: number;
  /** No more streams are taken or begun. */
  drained(): void;
  /** GOAWAY came: the peer took no stream above `lastStreamId`. */
  goneAway(lastStreamId: number, code: number): void;
  /** A stream is over. */
  streamClosed(): void;
  closed(fault: Error | undefined): void;
  /** A receiver threw. */
  threw(error: unknown): void;
}

const headerTableBytes = 4096;
/** How long the peer may take to close its side after GOAWAY before the socket is destroyed. */
const lingerMs = 1_000;
/** Streams that this side reset: frames for them were on their way. */
const maxResetIds = 1024;
const pingPayload = Buffer.from("outrigge");
const drainPayload = Buffer.from("drain...");

/** One end of an HTTP/2 connection: takes frames, keeps the streams and both directions of flow control (RFC 9113). */
export class Connection implements StreamHost {
  readonly limits: Http2Limits;
  readonly writer: FrameWriter;
  readonly outflow: Outflow;
  readonly streams = new StreamTable<Stream>();
  readonly liveness: Liveness;
  readonly #socket: Socket;
  readonly #role: Role;
  readonly #decoder: HpackDecoder;
  readonly #reader: FrameReader;
  readonly #flood: FloodGuard;
  readonly #resetIds = new Set<number>();
  #assembly: HeaderAssembly | undefined;
  #receiveWindow = initialWindow;
  #owed = 0;
  #hasSettings = false;
  /** The peer knows our settings. */
  #isSettled = false;
  #afterDrainPing: (() => void) | undefined;
  #fault: Error | undefined;
  #isEnding = false;
  #linger: NodeJS.Timeout | undefined;
  isClosed = false;
  remoteAddress = "";
  localAddress = "";

  constructor(socket: Socket, limits: Http2Limits, role: Role) {
    this.#socket = socket;
    this.#role = role;
    this.limits = limits;
    this.writer = new FrameWriter(socket);
    this.outflow = new Outflow(this.writer, limits.maxQueuedBytes, {
      ended: (stream) => this.#sentEnd(stream),
      drained: (stream) => {
        try {
          stream.receiver.drained();
        } catch (error) {
          this.#threw(stream, error);
        }
      },
      unsendable: (stream, error) => this.#threw(stream, error),
      overflowed: () => this.close(errorCode.ENHANCE_YOUR_CALM, "the peer reads too slowly for what it asked"),
    });
    this.#decoder = new HpackDecoder({
      maxTableBytes: headerTableBytes,
      maxHeaderListBytes: limits.maxHeaderListBytes,
      maxHeaderFields: limits.maxHeaderFields,
    });
    this.#flood = new FloodGuard(limits.maxIdleFramesPerSecond);
    this.#reader = new FrameReader(role.isServer, limits.maxFrameBytes, (type, flags, id, bytes, start, end) => {
      this.#take(type, flags, id, bytes, start, end);
      return !this.#isEnding;
    });
    this.liveness = new Liveness(
      { ...limits, pingsWithoutStreams: role.isServer },
      {
        ping: () => this.writer.ping(pingPayload, 0, false),
        dead: (message) => this.#die(new Error(message)),
        idle: () => this.drain(),
      },
    );
    socket.on("data", (chunk: Buffer) => this.read(chunk));
    socket.on("drain", () => this.outflow.socketDrained());
    socket.on("end", () => this.#peerEnded());
    socket.on("error", (error) => {
      this.#fault ??= error;
    });
    socket.on("close", () => this.#closed());
    if (socket.connecting) socket.once("connect", () => this.#nameAddresses());
    else this.#nameAddresses();
    if (!role.isServer) socket.setNoDelay(true);
  }

  get activeStreams(): number {
    return this.streams.size;
  }

  /** The peer takes or makes no more streams, or the connection is going down. */
  get isEnding(): boolean {
    return this.#isEnding;
  }

  suspect(sinceMs: number): void {
    if (!this.isClosed && !this.#isEnding) this.liveness.suspect(sinceMs);
  }

  /** Octets from the socket. */
  read(chunk: Buffer): void {
    if (this.#isEnding || this.isClosed) return;
    this.liveness.received();
    try {
      this.#reader.push(chunk);
    } catch (error) {
      if (!(error instanceof ConnectionError)) throw error;
      this.#fail(error);
      return;
    }
    // What a peer provokes and does not read must not pile up.
    if (this.writer.pendingBytes > this.limits.maxQueuedBytes) this.#die(new Error("the peer does not read"));
  }

  /** The window of the whole connection beyond what every connection begins with. */
  announceWindow(): void {
    const more = this.limits.connectionWindowBytes - initialWindow;
    if (more <= 0) return;
    this.writer.windowUpdate(0, more);
    this.#receiveWindow += more;
  }

  /** Takes a stream into the connection. */
  add(stream: Stream): void {
    stream.sendWindow = this.outflow.streamWindow;
    const { streamWindowBytes } = this.limits;
    stream.receiveWindow = this.#isSettled ? streamWindowBytes : Math.max(streamWindowBytes, initialWindow);
    if (this.streams.size === 0) this.liveness.busy();
    this.streams.add(stream);
  }

  resetByOwner(stream: Stream, code: number): void {
    this.writer.rstStream(stream.id, code);
    this.#rememberReset(stream.id);
    this.#remove(stream);
  }

  /** Refuses a stream that never came to be. */
  refuse(id: number, code: number): void {
    this.#flood.count("requests that had to be refused");
    this.writer.rstStream(id, code);
    this.#rememberReset(id);
  }

  /** Resets the stream because the peer broke a rule on it, and tells its owner. */
  fail(stream: Stream, code: number, message: string): void {
    this.#flood.count("streams that had to be reset");
    this.writer.rstStream(stream.id, code);
    this.#rememberReset(stream.id);
    this.endWith(stream, { code, origin: "protocol", unprocessed: false, message });
  }

  /** Ends the stream with a fault that its owner hears. */
  endWith(stream: Stream, fault: StreamFault): void {
    if (!stream.isOpen) return;
    this.#remove(stream);
    try {
      stream.receiver.fault(fault);
    } catch (error) {
      this.#threw(stream, error);
    }
  }

  creditStream(stream: Stream): void {
    if (stream.held > 0) {
      this.#creditConnection(stream.held);
      stream.held = 0;
    }
    if (stream.owed === 0 || !stream.isOpen || stream.isReceived) return;
    stream.receiveWindow += stream.owed;
    this.writer.windowUpdate(stream.id, stream.owed);
    stream.owed = 0;
  }

  drain(): void {
    if (this.isClosed || this.#isEnding || this.#afterDrainPing !== undefined) return;
    if (!this.#role.isServer) {
      this.#afterDrainPing = () => undefined;
      this.#refuseMore();
      return;
    }
    this.writer.goAway(largestStreamId, errorCode.NO_ERROR, "");
    this.writer.ping(drainPayload, 0, false);
    const timer = setTimeout(() => this.#afterDrainPing?.(), lingerMs).unref();
    this.#afterDrainPing = () => {
      clearTimeout(timer);
      this.#afterDrainPing = () => undefined;
      if (!this.isClosed && !this.#isEnding) this.#refuseMore();
    };
  }

  close(code: number, message: string): void {
    this.#fail(new ConnectionError(code, message));
  }

  /** Ends a connection that takes no more streams and has none left. */
  endIfDrained(): void {
    if (this.streams.size === 0) this.#end();
  }

  #refuseMore(): void {
    this.#role.drained();
    this.writer.goAway(this.#role.lastPeerStreamId, errorCode.NO_ERROR, "");
    this.endIfDrained();
  }

  #take(type: number, flags: number, id: number, bytes: Buffer, start: number, end: number): void {
    if (this.#assembly !== undefined && type !== frameType.CONTINUATION) {
      throw protocolError("a field section is interrupted by another frame");
    }
    if (!this.#hasSettings && (type !== frameType.SETTINGS || (flags & frameFlag.ACK) !== 0)) {
      throw protocolError("the first frame is not SETTINGS");
    }
    switch (type) {
      case frameType.DATA:
        this.#data(flags, id, bytes, start, end);
        break;
      case frameType.HEADERS:
        this.#headers(flags, id, bytes, start, end);
        break;
      case frameType.WINDOW_UPDATE:
        this.#windowUpdate(id, bytes, start, end);
        break;
      case frameType.RST_STREAM:
        this.#rstStream(id, bytes, start, end);
        break;
      case frameType.PING:
        this.#ping(flags, id, bytes, start, end);
        break;
      case frameType.SETTINGS:
        this.#settings(flags, id, bytes, start, end);
        break;
      case frameType.CONTINUATION:
        this.#continuation(flags, id, bytes, start, end);
        break;
      case frameType.GOAWAY:
        this.#goAway(id, bytes, start, end);
        break;
      case frameType.PRIORITY:
        this.#priority(id, bytes, start, end);
        break;
      case frameType.PUSH_PROMISE:
        throw protocolError("PUSH_PROMISE is not allowed");
      default:
        // Unknown types are ignored (section 4.1), but not without end.
        this.#flood.count("frames of unknown types");
    }
  }

  /** Section 6.1. */
  #data(flags: number, id: number, bytes: Buffer, from: number, to: number): void {
    const length = to - from;
    let start = from;
    let end = to;
    if (id === 0) throw protocolError("DATA on stream 0");
    if ((flags & frameFlag.PADDED) !== 0) {
      end -= paddingOf(bytes, start, end);
      start += 1;
    }
    this.#receiveWindow -= length;
    if (this.#receiveWindow < 0) {
      throw new ConnectionError(errorCode.FLOW_CONTROL_ERROR, "more DATA than the window of the connection allows");
    }
    const stream = this.streams.get(id);
    if (stream === undefined || stream.isReceived) {
      this.#creditConnection(length);
      this.#strayFrame(id, stream, "DATA");
      return;
    }
    const endStream = (flags & frameFlag.END_STREAM) !== 0;
    if (length === 0 && !endStream) this.#flood.count("empty DATA");
    stream.receiveWindow -= length;
    if (stream.receiveWindow < 0) {
      this.#creditConnection(length);
      this.fail(stream, errorCode.FLOW_CONTROL_ERROR, "more DATA came than the stream's window allows");
      return;
    }
    if (!stream.hasHead) {
      this.#creditConnection(length);
      this.fail(stream, errorCode.PROTOCOL_ERROR, "DATA came before the head of the response");
      return;
    }
    if (stream.expectedBytes >= 0) {
      stream.expectedBytes -= end - start;
      if (stream.expectedBytes < 0 || (endStream && stream.expectedBytes !== 0)) {
        this.#creditConnection(length);
        this.fail(stream, errorCode.PROTOCOL_ERROR, "the body is not as long as content-length says");
        return;
      }
    }
    if (endStream) stream.isReceived = true;
    try {
      stream.receiver.data(bytes, start, end, endStream);
    } catch (error) {
      this.#threw(stream, error);
    }
    if (stream.isPaused && stream.isOpen) stream.held += length;
    else this.#creditConnection(length);
    if (!stream.isOpen) return;
    if (endStream) {
      this.#receivedEnd(stream);
      return;
    }
    stream.owed += length;
    if (!stream.isPaused && stream.owed * 2 >= this.limits.streamWindowBytes) this.creditStream(stream);
  }

  #creditConnection(bytes: number): void {
    this.#owed += bytes;
    if (this.#owed * 2 < Math.max(this.limits.connectionWindowBytes, initialWindow)) return;
    this.writer.windowUpdate(0, this.#owed);
    this.#receiveWindow += this.#owed;
    this.#owed = 0;
  }

  /** Section 6.2. */
  #headers(flags: number, id: number, bytes: Buffer, from: number, to: number): void {
    let start = from;
    let end = to;
    if (id === 0) throw protocolError("HEADERS on stream 0");
    if ((flags & frameFlag.PADDED) !== 0) {
      end -= paddingOf(bytes, start, end);
      start += 1;
    }
    let dependsOnItself = false;
    if ((flags & frameFlag.PRIORITY) !== 0) {
      if (end - start < 5)
        throw new ConnectionError(errorCode.FRAME_SIZE_ERROR, "HEADERS is too short for its priority");
      dependsOnItself = (readUint32(bytes, start) & 0x7fffffff) === id;
      start += 5;
    }
    const endStream = (flags & frameFlag.END_STREAM) !== 0;
    if ((flags & frameFlag.END_HEADERS) === 0) {
      // Encoded sections may exceed the limit of decoded ones a little, never by much.
      this.#assembly = new HeaderAssembly(id, endStream, this.limits.maxHeaderListBytes * 2);
      this.#assembly.add(bytes, start, end);
      return;
    }
    this.#section(id, this.#decoder.decode(bytes, start, end), endStream);
    if (dependsOnItself) this.#refuseDependency(id);
  }

  /** Section 6.10. */
  #continuation(flags: number, id: number, bytes: Buffer, start: number, end: number): void {
    const assembly = this.#assembly;
    if (assembly === undefined || assembly.streamId !== id) throw protocolError("CONTINUATION continues nothing");
    assembly.add(bytes, start, end);
    if ((flags & frameFlag.END_HEADERS) === 0) return;
    this.#assembly = undefined;
    const whole = assembly.whole();
    this.#section(id, this.#decoder.decode(whole, 0, whole.length), assembly.endStream);
  }

  #section(id: number, block: HeaderBlock | undefined, endStream: boolean): void {
    const stream = this.streams.get(id);
    if (stream === undefined) {
      if (this.#resetIds.has(id)) return;
      this.#role.opened(id, block, endStream);
      return;
    }
    if (stream.isReceived) {
      this.fail(stream, errorCode.STREAM_CLOSED, "HEADERS came after the end of the message");
      return;
    }
    if (block === undefined) {
      this.fail(stream, errorCode.ENHANCE_YOUR_CALM, "a field section is larger than allowed");
      return;
    }
    if (!stream.hasHead) {
      this.#role.headed(stream, block, endStream);
      return;
    }
    this.#trailers(stream, block, endStream);
  }

  #trailers(stream: Stream, block: HeaderBlock, endStream: boolean): void {
    const fault = endStream ? sectionFacts(block, "trailers").fault : "trailers do not end the stream";
    if (fault !== undefined || stream.expectedBytes > 0) {
      this.fail(stream, errorCode.PROTOCOL_ERROR, fault ?? "the body is shorter than content-length says");
      return;
    }
    stream.isReceived = true;
    try {
      stream.receiver.trailers(block);
    } catch (error) {
      this.#threw(stream, error);
    }
    this.received(stream);
  }

  /** The peer's END_STREAM came with a section. */
  received(stream: Stream): void {
    if (stream.isOpen) this.#receivedEnd(stream);
  }

  /** Section 6.4. */
  #rstStream(id: number, bytes: Buffer, start: number, end: number): void {
    if (end - start !== 4) throw new ConnectionError(errorCode.FRAME_SIZE_ERROR, "RST_STREAM has not 4 octets");
    if (id === 0 || this.#role.isIdle(id)) throw protocolError("RST_STREAM for a stream that was not begun");
    this.#flood.count("RST_STREAM");
    const stream = this.streams.get(id);
    if (stream === undefined) return;
    const code = readUint32(bytes, start);
    const message = `the peer reset the stream with code ${code}`;
    this.endWith(stream, { code, origin: "peer", unprocessed: code === errorCode.REFUSED_STREAM, message });
  }

  /** Section 6.5. */
  #settings(flags: number, id: number, bytes: Buffer, start: number, end: number): void {
    if (id !== 0) throw protocolError("SETTINGS on a stream");
    if ((flags & frameFlag.ACK) !== 0) {
      if (start !== end) throw new ConnectionError(errorCode.FRAME_SIZE_ERROR, "SETTINGS with ACK is not empty");
      this.#settled();
      return;
    }
    this.#flood.count("SETTINGS");
    const isFirst = !this.#hasSettings;
    this.#hasSettings = true;
    let maxConcurrentStreams = isFirst ? Number.POSITIVE_INFINITY : undefined;
    readSettings(bytes, start, end, (setting_, value) => {
      if (setting_ === setting.INITIAL_WINDOW_SIZE) this.outflow.resizeStreams(value, this.streams);
      else if (setting_ === setting.MAX_FRAME_SIZE) this.outflow.maxFrameBytes = value;
      else if (setting_ === setting.HEADER_TABLE_SIZE) this.outflow.maxTableBytes = value;
      else if (setting_ === setting.MAX_CONCURRENT_STREAMS) maxConcurrentStreams = value;
      else if (setting_ === setting.ENABLE_PUSH && value === 1 && !this.#role.isServer) {
        throw protocolError("a server cannot enable push");
      }
    });
    acknowledgeSettings(this.writer);
    this.outflow.pumpAll();
    if (maxConcurrentStreams !== undefined) this.#role.settingsCame(maxConcurrentStreams);
  }

  /** From now on the peer keeps to our window: one smaller than the protocol's takes effect. */
  #settled(): void {
    if (this.#isSettled) return;
    this.#isSettled = true;
    this.liveness.settled();
    const surplus = initialWindow - this.limits.streamWindowBytes;
    if (surplus > 0) for (const stream of this.streams) stream.receiveWindow -= surplus;
  }

  /** Section 6.7. */
  #ping(flags: number, id: number, bytes: Buffer, start: number, end: number): void {
    if (id !== 0) throw protocolError("PING on a stream");
    if (end - start !== 8) throw new ConnectionError(errorCode.FRAME_SIZE_ERROR, "PING has not 8 octets");
    if ((flags & frameFlag.ACK) === 0) {
      this.#flood.count("PING");
      this.writer.ping(bytes, start, true);
    } else if (bytes.compare(drainPayload, 0, 8, start, end) === 0) this.#afterDrainPing?.();
  }

  /** Section 6.8. */
  #goAway(id: number, bytes: Buffer, start: number, end: number): void {
    if (id !== 0) throw protocolError("GOAWAY on a stream");
    if (end - start < 8) throw new ConnectionError(errorCode.FRAME_SIZE_ERROR, "GOAWAY has less than 8 octets");
    this.#flood.count("GOAWAY");
    this.#role.goneAway(readUint32(bytes, start) & 0x7fffffff, readUint32(bytes, start + 4));
  }

  /** Section 6.9. */
  #windowUpdate(id: number, bytes: Buffer, start: number, end: number): void {
    if (end - start !== 4) throw new ConnectionError(errorCode.FRAME_SIZE_ERROR, "WINDOW_UPDATE has not 4 octets");
    const increment = readUint32(bytes, start) & 0x7fffffff;
    if (id === 0) {
      if (increment === 0) throw protocolError("WINDOW_UPDATE of 0 for the connection");
      this.outflow.widen(increment);
      return;
    }
    const stream = this.streams.get(id);
    if (stream === undefined) {
      if (this.#role.isIdle(id)) throw protocolError("WINDOW_UPDATE for a stream that was not begun");
      return;
    }
    if (increment === 0) this.fail(stream, errorCode.PROTOCOL_ERROR, "WINDOW_UPDATE of 0");
    else if (this.outflow.widenStream(stream, increment)) this.outflow.pumpAll();
    else this.fail(stream, errorCode.FLOW_CONTROL_ERROR, "the stream's window is above 2^31-1");
  }

  /** Priorities are deprecated and ignored (section 5.3); their form is not. */
  #priority(id: number, bytes: Buffer, start: number, end: number): void {
    if (id === 0) throw protocolError("PRIORITY on stream 0");
    this.#flood.count("PRIORITY");
    if (end - start !== 5) this.#refuseFrame(id, errorCode.FRAME_SIZE_ERROR, "PRIORITY has not 5 octets");
    else if ((readUint32(bytes, start) & 0x7fffffff) === id) this.#refuseDependency(id);
  }

  #refuseDependency(id: number): void {
    this.#refuseFrame(id, errorCode.PROTOCOL_ERROR, "the stream depends on itself");
  }

  #refuseFrame(id: number, code: number, message: string): void {
    const stream = this.streams.get(id);
    if (stream !== undefined) this.fail(stream, code, message);
    else if (this.#role.isIdle(id)) throw new ConnectionError(code, message);
    else this.refuse(id, code);
  }

  /** A frame for a stream that takes none (section 5.1). */
  #strayFrame(id: number, stream: Stream | undefined, what: string): void {
    if (stream !== undefined) {
      this.fail(stream, errorCode.STREAM_CLOSED, `${what} came after the end of the message`);
      return;
    }
    if (this.#role.isIdle(id)) throw protocolError(`${what} for a stream that was not begun`);
    if (this.#resetIds.has(id)) return;
    this.refuse(id, errorCode.STREAM_CLOSED);
  }

  #receivedEnd(stream: Stream): void {
    if (stream.isSent && stream.queue === undefined) this.#remove(stream);
  }

  #sentEnd(stream: Stream): void {
    if (stream.isReceived && stream.isOpen) this.#remove(stream);
  }

  #remove(stream: Stream): void {
    if (!stream.isOpen) return;
    stream.isOpen = false;
    this.streams.delete(stream.id);
    this.outflow.forget(stream);
    if (stream.held > 0) {
      this.#creditConnection(stream.held);
      stream.held = 0;
    }
    if (this.streams.size === 0) this.liveness.rest();
    this.#role.streamClosed();
  }

  #rememberReset(id: number): void {
    const ids = this.#resetIds;
    ids.add(id);
    if (ids.size <= maxResetIds) return;
    for (const oldest of ids) {
      ids.delete(oldest);
      break;
    }
  }

  /** A receiver failed: its stream ends, everything else goes on. */
  #threw(stream: Stream, error: unknown): void {
    if (stream.isOpen) this.resetByOwner(stream, errorCode.INTERNAL_ERROR);
    this.#role.threw(error);
  }

  #fail(error: ConnectionError): void {
    if (this.isClosed || this.#isEnding) return;
    this.#fault ??= error;
    this.writer.goAway(this.#role.lastPeerStreamId, error.code, error.message);
    this.#endStreams(error.message);
    this.#end();
  }

  #die(error: Error): void {
    this.#fault ??= error;
    this.#socket.destroy();
  }

  /** Sends what is left and closes; the peer gets a moment to read it and to close too. */
  #end(): void {
    if (this.#isEnding || this.isClosed) return;
    this.#isEnding = true;
    this.writer.flush();
    this.#socket.end();
    this.#linger = setTimeout(() => this.#socket.destroy(), lingerMs).unref();
  }

  #peerEnded(): void {
    if (this.streams.size > 0) this.#fault ??= new Error("the peer closed the connection");
    this.#socket.destroySoon();
  }

  #endStreams(message: string): void {
    const { connecting } = this.#socket;
    for (const stream of this.streams) {
      this.endWith(stream, { code: errorCode.CANCEL, origin: "connection", unprocessed: connecting, message });
    }
  }

  #closed(): void {
    if (this.isClosed) return;
    const wasConnected = this.remoteAddress !== "";
    this.isClosed = true;
    clearTimeout(this.#linger);
    this.liveness[Symbol.dispose]();
    const message = this.#fault?.message ?? "the connection was closed";
    const fault: StreamFault = wasConnected
      ? { code: errorCode.CANCEL, origin: "connection", unprocessed: false, message }
      : { code: errorCode.CONNECT_ERROR, origin: "connect", unprocessed: true, message };
    for (const stream of this.streams) this.endWith(stream, fault);
    this.#role.closed(this.#fault);
  }

  #nameAddresses(): void {
    const { remoteAddress, remotePort, localAddress, localPort } = this.#socket;
    this.remoteAddress = remoteAddress === undefined ? "unix:" : hostPort(remoteAddress, remotePort);
    this.localAddress = localAddress === undefined ? "unix:" : hostPort(localAddress, localPort);
  }
}

const protocolError = (message: string): ConnectionError => new ConnectionError(errorCode.PROTOCOL_ERROR, message);

/** The octets of padding at the end (section 6.1). Throws ConnectionError when they leave no room for their own length. */
function paddingOf(bytes: Buffer, start: number, end: number): number {
  if (start === end) throw new ConnectionError(errorCode.FRAME_SIZE_ERROR, "a padded frame is empty");
  const padding = bytes[start] ?? 0;
  if (padding > end - start - 1) throw protocolError("a frame has more padding than octets");
  return padding;
}

const hostPort = (host: string, port: number | undefined): string =>
  `${host.includes(":") ? `[${host}]` : host}:${port ?? 0}`;
