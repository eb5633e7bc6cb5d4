import type { Socket } from "node:net";
import { ConnectionError, errorCode } from "./error-code.ts";
import { FloodGuard } from "./flood-guard.ts";
import { initialWindow, largestStreamId } from "./frame.ts";
import { FrameReader } from "./frame-reader.ts";
import { FrameWriter } from "./frame-writer.ts";
import { Inflow } from "./inflow.ts";
import { Liveness } from "./liveness.ts";
import { Outflow } from "./outflow.ts";
import { ReceiveWindow } from "./receive-window.ts";
import type { Role } from "./role.ts";
import { StallWatch } from "./stall-watch.ts";
import type { Stream, StreamHost } from "./stream.ts";
import type { Http2Limits, StreamFault } from "./stream-contract.ts";
import { StreamTable } from "./stream-table.ts";

/** How long the peer may take to close its side after GOAWAY before the socket is destroyed. */
const lingerMs = 1_000;
/** Streams that this side reset: frames for them were on their way. */
const maxResetIds = 1024;
const pingPayload = Buffer.from("outrigge");
const drainPayload = Buffer.from("drain...");

/** One end of an HTTP/2 connection (RFC 9113): its socket, its streams, and how both begin and end. */
export class Connection implements StreamHost {
  readonly limits: Http2Limits;
  readonly writer: FrameWriter;
  readonly outflow: Outflow;
  readonly streams = new StreamTable<Stream>();
  readonly liveness: Liveness;
  readonly window: ReceiveWindow;
  readonly flood: FloodGuard;
  readonly #socket: Socket;
  readonly #role: Role;
  readonly #reader: FrameReader;
  readonly #stalls: StallWatch;
  readonly #resetIds = new Set<number>();
  /** Streams ever begun, by either end. */
  streamsBegun = 0;
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
          this.receiverThrew(stream, error);
        }
      },
      unsendable: (stream, error) => this.receiverThrew(stream, error),
      queued: () => this.#stalls.watch(),
      overflowed: () => this.close(errorCode.ENHANCE_YOUR_CALM, "the peer reads too slowly for what it asked"),
    });
    this.#stalls = new StallWatch(limits.stalledMs, this.streams, (stream) => {
      this.#giveUp(stream, errorCode.ENHANCE_YOUR_CALM, "the peer has taken nothing of the stream for too long");
    });
    this.window = new ReceiveWindow(this.writer, limits.connectionWindowBytes);
    this.flood = new FloodGuard(limits.maxIdleFramesPerSecond);
    const inflow = new Inflow(this, role);
    this.#reader = new FrameReader(role.isServer, limits.maxFrameBytes, (type, flags, id, bytes, start, end) => {
      inflow.take(type, flags, id, bytes, start, end);
      return !this.#isEnding;
    });
    this.liveness = new Liveness(
      { ...limits, pingsWithoutStreams: role.isServer },
      {
        ping: () => this.writer.ping(pingPayload, 0, false),
        dead: (message) => this.#die(new Error(message)),
        unsettled: (message) => this.#unsettled(message),
        idle: () => this.drain(),
      },
    );
    socket.on("data", (chunk: Buffer) => this.read(chunk));
    socket.on("drain", () => {
      this.writer.flush();
      this.outflow.socketDrained();
    });
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
      if (error instanceof ConnectionError) this.#fail(error);
      else {
        // Whatever went wrong, it is of this connection alone.
        this.#role.threw(error);
        this.close(errorCode.INTERNAL_ERROR, "the connection failed");
      }
      return;
    }
    // What a peer provokes and does not read must not pile up.
    if (this.writer.pendingBytes > this.limits.maxQueuedBytes) this.#die(new Error("the peer does not read"));
  }

  /** Takes a stream into the connection. */
  add(stream: Stream): void {
    stream.sendWindow = this.outflow.streamWindow;
    const { streamWindowBytes } = this.limits;
    stream.receiveWindow = this.#isSettled ? streamWindowBytes : Math.max(streamWindowBytes, initialWindow);
    if (this.streams.size === 0) this.liveness.busy();
    this.streamsBegun += 1;
    this.streams.add(stream);
  }

  /** The peer knows our settings and keeps to our window from now on: one smaller than the protocol's takes effect. */
  settled(): void {
    if (this.#isSettled) return;
    this.#isSettled = true;
    this.liveness.settled();
    const surplus = initialWindow - this.limits.streamWindowBytes;
    if (surplus > 0) for (const stream of this.streams) stream.receiveWindow -= surplus;
  }

  /** PING came back with `bytes[start..end)`. */
  pingAnswered(bytes: Buffer, start: number, end: number): void {
    if (bytes.compare(drainPayload, 0, 8, start, end) === 0) this.#afterDrainPing?.();
  }

  resetByOwner(stream: Stream, code: number): void {
    this.writer.rstStream(stream.id, code);
    this.ignore(stream.id);
    this.#remove(stream);
  }

  /** Refuses a stream that never came to be. */
  refuse(id: number, code: number): void {
    this.flood.count("requests that had to be refused");
    this.writer.rstStream(id, code);
    this.ignore(id);
  }

  /** What still comes for the stream is passed over. */
  ignore(id: number): void {
    const ids = this.#resetIds;
    ids.add(id);
    if (ids.size <= maxResetIds) return;
    for (const oldest of ids) {
      ids.delete(oldest);
      break;
    }
  }

  /** This side has reset the stream: frames for it may have been on their way. */
  hasReset(id: number): boolean {
    return this.#resetIds.has(id);
  }

  /** Resets the stream because the peer broke a rule on it, and tells its owner. Throws ConnectionError in a flood of them. */
  fail(stream: Stream, code: number, message: string): void {
    this.flood.count("streams that had to be reset");
    this.#giveUp(stream, code, message);
  }

  #giveUp(stream: Stream, code: number, message: string): void {
    this.writer.rstStream(stream.id, code);
    this.ignore(stream.id);
    this.endWith(stream, { code, origin: "protocol", unprocessed: false, message });
  }

  /** Ends the stream with a fault that its owner hears. */
  endWith(stream: Stream, fault: StreamFault): void {
    if (!stream.isOpen) return;
    this.#remove(stream);
    try {
      stream.receiver.fault(fault);
    } catch (error) {
      this.receiverThrew(stream, error);
    }
  }

  creditStream(stream: Stream): void {
    if (stream.held > 0) {
      this.window.credit(stream.held);
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

  /** The peer's END_STREAM came. */
  receivedEnd(stream: Stream): void {
    if (stream.isOpen && stream.isSent && stream.queue === undefined) this.#remove(stream);
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
      this.window.credit(stream.held);
      stream.held = 0;
    }
    if (this.streams.size === 0) this.liveness.rest();
    this.#role.streamClosed();
  }

  /** A receiver failed: its stream ends, everything else goes on. */
  receiverThrew(stream: Stream, error: unknown): void {
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

  #unsettled(message: string): void {
    if (this.#socket.connecting) this.#die(new Error(message));
    else this.close(errorCode.SETTINGS_TIMEOUT, message);
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
    this.#stalls[Symbol.dispose]();
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

const hostPort = (host: string, port: number | undefined): string =>
  `${host.includes(":") ? `[${host}]` : host}:${port ?? 0}`;
