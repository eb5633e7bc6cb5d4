import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { ServerDuplexStream, ServerWritableStream } from "@grpc/grpc-js";
import { answering, CallListener, hello, serving, unaryPath } from "../../test/support/grpc-calls.ts";
import { errorCode } from "../http2/error-code.ts";
import type { ClientCall } from "./client-call.ts";
import { statusCode } from "./status-code.ts";

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

  it("may come before the request was read; nobody sends the rest of it", async () => {
    const { promise: closed, resolve } = Promise.withResolvers<number>();
    await using rig = await answering((stream) => {
      stream.pause().once("close", () => resolve(stream.rstCode));
      stream.respond({ ...grpcHead, "grpc-status": statusCode.PERMISSION_DENIED }, { endStream: true });
    });
    const { status } = await rig.channel.unary(unaryPath, Buffer.alloc(1024 ** 2), {});
    assert.equal(status.code, statusCode.PERMISSION_DENIED);
    assert.equal(rig.channel.activeCalls, 0);
    assert.equal(await closed, errorCode.CANCEL);
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
    const listener = new CallListener();
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
    const listener = new CallListener();
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
    const listener = new CallListener();
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
    const listener = new CallListener();
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
    const talk = (onMessage: (call: ClientCall, count: number) => void): CallListener => {
      const listener = new CallListener();
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
    const listener = new CallListener();
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
