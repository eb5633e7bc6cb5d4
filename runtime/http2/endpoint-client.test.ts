import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import http from "node:http";
import http2 from "node:http2";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import {
  answer200,
  clientOf,
  countingDials,
  deadAddress,
  echo,
  faultOf,
  get,
  head,
  nodePeer,
  noReceiver,
  post,
  socketPeer,
  untilNextTurn,
} from "../../test/support/http2-peers.ts";
import { errorCode } from "./error-code.ts";
import { serveHttp2 } from "./server-connection.ts";

describe("the client of an address", () => {
  it("sends what was written before there was a connection, and uses one connection for all", async () => {
    await using peer = await nodePeer(echo);
    const dials = countingDials(peer.address);
    await using client = clientOf(peer.address, dials);
    assert.equal(client.isReady, false);
    const answers = await Promise.all(["a", "b", "c"].map((body) => post(client, body)));
    assert.deepEqual(
      answers.map(({ status, body }) => [status, body]),
      [
        ["200", "a"],
        ["200", "b"],
        ["200", "c"],
      ],
    );
    assert.equal((await post(client, "later")).body, "later");
    assert.equal(client.isReady, true);
    assert.equal(client.activeRequests, 0);
    assert.equal(dials.sockets.length, 1);
  });

  it("says why it cannot connect, fails at once during the back-off, and connects after it", async () => {
    const address = await deadAddress();
    await using client = clientOf(address, { firstBackoffMs: 50, longestBackoffMs: 50 });
    for (let tries = 0; tries < 2; tries += 1) {
      const fault = await faultOf(get(client).answer);
      assert.equal(fault.origin, "connect");
      assert.equal(fault.unprocessed, true);
      assert.equal(fault.code, errorCode.CONNECT_ERROR);
      assert.match(fault.message, new RegExp(`^cannot connect to ${address}: .*ECONNREFUSED`));
    }
    const server = http2.createServer().on("stream", echo);
    server.listen(Number(address.split(":")[1]), "127.0.0.1");
    await once(server, "listening");
    // The back-off is over when a request is not refused any more.
    let status = "";
    while (status === "") status = await get(client).answer.then((answer) => answer.status, untilNextTurn);
    assert.equal(status, "200");
    await client[Symbol.asyncDispose]();
    server.close();
  });

  it("opens a further connection when the peer's limit of streams is reached, no more than allowed, and queues behind", async () => {
    const held: http2.ServerHttp2Stream[] = [];
    const arrived = Promise.withResolvers<void>();
    await using peer = await nodePeer(
      (stream, { ":path": path }) => {
        if (path !== "/held") {
          echo(stream);
          return;
        }
        held.push(stream);
        if (held.length === 2) arrived.resolve();
      },
      { settings: { maxConcurrentStreams: 1 } },
    );
    const dials = countingDials(peer.address);
    await using client = clientOf(peer.address, { ...dials, maxConnections: 2 });
    const first = get(client, "/held");
    const second = get(client, "/held");
    await arrived.promise;
    const third = get(client);
    assert.equal(client.activeRequests, 3);
    assert.equal(third.stream.id, 0);
    for (const stream of held) stream.respond({ ":status": 204 }, { endStream: true });
    assert.equal((await first.answer).status, "204");
    assert.equal((await second.answer).status, "204");
    assert.equal((await third.answer).status, "200");
    assert.equal(dials.sockets.length, 2);
  });

  it("refuses one request more than may wait", async () => {
    await using peer = await socketPeer(() => undefined);
    await using client = clientOf(peer.address, { maxQueuedRequests: 1 });
    const waiting = get(client);
    const refused = await faultOf(get(client).answer);
    assert.match(refused.message, /^1 requests wait for a connection to 127/);
    waiting.stream.reset(errorCode.CANCEL);
    assert.equal(client.activeRequests, 0);
  });

  it("gives up a peer that does not speak HTTP/2 or does not speak at all", async () => {
    await using silent = await socketPeer(() => undefined);
    await using patient = clientOf(silent.address, { connectTimeoutMs: 20 });
    assert.match((await faultOf(get(patient).answer)).message, /did not answer within 20 ms/);

    const server = http.createServer((_request, response) => response.end()).listen(0, "127.0.0.1");
    await once(server, "listening");
    await using client = clientOf(`127.0.0.1:${(server.address() as AddressInfo).port}`);
    const fault = await faultOf(get(client).answer);
    assert.equal(fault.origin, "connect");
    assert.match(fault.message, /^cannot connect to 127/);
    server.close();
  });

  it("connects again after the peer has hung up, and tells who waits for that", async () => {
    await using peer = await nodePeer(echo);
    const dials = countingDials(peer.address);
    await using client = clientOf(peer.address, dials);
    await post(client, "x");
    const gone = client.untilDisconnected(new AbortController().signal);
    for (const session of peer.sessions) session.destroy();
    await gone;
    assert.equal(client.isReady, false);
    assert.equal((await post(client, "again")).body, "again");
    assert.equal(dials.sockets.length, 2);
    const stopping = new AbortController();
    const waiting = client.untilDisconnected(stopping.signal);
    stopping.abort();
    await waiting;
    assert.equal(client.isReady, true);
  });

  it("does not repeat a request that the peer may have worked on when the connection is lost", async () => {
    let served = 0;
    await using peer = await nodePeer((stream) => {
      served += 1;
      stream.session?.destroy();
    });
    await using client = clientOf(peer.address);
    const fault = await faultOf(post(client, "x"));
    assert.equal(fault.origin, "connection");
    assert.equal(fault.unprocessed, false);
    assert.equal(served, 1);
  });

  it("closes a connection that nobody uses", async () => {
    await using peer = await nodePeer(echo);
    await using client = clientOf(peer.address, { limits: { idleMs: 10 } });
    await post(client, "x");
    await client.untilDisconnected(new AbortController().signal);
    assert.equal((await post(client, "y")).body, "y");
  });

  it("lets requests end when it is drained, those that wait too, and takes no more", async () => {
    const { promise: asked, resolve } = Promise.withResolvers<http2.ServerHttp2Stream>();
    await using peer = await nodePeer(resolve);
    await using client = clientOf(peer.address);
    const waiting = post(client, "waiting");
    client.drain();
    assert.match((await faultOf(get(client).answer)).message, /is closed$/);
    echo(await asked);
    assert.equal((await waiting).body, "waiting");
    await client.untilDisconnected(new AbortController().signal);
  });

  it("ends requests with a fault when it is closed, and leaves no socket behind", async () => {
    const { promise: asked, resolve } = Promise.withResolvers<http2.ServerHttp2Stream>();
    await using peer = await nodePeer(resolve);
    const dials = countingDials(peer.address);
    const client = clientOf(peer.address, dials);
    const { answer } = get(client);
    await asked;
    await client[Symbol.asyncDispose]();
    assert.equal((await faultOf(answer)).origin, "connection");
    assert.ok(dials.sockets.every(({ destroyed }) => destroyed));
    await client[Symbol.asyncDispose]();

    const dialling = clientOf(peer.address, dials);
    const unsent = get(dialling);
    await dialling[Symbol.asyncDispose]();
    assert.equal((await faultOf(unsent.answer)).origin, "connect");
    assert.ok(dials.sockets.every(({ destroyed }) => destroyed));
  });

  it("speaks over a Unix socket", async () => {
    const directory = await mkdtemp(join(tmpdir(), "endpoint-"));
    const path = join(directory, "peer.sock");
    {
      await using peer = await socketPeer((socket) => {
        serveHttp2(socket, {
          onStream(stream) {
            stream.sendHeaders(answer200, true);
            return noReceiver;
          },
        });
      }, path);
      await using client = clientOf(peer.address);
      const { stream, answer } = get(client);
      assert.equal((await answer).status, "200");
      assert.equal(stream.connection.remoteAddress, "unix:");
    }
    await using client = clientOf(`unix:${path}`);
    assert.match((await faultOf(get(client).answer)).message, /ENOENT/);
    await rm(directory, { recursive: true });
  });

  it("passes on what a receiver throws, and goes on", async () => {
    await using peer = await nodePeer(echo);
    const errors: unknown[] = [];
    await using client = clientOf(peer.address, { onReceiverError: (error) => errors.push(error) });
    const { promise: thrown, resolve } = Promise.withResolvers<void>();
    client.request(head(), true, {
      ...noReceiver,
      headers() {
        resolve();
        throw new Error("no");
      },
    });
    await thrown;
    assert.equal((await post(client, "x")).body, "x");
    assert.equal(errors.length, 1);
  });
});
