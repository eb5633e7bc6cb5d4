/**
 * HTTP/2 by the frame: what a peer that keeps to no rules can send. Header sections are written as literals without
 * indexing, by a few lines of their own, so that our encoder is not tested by itself.
 */
import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";
import { clearTimeout, setTimeout } from "node:timers";
import { frameFlag, frameType, preface } from "../../runtime/http2/frame.ts";
import { HpackDecoder } from "../../runtime/http2/hpack/decoder.ts";

export interface Frame {
  readonly type: number;
  readonly flags: number;
  readonly streamId: number;
  readonly payload: Buffer;
}

export type Fields = readonly (readonly [name: string, value: string])[];

const barrier = Buffer.from("barrier!");
const patienceMs = 10_000;

/** A frame as it lies on the wire. */
export function frame(type: number, flags: number, streamId: number, payload: Uint8Array = Buffer.alloc(0)): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(streamId, 5);
  return Buffer.concat([head, payload]);
}

/** Fields as literals without indexing, names and values plain (RFC 7541, section 6.2.2). */
export const literals = (fields: Fields): Buffer =>
  Buffer.concat(fields.flatMap(([name, value]) => [Buffer.of(0), plainText(name), plainText(value)]));

/** A string literal without Huffman coding (RFC 7541, section 5.2). */
export function plainText(text: string): Buffer {
  const octets = Buffer.from(text, "latin1");
  return Buffer.concat([integer(0, 0x7f, octets.length), octets]);
}

/** An integer behind a pattern (RFC 7541, section 5.1). */
export function integer(pattern: number, mask: number, value: number): Buffer {
  if (value < mask) return Buffer.of(pattern | value);
  const octets = [pattern | mask];
  let rest = value - mask;
  for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) octets.push((rest % 0x80) | 0x80);
  return Buffer.from([...octets, rest]);
}

export const uint32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
};

export const getFields: Fields = [
  [":method", "GET"],
  [":scheme", "http"],
  [":path", "/"],
  [":authority", "localhost"],
];

export const postFields: Fields = [[":method", "POST"], ...getFields.slice(1)];

const endHeaders = frameFlag.END_HEADERS;
const endBoth = frameFlag.END_HEADERS | frameFlag.END_STREAM;

/** HEADERS with a whole section; it ends the stream unless `flags` say otherwise. */
export const headers = (streamId: number, fields: Fields | Buffer = getFields, flags: number = endBoth): Buffer =>
  frame(frameType.HEADERS, flags, streamId, Buffer.isBuffer(fields) ? fields : literals(fields));

/** HEADERS of a request whose body follows. */
export const openPost = (streamId: number, fields: Fields = postFields): Buffer =>
  headers(streamId, fields, endHeaders);

export const data = (streamId: number, body: string | Buffer = "body", flags = 0): Buffer =>
  frame(frameType.DATA, flags, streamId, typeof body === "string" ? Buffer.from(body) : body);

export const endData = (streamId: number, body: string | Buffer = "body"): Buffer =>
  data(streamId, body, frameFlag.END_STREAM);

export const rstStream = (streamId: number, code = 8): Buffer => frame(frameType.RST_STREAM, 0, streamId, uint32(code));

export const windowUpdate = (streamId: number, increment: number): Buffer =>
  frame(frameType.WINDOW_UPDATE, 0, streamId, uint32(increment));

export const ping = (flags = 0, payload: Buffer = Buffer.alloc(8)): Buffer => frame(frameType.PING, flags, 0, payload);

export const priority = (streamId: number, dependsOn = 0, weight = 15): Buffer =>
  frame(frameType.PRIORITY, 0, streamId, Buffer.concat([uint32(dependsOn), Buffer.of(weight)]));

export const goAway = (lastStreamId: number, code = 0): Buffer =>
  frame(frameType.GOAWAY, 0, 0, Buffer.concat([uint32(lastStreamId), uint32(code)]));

export const continuation = (streamId: number, fields: Fields | Buffer, flags: number = endHeaders): Buffer =>
  frame(frameType.CONTINUATION, flags, streamId, Buffer.isBuffer(fields) ? fields : literals(fields));

export function settings(...pairs: readonly (readonly [id: number, value: number])[]): Buffer {
  const payload = pairs.map(([id, value]) => Buffer.concat([Buffer.of(id >>> 8, id & 0xff), uint32(value)]));
  return frame(frameType.SETTINGS, 0, 0, Buffer.concat(payload));
}

export const settingsAck = frame(frameType.SETTINGS, frameFlag.ACK, 0);

/** What a client begins a connection with. */
export const opening = Buffer.concat([preface, settings(), settingsAck]);

/** One end of a connection that sends what it is told and keeps every frame that comes. */
export class FramePeer implements AsyncDisposable {
  readonly socket: Socket;
  /** Every frame so far. */
  readonly frames: Frame[] = [];
  /** The other end has ended, or the connection is closed. */
  isEnded = false;
  #rest = Buffer.alloc(0);
  #read = 0;
  #wake: (() => void) | undefined;
  readonly #decoder = new HpackDecoder({ maxTableBytes: 4096, maxHeaderListBytes: 2 ** 20, maxHeaderFields: 4096 });

  /** `prefaceBytes` is what the other end sends before its first frame: 24 when it is a client. */
  constructor(socket: Socket, prefaceBytes = 0) {
    this.socket = socket;
    let skip = prefaceBytes;
    socket.setNoDelay(true);
    socket.on("data", (chunk: Buffer) => {
      this.#rest = Buffer.concat([this.#rest, chunk]);
      if (skip > 0 && this.#rest.length >= skip) {
        this.#rest = this.#rest.subarray(skip);
        skip = 0;
      }
      if (skip === 0) this.#cut();
      this.#wake?.();
    });
    const ended = (): void => {
      this.isEnded = true;
      this.#wake?.();
    };
    socket.on("end", ended);
    socket.on("close", ended);
    // A reset is an end too.
    socket.on("error", ended);
  }

  /** Connects to the port and, unless told not to, sends the opening of a client. */
  static async connect(port: number, begin: Buffer = opening): Promise<FramePeer> {
    const socket = connect(port, "127.0.0.1");
    await once(socket, "connect");
    const peer = new FramePeer(socket);
    if (begin.length > 0) peer.send(begin);
    return peer;
  }

  send(...bytes: readonly Uint8Array[]): void {
    if (!this.socket.destroyed && this.socket.writable) this.socket.write(Buffer.concat(bytes));
  }

  /** The next frame, of those that nobody has taken, that the predicate likes; those before it are passed over. */
  async next(likes: (frame: Frame) => boolean = () => true): Promise<Frame> {
    for (;;) {
      while (this.#read < this.frames.length) {
        const found = this.frames[this.#read++];
        if (found !== undefined && likes(found)) return found;
      }
      if (this.isEnded) throw new Error(`the connection ended; frames: ${this.frames.map(describeFrame).join(", ")}`);
      await this.#more();
    }
  }

  nextOf(type: number): Promise<Frame> {
    return this.next((candidate) => candidate.type === type);
  }

  /** Everything that comes until the other end has answered all that was sent, or has ended. */
  async settle(): Promise<readonly Frame[]> {
    const from = this.#read;
    this.send(ping(0, barrier));
    const isAnswer = (one: Frame): boolean => one.type === frameType.PING && one.payload.equals(barrier);
    while (!this.isEnded && this.frames.findIndex((one, at) => at >= from && isAnswer(one)) < 0) await this.#more();
    this.#read = this.frames.length;
    return this.frames.slice(from).filter((one) => !isAnswer(one));
  }

  /** Resolves when the other end has ended. */
  async ended(): Promise<readonly Frame[]> {
    while (!this.isEnded) await this.#more();
    return this.frames;
  }

  /** The fields of a HEADERS frame; every one must be asked for, in order. */
  fields(section: Frame): readonly (readonly [string, string])[] {
    const flat = this.#decoder.decode(section.payload, 0, section.payload.length)?.flat ?? [];
    return flat.flatMap((name, at) => (at % 2 === 0 ? [[name, flat[at + 1] ?? ""] as const] : []));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.socket.destroyed) return;
    this.socket.destroy();
    await once(this.socket, "close");
  }

  #cut(): void {
    while (this.#rest.length >= 9) {
      const end = 9 + this.#rest.readUIntBE(0, 3);
      if (this.#rest.length < end) return;
      this.frames.push({
        type: this.#rest[3] ?? 0,
        flags: this.#rest[4] ?? 0,
        streamId: this.#rest.readUInt32BE(5) & 0x7fffffff,
        payload: Buffer.from(this.#rest.subarray(9, end)),
      });
      this.#rest = this.#rest.subarray(end);
    }
  }

  #more(): Promise<void> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        reject(new Error(`nothing came; frames: ${this.frames.map(describeFrame).join(", ")}`));
      }, patienceMs);
      this.#wake = () => {
        this.#wake = undefined;
        clearTimeout(timer);
        resolve();
      };
    });
  }
}

/** A frame in a few words, for messages. */
export function describeFrame({ type, flags, streamId, payload }: Frame): string {
  const name = Object.entries(frameType).find(([, value]) => value === type)?.[0] ?? String(type);
  const code = type === frameType.GOAWAY ? ` ${payload.readUInt32BE(4)} '${payload.subarray(8)}'` : "";
  const reset = type === frameType.RST_STREAM ? ` ${payload.readUInt32BE(0)}` : "";
  return `${name}(${streamId}, ${flags}, ${payload.length})${code}${reset}`;
}

/** A TCP listener on a free port of the loopback that hands over each socket. */
export async function listenFor(
  accept: (socket: Socket) => void,
): Promise<{ readonly port: number } & AsyncDisposable> {
  const sockets = new Set<Socket>();
  const server: Server = createServer({ noDelay: true }, (socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
    accept(socket);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  return {
    port: typeof address === "object" && address !== null ? address.port : 0,
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, "close");
    },
  };
}
