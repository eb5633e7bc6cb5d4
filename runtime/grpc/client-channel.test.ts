import assert from "node:assert/strict";
import { once } from "node:events";
import net, { type AddressInfo } from "node:net";
import { join } from "node:path";
import { describe, it } from "node:test";
import { Metadata, ServerCredentials } from "@grpc/grpc-js";
import { selfSigned } from "../../test/support/certificate.ts";
import { answering, channelTo, hello, maxMessageBytes, serving, unaryPath } from "../../test/support/grpc-calls.ts";
import { noReceiver } from "../../test/support/http2-peers.ts";
import { type RawHandlers, rawGrpcServer } from "../../test/support/raw-grpc-server.ts";
import { temporaryDirectory } from "../../test/support/sidecar.ts";
import { errorCode } from "../http2/error-code.ts";
import { serveHttp2 } from "../http2/server-connection.ts";
import type { StreamReceiver } from "../http2/stream-contract.ts";
import { statusCode } from "./status-code.ts";

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

  it("travels over TLS and over Unix sockets", async () => {
    const { key, cert } = selfSigned();
    const pairs = [{ private_key: Buffer.from(key), cert_chain: Buffer.from(cert) }];
    const echo: RawHandlers = { unary: (call, done) => done(null, Buffer.from(`${call.request} ${call.getHost()}`)) };
    await using secure = await rawGrpcServer(echo, { credentials: ServerCredentials.createSsl(null, pairs) });
    await using overTls = channelTo(secure.address, { tls: () => ({ ca: cert }) });
    assert.equal((await overTls.unary(unaryPath, hello, {})).message?.toString(), `hello ${secure.address}`);
    await using inTheClear = channelTo(secure.address);
    assert.equal((await inTheClear.unary(unaryPath, hello, {})).status.code, statusCode.UNAVAILABLE);

    await using directory = await temporaryDirectory();
    await using local = await rawGrpcServer(echo, { listen: `unix:${join(directory.path, "app.sock")}` });
    await using overUnix = channelTo(local.address);
    assert.equal((await overUnix.unary(unaryPath, hello, {})).message?.toString(), "hello localhost");
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
    const { promise: asked, resolve: cameFirst } = Promise.withResolvers<void>();
    const { promise: left, resolve } = Promise.withResolvers<number>();
    await using rig = await answering((stream) => {
      if (stream.id === 1) cameFirst();
      else stream.once("close", () => resolve(stream.rstCode));
    });
    // The time of the call shall not pass while the connection is made.
    const first = new AbortController();
    const cancelled = rig.channel.unary(unaryPath, hello, { signal: first.signal });
    await asked;
    first.abort();
    await cancelled;
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
        return noReceiver;
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
