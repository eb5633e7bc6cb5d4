import type { Connection } from "./connection.ts";
import { ConnectionError, errorCode } from "./error-code.ts";
import { frameFlag, readUint32 } from "./frame.ts";
import type { Role } from "./role.ts";
import { acknowledgeSettings, readSettings, setting } from "./settings.ts";

/** A peer gives back what it has read in few steps; one that sends more of them than that has nothing else in mind. */
const updatesPerFrame = 8;
const updatesAtFirst = 256;

/** Frames that carry no message: each checks its form, acts on the connection or a stream, and counts against floods. */
export class ControlFrames {
  readonly #connection: Connection;
  readonly #role: Role;
  /** The peer's first SETTINGS have come. */
  hasSettings = false;
  #updates = 0;

  constructor(connection: Connection, role: Role) {
    this.#connection = connection;
    this.#role = role;
  }

  /** Section 6.4. */
  rstStream(id: number, bytes: Buffer, start: number, end: number): void {
    const connection = this.#connection;
    if (end - start !== 4) throw frameSizeError("RST_STREAM has not 4 octets");
    if (id === 0 || this.#role.isIdle(id)) throw protocolError("RST_STREAM for a stream that was not begun");
    connection.flood.count("RST_STREAM");
    const stream = connection.streams.get(id);
    if (stream === undefined) return;
    const code = readUint32(bytes, start);
    const message = `the peer reset the stream with code ${code}`;
    connection.endWith(stream, { code, origin: "peer", unprocessed: code === errorCode.REFUSED_STREAM, message });
  }

  /** Section 6.5. */
  settings(flags: number, id: number, bytes: Buffer, start: number, end: number): void {
    const connection = this.#connection;
    if (id !== 0) throw protocolError("SETTINGS on a stream");
    connection.flood.count("SETTINGS");
    if ((flags & frameFlag.ACK) !== 0) {
      if (start !== end) throw frameSizeError("SETTINGS with ACK is not empty");
      connection.settled();
      return;
    }
    let maxConcurrentStreams = this.hasSettings ? undefined : Number.POSITIVE_INFINITY;
    let streamWindow: number | undefined;
    this.hasSettings = true;
    const { outflow } = connection;
    readSettings(bytes, start, end, (setting_, value) => {
      if (setting_ === setting.INITIAL_WINDOW_SIZE) streamWindow = value;
      else if (setting_ === setting.MAX_FRAME_SIZE) outflow.maxFrameBytes = value;
      else if (setting_ === setting.HEADER_TABLE_SIZE) outflow.maxTableBytes = value;
      else if (setting_ === setting.MAX_CONCURRENT_STREAMS) maxConcurrentStreams = value;
      else if (setting_ === setting.ENABLE_PUSH && value === 1 && !this.#role.isServer) {
        throw protocolError("a server cannot enable push");
      }
    });
    // Before any DATA that the new window lets go, as the peer may count on its old one until then.
    acknowledgeSettings(connection.writer);
    if (streamWindow !== undefined) outflow.resizeStreams(streamWindow, connection.streams);
    if (maxConcurrentStreams !== undefined) this.#role.settingsCame(maxConcurrentStreams);
  }

  /** Section 6.7. */
  ping(flags: number, id: number, bytes: Buffer, start: number, end: number): void {
    const connection = this.#connection;
    if (id !== 0) throw protocolError("PING on a stream");
    if (end - start !== 8) throw frameSizeError("PING has not 8 octets");
    connection.flood.count("PING");
    if ((flags & frameFlag.ACK) === 0) connection.writer.ping(bytes, start, true);
    else connection.pingAnswered(bytes, start, end);
  }

  /** Section 6.8. */
  goAway(id: number, bytes: Buffer, start: number, end: number): void {
    if (id !== 0) throw protocolError("GOAWAY on a stream");
    if (end - start < 8) throw frameSizeError("GOAWAY has less than 8 octets");
    this.#connection.flood.count("GOAWAY");
    this.#role.goneAway(readUint32(bytes, start) & 0x7fffffff, readUint32(bytes, start + 4));
  }

  /** Section 6.9. */
  windowUpdate(id: number, bytes: Buffer, start: number, end: number): void {
    const connection = this.#connection;
    const { outflow } = connection;
    if (end - start !== 4) throw frameSizeError("WINDOW_UPDATE has not 4 octets");
    this.#updates += 1;
    if (this.#updates > updatesAtFirst + updatesPerFrame * (outflow.dataFrames + connection.streamsBegun)) {
      connection.flood.count("WINDOW_UPDATE");
    }
    const increment = readUint32(bytes, start) & 0x7fffffff;
    if (id === 0) {
      if (increment === 0) throw protocolError("WINDOW_UPDATE of 0 for the connection");
      outflow.widen(increment);
      return;
    }
    const stream = connection.streams.get(id);
    if (stream === undefined) {
      if (this.#role.isIdle(id)) throw protocolError("WINDOW_UPDATE for a stream that was not begun");
      return;
    }
    if (increment === 0) connection.fail(stream, errorCode.PROTOCOL_ERROR, "WINDOW_UPDATE of 0");
    else if (!outflow.widenStream(stream, increment)) {
      connection.fail(stream, errorCode.FLOW_CONTROL_ERROR, "the stream's window is above 2^31-1");
    }
  }

  /** Priorities are deprecated and ignored (section 5.3); their form is not. */
  priority(id: number, bytes: Buffer, start: number, end: number): void {
    if (id === 0) throw protocolError("PRIORITY on stream 0");
    this.#connection.flood.count("PRIORITY");
    if (end - start !== 5) this.#refuseFrame(id, errorCode.FRAME_SIZE_ERROR, "PRIORITY has not 5 octets");
    else if ((readUint32(bytes, start) & 0x7fffffff) === id) this.refuseDependency(id);
  }

  /** The stream depends on itself (RFC 7540, section 5.3.1). */
  refuseDependency(id: number): void {
    this.#refuseFrame(id, errorCode.PROTOCOL_ERROR, "the stream depends on itself");
  }

  #refuseFrame(id: number, code: number, message: string): void {
    const stream = this.#connection.streams.get(id);
    if (stream !== undefined) this.#connection.fail(stream, code, message);
    else if (this.#role.isIdle(id)) throw new ConnectionError(code, message);
    else this.#connection.refuse(id, code);
  }
}

const protocolError = (message: string): ConnectionError => new ConnectionError(errorCode.PROTOCOL_ERROR, message);
const frameSizeError = (message: string): ConnectionError => new ConnectionError(errorCode.FRAME_SIZE_ERROR, message);
