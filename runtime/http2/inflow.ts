import type { Connection } from "./connection.ts";
import { ControlFrames } from "./control-frames.ts";
import { ConnectionError, errorCode } from "./error-code.ts";
import { frameFlag, frameType, readUint32 } from "./frame.ts";
import { HeaderAssembly } from "./header-assembly.ts";
import type { HeaderBlock } from "./header-block.ts";
import { HpackDecoder } from "./hpack/decoder.ts";
import { sectionFacts } from "./message-rules.ts";
import type { Role } from "./role.ts";
import type { Stream } from "./stream.ts";

const headerTableBytes = 4096;

/**
 * The receiving half of a connection: checks each frame, gives field sections and DATA to their streams and keeps the
 * windows that the peer sends in (RFC 9113, sections 5 and 6).
 */
export class Inflow {
  readonly #connection: Connection;
  readonly #role: Role;
  readonly #control: ControlFrames;
  readonly #decoder: HpackDecoder;
  #assembly: HeaderAssembly | undefined;

  constructor(connection: Connection, role: Role) {
    const { maxHeaderListBytes, maxHeaderFields } = connection.limits;
    this.#connection = connection;
    this.#role = role;
    this.#control = new ControlFrames(connection, role);
    this.#decoder = new HpackDecoder({ maxTableBytes: headerTableBytes, maxHeaderListBytes, maxHeaderFields });
  }

  /** One frame with the payload `bytes[start..end)`. Throws ConnectionError when it breaks the connection. */
  take(type: number, flags: number, id: number, bytes: Buffer, start: number, end: number): void {
    if (this.#assembly !== undefined && type !== frameType.CONTINUATION) {
      throw protocolError("a field section is interrupted by another frame");
    }
    const control = this.#control;
    if (!control.hasSettings && (type !== frameType.SETTINGS || (flags & frameFlag.ACK) !== 0)) {
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
        control.windowUpdate(id, bytes, start, end);
        break;
      case frameType.RST_STREAM:
        control.rstStream(id, bytes, start, end);
        break;
      case frameType.PING:
        control.ping(flags, id, bytes, start, end);
        break;
      case frameType.SETTINGS:
        control.settings(flags, id, bytes, start, end);
        break;
      case frameType.CONTINUATION:
        this.#continuation(flags, id, bytes, start, end);
        break;
      case frameType.GOAWAY:
        control.goAway(id, bytes, start, end);
        break;
      case frameType.PRIORITY:
        control.priority(id, bytes, start, end);
        break;
      case frameType.PUSH_PROMISE:
        throw protocolError("PUSH_PROMISE is not allowed");
      default:
        // Unknown types are ignored (section 4.1), but not without end.
        this.#connection.flood.count("frames of unknown types");
    }
  }

  /** Section 6.1. */
  #data(flags: number, id: number, bytes: Buffer, from: number, to: number): void {
    const connection = this.#connection;
    const length = to - from;
    let start = from;
    let end = to;
    if (id === 0) throw protocolError("DATA on stream 0");
    if ((flags & frameFlag.PADDED) !== 0) {
      end -= paddingOf(bytes, start, end);
      start += 1;
    }
    connection.window.take(length);
    const stream = connection.streams.get(id);
    if (stream === undefined || stream.isReceived) {
      connection.window.credit(length);
      this.#strayData(id, stream);
      return;
    }
    const endStream = (flags & frameFlag.END_STREAM) !== 0;
    if (start === end && !endStream) connection.flood.count("empty DATA");
    stream.receiveWindow -= length;
    const fault = this.#faultOfData(stream, end - start, endStream);
    if (fault !== undefined) {
      connection.window.credit(length);
      const code = stream.receiveWindow < 0 ? errorCode.FLOW_CONTROL_ERROR : errorCode.PROTOCOL_ERROR;
      connection.fail(stream, code, fault);
      return;
    }
    if (endStream) stream.isReceived = true;
    try {
      stream.receiver.data(bytes, start, end, endStream);
    } catch (error) {
      connection.receiverThrew(stream, error);
    }
    if (stream.isPaused && stream.isOpen) stream.held += length;
    else connection.window.credit(length);
    if (!stream.isOpen) return;
    if (endStream) {
      connection.receivedEnd(stream);
      return;
    }
    stream.owed += length;
    if (!stream.isPaused && stream.owed * 2 >= connection.limits.streamWindowBytes) connection.creditStream(stream);
  }

  #faultOfData(stream: Stream, length: number, endStream: boolean): string | undefined {
    if (stream.receiveWindow < 0) return "more DATA came than the stream's window allows";
    if (!stream.hasHead) return "DATA came before the head of the response";
    if (stream.expectedBytes < 0) return undefined;
    stream.expectedBytes -= length;
    const isWrong = stream.expectedBytes < 0 || (endStream && stream.expectedBytes !== 0);
    return isWrong ? "the body is not as long as content-length says" : undefined;
  }

  /** DATA for a stream that takes none (section 5.1). */
  #strayData(id: number, stream: Stream | undefined): void {
    const connection = this.#connection;
    if (stream !== undefined) {
      connection.fail(stream, errorCode.STREAM_CLOSED, "DATA came after the end of the message");
      return;
    }
    if (this.#role.isIdle(id)) throw protocolError("DATA for a stream that was not begun");
    if (!connection.hasReset(id)) connection.refuse(id, errorCode.STREAM_CLOSED);
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
      this.#assembly = new HeaderAssembly(id, endStream, this.#connection.limits.maxHeaderListBytes * 2);
      this.#assembly.add(bytes, start, end);
      return;
    }
    this.#section(id, this.#decoder.decode(bytes, start, end), endStream);
    if (dependsOnItself) this.#control.refuseDependency(id);
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
    const connection = this.#connection;
    const stream = connection.streams.get(id);
    if (stream === undefined) {
      if (!connection.hasReset(id)) this.#role.opened(id, block, endStream);
      return;
    }
    if (stream.isReceived) {
      connection.fail(stream, errorCode.STREAM_CLOSED, "HEADERS came after the end of the message");
    } else if (block === undefined) {
      connection.fail(stream, errorCode.ENHANCE_YOUR_CALM, "a field section is larger than allowed");
    } else if (stream.hasHead) {
      this.#trailers(stream, block, endStream);
    } else this.#role.headed(stream, block, endStream);
  }

  #trailers(stream: Stream, block: HeaderBlock, endStream: boolean): void {
    const connection = this.#connection;
    const fault = endStream ? sectionFacts(block, "trailers").fault : "trailers do not end the stream";
    if (fault !== undefined || stream.expectedBytes > 0) {
      connection.fail(stream, errorCode.PROTOCOL_ERROR, fault ?? "the body is shorter than content-length says");
      return;
    }
    stream.isReceived = true;
    try {
      stream.receiver.trailers(block);
    } catch (error) {
      connection.receiverThrew(stream, error);
    }
    connection.receivedEnd(stream);
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
