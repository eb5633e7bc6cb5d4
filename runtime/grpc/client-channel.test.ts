import assert from "node:assert/strict";
import { once } from "node:events";
import http2 from "node:http2";
import net, { type AddressInfo } from "node:net";
import { describe, it } from "node:test";
import { Metadata, type ServerDuplexStream, type ServerWritableStream } from "@grpc/grpc-js";
import { type RawHandlers, rawGrpcServer } from "../../test/support/raw-grpc-server.ts";
import { errorCode } from "../http2/error-code.ts";
import { serveHttp2 } from "../http2/server-connection.ts";
import type { StreamReceiver } from "../http2/stream-contract.ts";
import type { AnswerSection } from "./answer-section.ts";
import type { CallStatus } from "./call-status.ts";
import type { CallReceiver, ClientCall } from "./client-call.ts";
import { GrpcChannel, type GrpcChannelOptions } from "./client-channel.ts";
import { statusCode } from "./status-code.ts";

const maxMessageBytes = 4 * 1024 ** 2;
const channelTo = (address: string, options: Partial<GrpcChannelOptions> = {}): GrpcChannel =>
  new GrpcChannel({ address, maxMessageBytes, ...options });

interface Rig extends AsyncDisposable {
  readonly address: string;
  readonly channel: GrpcChannel;
}

/** A stranger that serves, and a channel to it. */
async function serving(handlers: RawHandlers, options: Parameters<typeof rawGrpcServer>[1] = {}): Promise<Rig> {
  const open = new AsyncDisposableStack();
  const { address } = open.use(await rawGrpcServer(handlers, options));
  const channel = open.use(channelTo(address));
  return { address, channel, [Symbol.asyncDispose]: () => open.disposeAsync() };
}

/** A server of Node's HTTP/2 that need not speak gRPC, and a channel to it. */
async function answering(onStream: (stream: http2.ServerHttp2Stream) => void): Promise<Rig> {
  const open = new AsyncDisposableStack();
  const server = http2.createServer().on("stream", (stream: http2.ServerHttp2Stream) => {
    stream.on("error", () => undefined);
    onStream(stream);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  open.defer(() => new Promise<void>((resolve) => void server.close(() => resolve())));
  const channel = open.use(channelTo(address));
  return { address, channel, [Symbol.asyncDispose]: () => open.disposeAsync() };
}

const hello = Buffer.from("hello");
const silence: StreamReceiver = {
  headers: () => undefined,
  data: () => undefined,
  trailers: () => undefined,
  fault: () => undefined,
  drained: () => undefined,
};
const unaryPath = "/test.Raw/Unary";

/** Hears a call and tells of it. */
class Listener implements CallReceiver {
  readonly messages: Buffer[] = [];
  readonly ending: Promise<CallStatus>;
  metadata: AnswerSection["metadata"] | undefined;
  onMessage: (bytes: Buffer) => void = () => undefined;
  onDrained: () => void = () => undefined;
  readonly #end: (status: CallStatus) => void;

  constructor() {
    const { promise, resolve } = Promise.withResolvers<CallStatus>();
    this.ending = promise;
    this.#end = resolve;
  }

  head(section: AnswerSection): void {
    this.metadata = section.metadata;
  }

  message(bytes: Buffer): void {
    this.messages.push(bytes);
    this.onMessage(bytes);
  }

  drained(): void {
    this.onDrained();
  }

  ended(status: CallStatus): void {
    this.#end(status);
  }
}

describe("a unary call", () => {
  it("brings message and metadata there and back", async () => {
    await using rig = await serving({
      unary(call, done) {
        const head = new Metadata();
        head.set("x-asked", call.metadata.get("x-asked").join());
        head.set("x-raw-bin", call.metadata.get("x-raw-bin")[0] ?? "");
        call.sendMetadata(head);
        const trailer = new Metadata();
        trailer.add("x-end", "a");
        trailer.add("x-end", "b");
        done(null, Buffer.from(`${call.request} ${call.getPath()}`), trailer);
      },
    });
    const bytes = Buffer.from([0, 255, 254]).toString("base64");
    const metadata = [
      ["X-Asked", " yes "],
      ["x-raw-bin", bytes],
      ["grpc-timeout", "1n"],
      ["te", "nothing"],
    ] as const;
    for (let time = 0; time < 3; time += 1) {
      const { status, head, message } = await rig.channel.unary(unaryPath, hello, { metadata });
      assert.equal(status.code, 0);
      assert.equal(message?.toString(), `hello ${unaryPath}`);
      assert.ok(head?.metadata.some(([name, value]) => name === "x-asked" && value === "yes"));
      assert.ok(head?.metadata.some(([name, value]) => name === "x-raw-bin" && value === bytes));
      const ends = (status.trailers?.metadata ?? []).filter(([name]) => name === "x-end").map(([, value]) => value);
      assert.equal(ends.join(", "), "a, b");
    }
    assert.equal(rig.channel.activeCalls, 0);
  });

  it("tells every status with its message and details", async () => {
    await using rig = await serving({
      unary(call, done) {
        const code = Number(call.request.toString());
        const metadata = new Metadata();
        metadata.set("grpc-status-details-bin", Buffer.from([code, 0xff]));
        done({ code, details: `no ${code}: 100% ünmöglich\n`, metadata });
      },
    });
    for (const code of Object.values(statusCode).filter((code) => code !== 0)) {
      const { status, message } = await rig.channel.unary(unaryPath, Buffer.from(String(code)), {});
      assert.equal(status.code, code);
      assert.equal(status.message, `no ${code}: 100% ünmöglich\n`);
      assert.equal(message, undefined);
      const details = status.trailers?.metadata.find(([name]) => name === "grpc-status-details-bin")?.[1];
      assert.deepEqual(Buffer.from(details ?? "", "base64"), Buffer.from([code, 0xff]));
    }
    const { status } = await rig.channel.unary("/test.Raw/Nothing", hello, {});
    assert.equal(status.code, statusCode.UNIMPLEMENTED);
  });

  it("ends when its time has passed, and the server knows both", async () => {
    const { promise: leftMs, resolve: told } = Promise.withResolvers<number>();
    const { promise: cancelled, resolve: left } = Promise.withResolvers<void>();
    await using rig = await serving({
      unary(call) {
        told(Number(call.getDeadline()) - Date.now());
        call.on("cancelled", left);
      },
    });
    const { status } = await rig.channel.unary(unaryPath, hello, { timeoutMs: 50 });
    assert.equal(status.code, statusCode.DEADLINE_EXCEEDED);
    assert.ok((await leftMs) <= 50);
    await cancelled;
    assert.equal(rig.channel.activeCalls, 0);
  });

  it("ends when its time has passed though the server does nothing", async () => {
    const { promise: left, resolve } = Promise.withResolvers<number>();
    await using rig = await answering((stream) => stream.once("close", () => resolve(stream.rstCode)));
    const { status } = await rig.channel.unary(unaryPath, hello, { timeoutMs: 20 });
    assert.equal(status.code, statusCode.DEADLINE_EXCEEDED);
    const text = `the deadline has passed: ${rig.address} did not answer ${unaryPath} within 20 ms`;
    assert.equal(status.message, text);
    assert.equal(await left, errorCode.CANCEL);
  });

  it("is not sent when its time has passed or its signal has aborted already", async () => {
    await using rig = await serving({ unary: () => assert.fail("the server was asked") });
    const late = await rig.channel.unary(unaryPath, hello, { timeoutMs: -1 });
    assert.equal(late.status.code, statusCode.DEADLINE_EXCEEDED);
    const unwanted = await rig.channel.unary(unaryPath, hello, { signal: AbortSignal.abort() });
    assert.equal(unwanted.status.code, statusCode.CANCELLED);
    const unsendable = await rig.channel.unary(unaryPath, hello, { metadata: [["x", "ü"]] });
    assert.equal(unsendable.status.code, statusCode.INVALID_ARGUMENT);
    assert.match(unsendable.status.message, /metadata 'x' cannot be sent/);
  });

  it("is cancelled by its signal, at the server too", async () => {
    const { promise: cancelled, resolve: left } = Promise.withResolvers<void>();
    const stopping = new AbortController();
    await using rig = await serving({
      unary(call) {
        call.on("cancelled", left);
        stopping.abort();
      },
    });
    const { status } = await rig.channel.unary(unaryPath, hello, { signal: stopping.signal, timeoutMs: 60_000 });
    assert.equal(status.code, statusCode.CANCELLED);
    await cancelled;
  });

  it("carries large messages both ways, and refuses larger ones than allowed", async () => {
    await using rig = await serving(
      {
        unary: (call, done) => done(null, call.request.length === 1 ? Buffer.alloc(maxMessageBytes + 1) : call.request),
      },
      { "grpc.max_receive_message_length": -1 },
    );
    const large = Buffer.allocUnsafe(maxMessageBytes).fill("0123456789");
    const [one, two] = await Promise.all([
      rig.channel.unary(unaryPath, large, {}),
      rig.channel.unary(unaryPath, large.subarray(1), {}),
    ]);
    assert.ok(one.message?.equals(large));
    assert.ok(two.message?.equals(large.subarray(1)));
    const unsent = await rig.channel.unary(unaryPath, Buffer.alloc(maxMessageBytes + 1), {});
    const refused = await rig.channel.unary(unaryPath, Buffer.from("x"), {});
    for (const { status } of [unsent, refused]) {
      assert.equal(status.code, statusCode.RESOURCE_EXHAUSTED);
      assert.match(status.message, /takes 4194305 bytes, which is larger than max/);
    }
    assert.equal((await rig.channel.unary(unaryPath, hello, {})).message?.toString(), "hello");
  });

  it("reads compressed answers, and none that grow larger than allowed", async () => {
    for (const algorithm of [1, 2] as const) {
      await using rig = await serving(
        { unary: (call, done) => done(null, Buffer.alloc(Number(call.request.toString()), "a")) },
        { "grpc.default_compression_algorithm": algorithm, "grpc.max_send_message_length": -1 },
      );
      const { status, message } = await rig.channel.unary(unaryPath, Buffer.from("100000"), {});
      assert.equal(status.code, 0);
      assert.ok(message?.equals(Buffer.alloc(100_000, "a")));
      const bomb = await rig.channel.unary(unaryPath, Buffer.from(String(maxMessageBytes + 1)), {});
      assert.equal(bomb.status.code, statusCode.RESOURCE_EXHAUSTED);
    }
  });
});

describe("a call of a server that is not there, or goes away", () => {
  it("is UNAVAILABLE with the address and the reason", async () => {
    const { address } = await using(await serving({}));
    await using channel = channelTo(address);
    const { status } = await channel.unary(unaryPath, hello, {});
    assert.equal(status.code, statusCode.UNAVAILABLE);
    assert.match(status.message, new RegExp(`^cannot connect to ${address}: .*ECONNREFUSED`));
  });

  it("is UNAVAILABLE when the connection is lost in its midst; the next one connects again", async () => {
    let served = 0;
    await using rig = await answering((stream) => {
      served += 1;
      if (served === 1) stream.session?.socket.destroy();
      else
        stream.respond({ ":status": 200, "content-type": "application/grpc", "grpc-status": 5 }, { endStream: true });
    });
    const { status } = await rig.channel.unary(unaryPath, hello, {});
    assert.equal(status.code, statusCode.UNAVAILABLE);
    assert.match(status.message, new RegExp(`^the connection to ${rig.address} was lost: `));
    assert.equal((await rig.channel.unary(unaryPath, hello, {})).status.code, statusCode.NOT_FOUND);
  });

  it("finds out with a call that got no answer when the server is gone without a word", async () => {
    const { promise: begun, resolve } = Promise.withResolvers<void>();
    const sockets: net.Socket[] = [];
    const server = net.createServer((socket) => {
      sockets.push(socket.on("error", () => undefined));
      const onStream = (): StreamReceiver => {
        socket.pause();
        resolve();
        return silence;
      };
      serveHttp2(socket, { onStream });
    });
    await once(server.listen(0, "127.0.0.1"), "listening");
    const address = `127.0.0.1:${(server.address() as AddressInfo).port}`;
    await using channel = channelTo(address, { limits: { keepAliveMs: 3_600_000, keepAliveTimeoutMs: 20 } });
    const patient = channel.unary(unaryPath, hello, {});
    await begun;
    const { status } = await channel.unary(unaryPath, hello, { timeoutMs: 10 });
    assert.equal(status.code, statusCode.DEADLINE_EXCEEDED);
    assert.equal((await patient).status.code, statusCode.UNAVAILABLE);
    assert.match((await patient).status.message, /the peer does not answer PING/);
    for (const socket of sockets) socket.destroy();
    server.close();
  });

  it("ends with the channel", async () => {
    const { promise: asked, resolve } = Promise.withResolvers<void>();
    await using rig = await serving({ unary: () => resolve() });
    const answer = rig.channel.unary(unaryPath, hello, { timeoutMs: 60_000 });
    await asked;
    await rig.channel[Symbol.asyncDispose]();
    assert.equal((await answer).status.code, statusCode.UNAVAILABLE);
    assert.equal((await rig.channel.unary(unaryPath, hello, {})).status.code, statusCode.UNAVAILABLE);
  });
});

/** Disposes and gives back. */
async function using<T extends AsyncDisposable>(value: T): Promise<T> {
  await value[Symbol.asyncDispose]();
  return value;
}

const grpcHead = { ":status": 200, "content-type": "application/grpc+proto" };
const message = (text: string, announced = text.length): Buffer => {
  const bytes = Buffer.from(`\0\0\0\0\0${text}`);
  bytes.writeUInt32BE(announced, 1);
  return bytes;
};

describe("an answer that is not what gRPC says", () => {
  it("is told by its HTTP status when it is no gRPC at all", async () => {
    const codes = [
      [400, statusCode.INTERNAL],
      [401, statusCode.UNAUTHENTICATED],
      [403, statusCode.PERMISSION_DENIED],
      [404, statusCode.UNIMPLEMENTED],
      [429, statusCode.UNAVAILABLE],
      [500, statusCode.UNKNOWN],
      [502, statusCode.UNAVAILABLE],
      [503, statusCode.UNAVAILABLE],
      [504, statusCode.UNAVAILABLE],
      [200, statusCode.UNKNOWN],
    ] as const;
    for (const [httpStatus, code] of codes) {
      for (const endStream of [true, false]) {
        await using rig = await answering((stream) => {
          stream.respond({ ":status": httpStatus, "content-type": "text/html" }, { endStream });
          if (!endStream) stream.end("<h1>no</h1>");
        });
        const { status } = await rig.channel.unary(unaryPath, hello, {});
        assert.equal(status.code, code, String(httpStatus));
        const text = `${rig.address} answered with the HTTP status ${httpStatus} and the content type 'text/html' instead of gRPC`;
        assert.equal(status.message, text);
      }
    }
  });

  it("is INTERNAL when it lacks a status, a message or a part of one, or has one message too many", async () => {
    const answers: readonly (readonly [Buffer, number | undefined, RegExp])[] = [
      [message("a"), undefined, /without a gRPC status/],
      [Buffer.alloc(0), 0, /no message answers/],
      [Buffer.concat([message("a"), message("b")]), 0, /more than one message/],
      [message("a", 2), 0, /in the middle of a message/],
      [Buffer.from([2, 0, 0, 0, 0]), 0, /flag 2/],
      [Buffer.from([1, 0, 0, 0, 0]), 0, /flagged as compressed/],
    ];
    for (const [body, code, told] of answers) {
      await using rig = await answering((stream) => {
        stream.respond(grpcHead, { waitForTrailers: code !== undefined });
        stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": code }));
        stream.end(body);
      });
      const answer = await rig.channel.unary(unaryPath, hello, {});
      assert.equal(answer.status.code, statusCode.INTERNAL, String(told));
      assert.match(answer.status.message, told);
      assert.equal(answer.message, undefined);
    }
  });

  it("passes over interim heads, and takes an unknown status for UNKNOWN", async () => {
    await using rig = await answering((stream) => {
      stream.additionalHeaders({ ":status": 103 });
      stream.respond({ ...grpcHead, "grpc-status": "99", "grpc-message": "%zz" }, { endStream: true });
    });
    const { status } = await rig.channel.unary(unaryPath, hello, {});
    assert.deepEqual([status.code, status.message], [statusCode.UNKNOWN, "%zz"]);
  });

  it("is told by the code when the stream is reset", async () => {
    const codes = [
      [errorCode.NO_ERROR, statusCode.INTERNAL],
      [errorCode.PROTOCOL_ERROR, statusCode.INTERNAL],
      [errorCode.INTERNAL_ERROR, statusCode.INTERNAL],
      [errorCode.REFUSED_STREAM, statusCode.UNAVAILABLE],
      [errorCode.CANCEL, statusCode.CANCELLED],
      [errorCode.ENHANCE_YOUR_CALM, statusCode.RESOURCE_EXHAUSTED],
      [errorCode.INADEQUATE_SECURITY, statusCode.PERMISSION_DENIED],
    ] as const;
    for (const [reset, code] of codes) {
      await using rig = await answering((stream) => stream.close(reset));
      const { status } = await rig.channel.unary(unaryPath, hello, {});
      assert.equal(status.code, code, String(reset));
      assert.match(status.message, new RegExp(rig.address));
    }
  });
});

describe("a call of streams", () => {
  it("takes the messages of the server one by one, and its status", async () => {
    await using rig = await serving({
      serverStream(call) {
        for (let at = 0; at < 100; at += 1) call.write(Buffer.from(`${call.request}${at}`));
        call.end();
      },
    });
    const listener = new Listener();
    rig.channel.call("/test.Raw/ServerStream", {}, listener).send(hello, true);
    assert.equal((await listener.ending).code, 0);
    assert.deepEqual(
      listener.messages.map(String),
      Array.from({ length: 100 }, (_, at) => `hello${at}`),
    );
  });

  it("holds the server back while it is paused", async () => {
    const chunk = Buffer.alloc(64 * 1024);
    const chunks = 64;
    const { promise: held, resolve: hold } = Promise.withResolvers<number>();
    await using rig = await serving({ serverStream: (call) => writeAll(call, chunk, chunks, hold) });
    const listener = new Listener();
    const call = rig.channel.call("/test.Raw/ServerStream", {}, listener);
    listener.onMessage = () => call.pause();
    call.send(hello, true);
    assert.ok((await held) < chunks);
    assert.ok(listener.messages.length < chunks / 2);
    listener.onMessage = () => undefined;
    call.resume();
    assert.equal((await listener.ending).code, 0);
    assert.equal(listener.messages.length, chunks);
  });

  it("keeps the order of messages, compressed or not, and pauses with them", async () => {
    await using rig = await serving(
      {
        serverStream(call) {
          for (let at = 0; at < 50; at += 1) call.write(Buffer.alloc(at * 997, at));
          call.end();
        },
      },
      { "grpc.default_compression_algorithm": 2 },
    );
    const listener = new Listener();
    const call = rig.channel.call("/test.Raw/ServerStream", {}, listener);
    listener.onMessage = () => {
      call.pause();
      setImmediate(() => call.resume());
    };
    call.send(hello, true);
    assert.equal((await listener.ending).code, 0);
    assert.deepEqual(
      listener.messages.map(({ length }) => length),
      Array.from({ length: 50 }, (_, at) => at * 997),
    );
  });

  it("sends messages until it ends its side, held back by the server's window", async () => {
    await using rig = await serving({
      clientStream(call, done) {
        let bytes = 0;
        call.on("data", (chunk: Buffer) => {
          bytes += chunk.length;
        });
        call.on("end", () => done(null, Buffer.from(String(bytes))));
      },
    });
    const listener = new Listener();
    const call = rig.channel.call("/test.Raw/ClientStream", {}, listener);
    let left = 64;
    let waits = 0;
    const pump = (): void => {
      while (left > 0) {
        left -= 1;
        if (!call.send(Buffer.alloc(64 * 1024), false)) {
          waits += 1;
          return;
        }
      }
      call.end();
    };
    listener.onDrained = pump;
    pump();
    assert.equal((await listener.ending).code, 0);
    assert.equal(String(listener.messages[0]), String(64 * 64 * 1024));
    assert.ok(waits > 0);
  });

  it("speaks and listens in turns, and can be cancelled amid", async () => {
    const { promise: cancelled, resolve: left } = Promise.withResolvers<void>();
    await using rig = await serving({
      bidi(call: ServerDuplexStream<Buffer, Buffer>) {
        call.on("data", (asked: Buffer) => call.write(Buffer.from(`re ${asked}`)));
        call.on("cancelled", left);
        call.on("end", () => call.end());
      },
    });
    const talk = (onMessage: (call: ClientCall, count: number) => void): Listener => {
      const listener = new Listener();
      const call = rig.channel.call("/test.Raw/Bidi", {}, listener);
      listener.onMessage = () => onMessage(call, listener.messages.length);
      call.send(Buffer.from("0"), false);
      return listener;
    };
    const whole = talk((call, count) => (count < 5 ? void call.send(Buffer.from(String(count)), false) : call.end()));
    assert.equal((await whole.ending).code, 0);
    assert.deepEqual(whole.messages.map(String), ["re 0", "re 1", "re 2", "re 3", "re 4"]);
    assert.ok(whole.metadata !== undefined);
    const cut = talk((call) => call.cancel());
    assert.equal((await cut.ending).code, statusCode.CANCELLED);
    await cancelled;
  });

  it("ends when the server ends it first, though this side has not", async () => {
    await using rig = await serving({
      bidi(call: ServerDuplexStream<Buffer, Buffer>) {
        call.emit("error", { code: statusCode.ABORTED, details: "enough" });
      },
    });
    const listener = new Listener();
    const call = rig.channel.call("/test.Raw/Bidi", { timeoutMs: 60_000 }, listener);
    call.send(hello, false);
    const { code, message: details } = await listener.ending;
    assert.deepEqual([code, details], [statusCode.ABORTED, "enough"]);
    assert.equal(call.send(hello, false), true);
    call.end();
    call.cancel();
    assert.equal(rig.channel.activeCalls, 0);
  });
});

function writeAll(
  call: ServerWritableStream<Buffer, Buffer>,
  chunk: Buffer,
  chunks: number,
  held: (written: number) => void,
): void {
  let written = 0;
  const write = (): void => {
    while (written < chunks) {
      written += 1;
      if (call.write(chunk)) continue;
      // A window that is closed long enough for a turn of the loop is held by the client.
      setImmediate(() => held(written));
      call.once("drain", write);
      return;
    }
    call.end();
  };
  write();
}
