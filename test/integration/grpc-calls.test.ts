import assert from "node:assert/strict";
import { once } from "node:events";
import http2 from "node:http2";
import { join } from "node:path";
import { describe, it } from "node:test";
import { Client, credentials, Metadata, status } from "@grpc/grpc-js";
import type { CallContext } from "../../components/component.ts";
import { RuntimeError } from "../../components/error.ts";
import { createLog } from "../../runtime/telemetry/log.ts";
import { ask, chat, echo, maxMessageBytes, serveEcho, turns } from "../support/grpc-echo.ts";
import { answerOf, framed, rawClient } from "../support/grpc-raw.ts";
import { temporaryDirectory } from "../support/sidecar.ts";

const never = <T>(): Promise<T> => new Promise(() => undefined);

describe("a call over gRPC", () => {
  it("brings its metadata, trace, deadline and peer to the handler", async () => {
    let seen: CallContext | undefined;
    await using directory = await temporaryDirectory();
    const addresses = ["127.0.0.1:0", `unix:${join(directory.path, "api.sock")}`];
    const handlers = {
      async unary(request: Buffer, call: CallContext) {
        seen = call;
        call.sendMetadata?.([["x-answer", "42"]]);
        return request;
      },
    };
    await using server = await serveEcho({ handlers, addresses });
    const metadata = new Metadata();
    metadata.set("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
    metadata.set("x-key-bin", Buffer.from([1, 2, 3]));
    const deadlineMs = Date.now() + 60_000;
    assert.equal((await ask(server.client, "hello", { metadata, deadlineMs })).data, "hello");
    assert.equal(seen?.traceparent, "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
    assert.ok(seen?.metadata?.some(([name, value]) => name === "x-key-bin" && value === "AQID"));
    assert.ok(Math.abs((seen?.deadlineMs ?? 0) - deadlineMs) < 1000);
    assert.match(seen?.peer.address ?? "", /^127\.0\.0\.1:\d+$/);
    assert.deepEqual([seen?.appId, seen?.signal.aborted], ["app", false]);

    const local = new Client(server.listener.addresses[1] ?? "", credentials.createInsecure());
    assert.equal((await ask(local, "hello")).data, "hello");
    assert.deepEqual([seen?.peer.address, seen?.deadlineMs], ["unix:", undefined]);
    local.close();
  });

  it("ends at its deadline or with its caller even when the handler listens to neither, and is counted so", async () => {
    const signals: AbortSignal[] = [];
    const arrived = Promise.withResolvers<void>();
    const cancelled = Promise.withResolvers<void>();
    const handlers = {
      unary: (_: Buffer, { signal }: CallContext) => {
        signals.push(signal);
        return never<Buffer>();
      },
      async chat({ requests, call }: { requests: AsyncIterable<Buffer>; call: CallContext }) {
        call.signal.addEventListener("abort", () => cancelled.resolve());
        for await (const _ of requests) arrived.resolve();
      },
    };
    await using server = await serveEcho({ handlers });
    const answer = await ask(server.client, "slow", { deadlineMs: Date.now() + 50 });
    assert.equal(answer.code, status.DEADLINE_EXCEEDED);
    const { stream, ended } = chat(server.client);
    stream.write(Buffer.from("hello"));
    await arrived.promise;
    stream.cancel();
    assert.equal(await ended, status.CANCELLED);
    await cancelled.promise;
    const counted = async () => (await server.metrics.expose()).match(/^outrigger_grpc_requests_total.*$/gm);
    while ((await counted())?.length !== 2) await turns(1);
    assert.deepEqual((await counted())?.sort(), [
      'outrigger_grpc_requests_total{method="/test.Echo/Chat",code="CANCELLED"} 1',
      'outrigger_grpc_requests_total{method="/test.Echo/Unary",code="DEADLINE_EXCEEDED"} 1',
    ]);
    assert.equal(signals[0]?.reason.code, "DEADLINE_EXCEEDED");
  });

  it("is told of an unexpected failure without its text, which the log has once", async () => {
    const lines: string[] = [];
    const log = createLog({ level: "info", destination: { write: (line) => void lines.push(line) } });
    const handlers = {
      unary: async (): Promise<Buffer> => {
        throw new Error("connection to 10.0.0.1 with password hunter2 failed");
      },
    };
    await using server = await serveEcho({ handlers, log });
    const answer = await ask(server.client, "");
    assert.equal(answer.code, status.INTERNAL);
    assert.doesNotMatch(answer.details, /hunter2/);
    assert.equal(lines.length, 1);
    assert.match(lines[0] ?? "", /hunter2/);
    assert.match(lines[0] ?? "", /\/test\.Echo\/Unary/);
  });

  it("is refused with a sentence when a message cannot be read, or is too large either way", async () => {
    const handlers = { unary: async (request: Buffer) => Buffer.alloc(Number(request.toString())) };
    await using server = await serveEcho({ handlers });
    const malformed = await ask(server.client, "malformed");
    assert.equal(malformed.code, status.INVALID_ARGUMENT);
    assert.match(malformed.details, /not a request of \/test\.Echo\/Unary/);
    const tooLarge = await ask(server.client, String(maxMessageBytes + 1));
    assert.equal(tooLarge.code, status.RESOURCE_EXHAUSTED);
    assert.match(tooLarge.details, /takes 262145 bytes; api\.maxMessageBytes allows 262144/);
    assert.equal((await ask(server.client, String(maxMessageBytes))).code, 0);
    const request = await ask(server.client, Buffer.alloc(maxMessageBytes + 1));
    assert.equal(request.code, status.RESOURCE_EXHAUSTED);
    assert.match(request.details, /larger than max/);
  });

  it("says that a method is not built, or not known at all", async () => {
    await using server = await serveEcho({ handlers: {} });
    const unbuilt = await ask(server.client, "");
    assert.deepEqual(
      [unbuilt.code, unbuilt.details],
      [status.UNIMPLEMENTED, "the method /test.Echo/Unary is not built yet"],
    );
    const unknown = await ask(server.client, "", {}, { ...echo.unary, path: "/test.Echo/Nothing" });
    assert.equal(unknown.code, status.UNIMPLEMENTED);
    assert.match(unknown.details, /\/test\.Echo\/Nothing/);
    assert.equal(await chat(server.client).ended, status.UNIMPLEMENTED);
  });
});

describe("a handler", () => {
  it("hears of a caller whose connection is lost", async () => {
    const { promise: arrived, resolve: arrive } = Promise.withResolvers<void>();
    const { promise: ended, resolve: end } = Promise.withResolvers<unknown>();
    const handlers = {
      unary(_: Buffer, { signal }: CallContext) {
        signal.addEventListener("abort", () => end(signal.reason.code));
        arrive();
        return never<Buffer>();
      },
    };
    await using server = await serveEcho({ handlers });
    {
      using client = rawClient(server.address);
      client
        .request(echo.unary.path)
        .on("error", () => undefined)
        .end(framed("x"));
      await arrived;
    }
    assert.equal(await ended, "CANCELLED");
  });

  it("need not be asynchronous to fail, and sees a signal that is aborted already when it looks late", async () => {
    let context: CallContext | undefined;
    const handlers = {
      unary(request: Buffer, call: CallContext): Promise<Buffer> {
        context = call;
        if (request.toString() === "throw") throw new RuntimeError("NOT_FOUND", "GONE", "it is gone");
        return never();
      },
    };
    await using server = await serveEcho({ handlers });
    const failed = await ask(server.client, "throw");
    assert.deepEqual([failed.code, failed.details], [status.NOT_FOUND, "it is gone"]);
    assert.equal((await ask(server.client, "", { deadlineMs: Date.now() + 30 })).code, status.DEADLINE_EXCEEDED);
    while (true) {
      try {
        context?.throwIfAborted?.();
      } catch {
        break;
      }
      await turns(1);
    }
    assert.equal(context?.signal.aborted, true);
    assert.ok(["DEADLINE_EXCEEDED", "CANCELLED"].includes(context?.signal.reason.code));
  });

  it("sends its metadata once, ahead of its response, and none that cannot travel", async () => {
    const handlers = {
      async unary(request: Buffer, call: CallContext) {
        call.sendMetadata?.([[request.toString(), "first"]]);
        call.sendMetadata?.([["x-answer", "second"]]);
        call.setTrailingMetadata?.([["x-end", "last"]]);
        return Buffer.from("ok");
      },
    };
    await using server = await serveEcho({ handlers });
    using client = rawClient(server.address);
    const sent = await answerOf(client.request(echo.unary.path).end(framed("x-answer")));
    assert.deepEqual([sent.head["x-answer"], sent.trailers["x-end"], sent.status], ["first", "last", "0"]);
    const invalid = await answerOf(client.request(echo.unary.path).end(framed("no name")));
    assert.deepEqual([invalid.status, invalid.body.length], ["3", 0]);
  });

  it("is told of a message that is too large within a stream, whose caller is told too", async () => {
    const { promise: ended, resolve: end } = Promise.withResolvers<unknown>();
    const handlers = {
      async upload(requests: AsyncIterable<Buffer>, { signal }: CallContext): Promise<Buffer> {
        signal.addEventListener("abort", () => end(signal.reason.code));
        for await (const _ of requests);
        return Buffer.alloc(0);
      },
    };
    await using server = await serveEcho({ handlers });
    using client = rawClient(server.address);
    const stream = client.request(echo.upload.path);
    stream.write(framed("fine"));
    stream.write(Buffer.from([0, 0x7f, 0, 0, 0]));
    assert.equal((await answerOf(stream)).status, "8");
    assert.equal(await ended, "RESOURCE_EXHAUSTED");
  });
});

describe("a stream over gRPC", () => {
  it("ends at its deadline though its caller neither ends its request nor reads", async () => {
    const chunk = Buffer.alloc(128 * 1024);
    const handlers = {
      upload: () => never<Buffer>(),
      async download(_: Buffer, { write }: { write: (chunk: Buffer) => Promise<void> }) {
        for (;;) await write(chunk);
      },
    };
    await using server = await serveEcho({ handlers });
    using client = rawClient(server.address);
    const open = client.request(echo.upload.path, { "grpc-timeout": "30m" });
    open.write(framed("x"));
    assert.equal((await answerOf(open)).status, "4");
    const unread = client.request(echo.download.path, { "grpc-timeout": "30m" });
    unread.on("error", () => undefined);
    unread.end(framed(""));
    const closed = once(unread, "close");
    await once(unread, "response");
    await Promise.race([closed, once(unread, "aborted")]);
    assert.equal(unread.rstCode, http2.constants.NGHTTP2_CANCEL);
  });

  it("holds up its handler while the client does not read", async () => {
    const chunk = Buffer.alloc(64 * 1024);
    const most = 500;
    const stalledAfter = Promise.withResolvers<number>();
    const handlers = {
      async download(_: Buffer, { write }: { write: (chunk: Buffer) => Promise<void> }) {
        for (let count = 1; count <= most; count++) {
          const written = write(chunk).then(() => true);
          if (await Promise.race([written, turns(200).then(() => false)])) continue;
          stalledAfter.resolve(count);
          await written;
          return;
        }
        stalledAfter.resolve(most);
      },
    };
    await using server = await serveEcho({ handlers });
    // grpc-js reads on whatever its user does.
    using client = rawClient(server.address);
    const stream = client.request(echo.download.path);
    stream.end(framed(Buffer.alloc(0)));
    const count = await stalledAfter.promise;
    assert.ok(count < most, `${count} chunks were taken`);
    let bytes = 0;
    for await (const data of stream) bytes += data.length;
    assert.equal(bytes, count * (5 + chunk.length));
  });

  it("holds up the client while its handler does not read", async () => {
    const chunk = framed(Buffer.alloc(16 * 1024));
    const most = 1_000;
    const release = Promise.withResolvers<void>();
    const handlers = {
      async upload(requests: AsyncIterable<Buffer>) {
        await release.promise;
        let bytes = 0;
        for await (const request of requests) bytes += request.length;
        return Buffer.from(`${bytes}`);
      },
    };
    await using server = await serveEcho({ handlers });
    using client = rawClient(server.address);
    const stream = client.request(echo.upload.path);
    let count = 0;
    for (; count < most; count++) {
      if (stream.write(chunk)) continue;
      const drained = once(stream, "drain").then(() => true);
      if (!(await Promise.race([drained, turns(400).then(() => false)]))) break;
    }
    assert.ok(count < most, `${count} messages were taken`);
    release.resolve();
    stream.end();
    const answer = Buffer.concat(await Array.fromAsync(stream));
    assert.equal(answer.toString("utf8", 5), `${(count + 1) * 16 * 1024}`);
  });

  it("takes messages both ways, and ends when its handler does", async () => {
    const handlers = {
      async upload(requests: AsyncIterable<Buffer>) {
        return Buffer.concat(await Array.fromAsync(requests));
      },
      async chat({ requests, write }: { requests: AsyncIterable<Buffer>; write: (response: Buffer) => Promise<void> }) {
        for await (const request of requests) {
          if (request.toString() === "bye") return;
          await write(request);
        }
      },
    };
    await using server = await serveEcho({ handlers });
    const identity = (bytes: Buffer): Buffer => bytes;
    const uploaded = await new Promise<string>((resolve, reject) => {
      const upload = server.client.makeClientStreamRequest(echo.upload.path, identity, identity, (error, response) =>
        error === null ? resolve(response?.toString() ?? "") : reject(error),
      );
      for (const part of ["a", "b", "c"]) upload.write(Buffer.from(part));
      upload.end();
    });
    assert.equal(uploaded, "abc");
    const { stream, ended } = chat(server.client);
    const received: string[] = [];
    stream.on("data", (data: Buffer) => {
      received.push(data.toString());
      stream.write(Buffer.from(received.length === 3 ? "bye" : `${received.length}`));
    });
    stream.write(Buffer.from("0"));
    assert.equal(await ended, status.OK);
    assert.deepEqual(received, ["0", "1", "2"]);
  });

  it("fails alone when one of its messages is malformed or its handler throws late", async () => {
    const handlers = {
      async chat({ requests }: { requests: AsyncIterable<Buffer> }) {
        for await (const request of requests) if (request.toString() === "throw") throw new Error("late");
      },
      unary: async (request: Buffer) => request,
    };
    await using server = await serveEcho({ handlers });
    for (const [message, code] of [
      ["malformed", status.INVALID_ARGUMENT],
      ["throw", status.INTERNAL],
    ] as const) {
      const { stream, ended } = chat(server.client);
      stream.resume();
      stream.write(Buffer.from(message));
      assert.equal(await ended, code);
    }
    assert.equal((await ask(server.client, "still here")).data, "still here");
  });
});
