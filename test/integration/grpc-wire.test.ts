/** gRPC over HTTP/2 to the letter: heads, framing and compression that no gRPC client sends, and streams for somebody else. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { deflateSync, gzipSync } from "node:zlib";
import type { CallContext } from "../../components/component.ts";
import { HeaderBlock } from "../../runtime/http2/header-block.ts";
import { echo, maxMessageBytes, serveEcho } from "../support/grpc-echo.ts";
import { answerOf, framed, rawClient } from "../support/grpc-raw.ts";

const { path } = echo.unary;
const handlers = { unary: async (request: Buffer) => request };

describe("a request over HTTP/2", () => {
  it("is answered with a head, one message and trailers", async () => {
    await using server = await serveEcho({ handlers });
    using client = rawClient(server.address);
    const answer = await answerOf(client.request(path).end(framed("hello")));
    assert.equal(answer.head[":status"], 200);
    assert.equal(answer.head["content-type"], "application/grpc");
    assert.equal(answer.head["grpc-accept-encoding"], "identity,deflate,gzip");
    assert.deepEqual([answer.body, answer.status, answer.message], [framed("hello"), "0", ""]);
  });

  it("is refused by HTTP when it is no gRPC", async () => {
    await using server = await serveEcho({ handlers });
    using client = rawClient(server.address);
    const statusOf = async (headers: Record<string, string | undefined>): Promise<unknown> =>
      (await answerOf(client.request(path, headers).end(framed("")))).head[":status"];
    for (const type of ["application/json", "application/grpc-web", "application/grpcs", "", undefined]) {
      assert.equal(await statusOf({ "content-type": type }), 415, `${type}`);
    }
    assert.equal(await statusOf({ ":method": "PUT" }), 405);
    for (const type of ["application/grpc", "application/grpc+proto", "application/grpc;charset=utf-8"]) {
      assert.equal(await statusOf({ "content-type": type }), 200, type);
    }
  });

  it("is refused by its status when its timeout or encoding cannot be read, or its method does not exist", async () => {
    await using server = await serveEcho({ handlers });
    using client = rawClient(server.address);
    const timeout = await answerOf(client.request(path, { "grpc-timeout": "10 seconds" }).end(framed("")));
    assert.equal(timeout.status, "13");
    assert.match(timeout.message, /'10 seconds' is malformed/);
    const encoding = await answerOf(client.request(path, { "grpc-encoding": "snappy" }).end(framed("", 1)));
    assert.deepEqual([encoding.status, encoding.head["grpc-accept-encoding"]], ["12", "identity,deflate,gzip"]);
    for (const unknown of ["/test.Echo/Nothing", "/test.Nothing/Unary", "/"]) {
      const answer = await answerOf(client.request(unknown));
      assert.equal(answer.status, "12", unknown);
      assert.ok(answer.message.includes(unknown));
    }
  });

  it("must hold as many messages as its method takes, each of them whole", async () => {
    await using server = await serveEcho({ handlers });
    using client = rawClient(server.address);
    const statusOf = async (body: Buffer): Promise<string | undefined> =>
      (await answerOf(client.request(path).end(body))).status;
    assert.equal(await statusOf(Buffer.alloc(0)), "12");
    assert.equal(await statusOf(Buffer.concat([framed("a"), framed("b")])), "12");
    assert.equal(await statusOf(framed("abc").subarray(0, 7)), "13");
    assert.equal(await statusOf(framed("abc").subarray(0, 3)), "13");
    assert.equal(await statusOf(framed("abc", 2)), "13");
    assert.equal(await statusOf(framed("abc")), "0");
    const tooLong = Buffer.from([0, 0x7f, 0xff, 0xff, 0xff]);
    assert.equal(await statusOf(tooLong), "8");
  });

  it("may be compressed, each message by itself", async () => {
    const seen: string[] = [];
    await using server = await serveEcho({
      handlers: {
        ...handlers,
        async upload(requests: AsyncIterable<Buffer>) {
          for await (const request of requests) seen.push(request.toString());
          return Buffer.alloc(0);
        },
      },
    });
    using client = rawClient(server.address);
    for (const [encoding, compressed] of [
      ["gzip", gzipSync("hello")],
      ["deflate", deflateSync("hello")],
    ] as const) {
      const answer = await answerOf(client.request(path, { "grpc-encoding": encoding }).end(framed(compressed, 1)));
      assert.deepEqual([answer.body, answer.status], [framed("hello"), "0"]);
    }
    const mixed = Buffer.concat([framed(gzipSync("a"), 1), framed("b"), framed(gzipSync("c"), 1)]);
    const uploaded = await answerOf(client.request(echo.upload.path, { "grpc-encoding": "gzip" }).end(mixed));
    assert.deepEqual([uploaded.status, seen], ["0", ["a", "b", "c"]]);
  });

  it("fails when it is flagged as compressed and is not, or grows beyond the limit", async () => {
    await using server = await serveEcho({ handlers });
    using client = rawClient(server.address);
    const statusOf = async (body: Buffer, encoding: string | undefined): Promise<string | undefined> =>
      (await answerOf(client.request(path, { "grpc-encoding": encoding }).end(framed(body, 1)))).status;
    assert.equal(await statusOf(Buffer.from("plain"), "gzip"), "13");
    assert.equal(await statusOf(Buffer.from("plain"), undefined), "13");
    assert.equal(await statusOf(gzipSync("cut short").subarray(0, 12), "gzip"), "13");
    assert.equal(await statusOf(gzipSync(Buffer.alloc(maxMessageBytes + 1)), "gzip"), "8");
    assert.equal(await statusOf(gzipSync(Buffer.alloc(64 * 1024 ** 2)), "gzip"), "8");
    assert.equal(await statusOf(gzipSync(Buffer.alloc(maxMessageBytes)), "gzip"), "0");
  });

  it("may bring metadata more than once, and binary metadata without padding or joined by commas", async () => {
    let seen: CallContext["metadata"];
    await using server = await serveEcho({
      handlers: {
        async unary(request: Buffer, call: CallContext) {
          seen = call.metadata;
          call.sendMetadata?.([["x-sent-bin", "AQI"]]);
          return request;
        },
      },
    });
    using client = rawClient(server.address);
    const headers = { "x-many": ["a", "b"], "x-key-bin": ["AQ", "AQI=,AQID"], "grpc-timeout": "1M" };
    const answer = await answerOf(client.request(path, headers).end(framed("")));
    const ours = seen?.filter(([name]) => name.startsWith("x-"));
    assert.deepEqual(ours, [
      ["x-many", "a"],
      ["x-many", "b"],
      ["x-key-bin", "AQ=="],
      ["x-key-bin", "AQI="],
      ["x-key-bin", "AQID"],
    ]);
    assert.equal(answer.head["x-sent-bin"], "AQI=");
    assert.ok(!seen?.some(([name]) => ["te", "content-type", "grpc-timeout"].includes(name)));
  });
});

describe("a stream of a service that is not served", () => {
  it("goes to the handler of unknown services as it comes, and what that sends goes back", async () => {
    const paths: string[] = [];
    await using server = await serveEcho({
      handlers,
      unknown: {
        handle(unknown, stream, headers) {
          paths.push(`${unknown} ${headers.get("x-tenant")}`);
          stream.sendHeaders(HeaderBlock.of(":status", "200", "content-type", "application/grpc"), false);
          return {
            headers: () => undefined,
            data(bytes, start, end, endStream) {
              stream.sendData(bytes, start, end, false);
              if (endStream) stream.sendHeaders(HeaderBlock.of("grpc-status", "0", "x-by", "proxy"), true);
            },
            trailers: () => undefined,
            fault: () => undefined,
            drained: () => undefined,
          };
        },
      },
    });
    using client = rawClient(server.address);
    for (let time = 0; time < 2; time++) {
      const answer = await answerOf(client.request("/other.Service/Call", { "x-tenant": "a" }).end(framed("raw", 1)));
      assert.deepEqual([answer.body, answer.status, answer.trailers["x-by"]], [framed("raw", 1), "0", "proxy"]);
    }
    assert.deepEqual(paths, ["/other.Service/Call a", "/other.Service/Call a"]);
    const known = await answerOf(client.request("/test.Echo/Nothing").end(framed("")));
    assert.equal(known.status, "12");
    assert.equal((await answerOf(client.request(path).end(framed("mine")))).status, "0");
  });
});
