/** A gRPC client of our own that makes one call after the other on one connection, for latencies and first looks. */
import { once } from "node:events";
import net from "node:net";

const frame = { data: 0, headers: 1, settings: 4, ping: 6, goaway: 7, windowUpdate: 8 } as const;
const endStream = 1;
const ack = 1;
const endHeaders = 4;
const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

export interface GrpcProbe extends Disposable {
  /** Makes one call and resolves to the message that came back. */
  call(): Promise<Buffer>;
  /** Makes calls one at a time; resolves to the microseconds that each took. */
  latencies(calls: number): Promise<number[]>;
}

export interface ProbeOptions {
  /** `host:port`. */
  readonly address: string;
  /** `/package.Service/Method`. */
  readonly path: string;
  readonly message: Uint8Array;
}

/** Connects; rejects when it cannot. */
export async function openProbe({ address, path, message }: ProbeOptions): Promise<GrpcProbe> {
  const [host = "", port = ""] = address.split(":");
  const socket = net.connect({ host, port: Number(port), noDelay: true });
  await once(socket, "connect");
  const head = headBlocks(path, address);
  const body = lengthPrefixed(message);
  let nextStream = 1;
  let received: Buffer = Buffer.alloc(0);
  let answer: Buffer[] = [];
  let onAnswer: (message: Buffer) => void = () => {};
  let fail: (error: Error) => void = () => {};

  const begin = (): void => {
    const block = nextStream === 1 ? head.first : head.next;
    const stream = nextStream;
    nextStream += 2;
    const sent = frameOf(frame.headers, endHeaders, stream, block);
    socket.write(Buffer.concat([sent, frameOf(frame.data, endStream, stream, body)]));
  };
  const take = (type: number, flags: number, payload: Buffer): void => {
    if (type === frame.settings && (flags & ack) === 0) socket.write(frameOf(frame.settings, ack, 0, Buffer.alloc(0)));
    else if (type === frame.ping && (flags & ack) === 0) socket.write(frameOf(frame.ping, ack, 0, payload));
    else if (type === frame.goaway)
      fail(new Error(`${address} closes the connection: ${payload.toString("latin1", 8)}`));
    else if (type === frame.data) answer.push(payload);
    if ((type === frame.data || type === frame.headers) && (flags & endStream) !== 0) {
      const whole = Buffer.concat(answer);
      answer = [];
      onAnswer(whole.subarray(5));
    }
  };
  socket.on("data", (chunk: Buffer) => {
    received = received.length === 0 ? chunk : Buffer.concat([received, chunk]);
    let at = 0;
    while (received.length - at >= 9) {
      const length = received.readUIntBE(at, 3);
      if (received.length - at - 9 < length) break;
      const payload = received.subarray(at + 9, at + 9 + length);
      const [type = 0, flags = 0] = received.subarray(at + 3, at + 5);
      at += 9 + length;
      take(type, flags, payload);
    }
    received = received.subarray(at);
  });
  socket.on("close", () => fail(new Error(`${address} closed the connection`)));
  socket.on("error", (error) => fail(error));

  const credit = Buffer.alloc(4);
  credit.writeUInt32BE(0x3fff_ffff);
  const settings = frameOf(frame.settings, 0, 0, Buffer.alloc(0));
  socket.write(Buffer.concat([Buffer.from(preface), settings, frameOf(frame.windowUpdate, 0, 0, credit)]));

  const call = (): Promise<Buffer> =>
    new Promise((resolve, reject) => {
      onAnswer = resolve;
      fail = reject;
      begin();
    });
  return {
    call,
    latencies: (calls) =>
      new Promise((resolve, reject) => {
        const taken: number[] = [];
        let beganAt = 0;
        fail = reject;
        onAnswer = () => {
          const now = performance.now();
          if (beganAt > 0) taken.push((now - beganAt) * 1000);
          if (taken.length === calls) return resolve(taken);
          beganAt = performance.now();
          begin();
        };
        beganAt = performance.now();
        begin();
      }),
    [Symbol.dispose]: () => void socket.destroy(),
  };
}

/** A request as an ordinary client sends it: literals that enter the dynamic table at first, indices afterwards. */
function headBlocks(path: string, authority: string): { readonly first: Buffer; readonly next: Buffer } {
  const text = (value: string): Buffer => Buffer.concat([Buffer.from([value.length]), Buffer.from(value, "latin1")]);
  const first = Buffer.concat([
    Buffer.from([0x83, 0x86, 0x44]),
    text(path),
    Buffer.from([0x41]),
    text(authority),
    Buffer.from([0x5f]),
    text("application/grpc"),
    Buffer.from([0x40]),
    text("te"),
    text("trailers"),
  ]);
  return { first, next: Buffer.from([0x83, 0x86, 0xc1, 0xc0, 0xbf, 0xbe]) };
}

/** The message as a Length-Prefixed-Message of gRPC. */
export function lengthPrefixed(message: Uint8Array): Buffer {
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(message.length, 1);
  return Buffer.concat([prefix, message]);
}

function frameOf(type: number, flags: number, stream: number, payload: Buffer): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}
