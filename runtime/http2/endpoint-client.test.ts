import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import http from "node:http";
import http2 from "node:http2";
import net, { type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { EndpointClient, type EndpointClientOptions } from "./endpoint-client.ts";
import { errorCode } from "./error-code.ts";
import { HeaderBlock } from "./header-block.ts";
import { serveHttp2 } from "./server-connection.ts";
import type { Http2Connection, Http2Stream, StreamFault, StreamReceiver } from "./stream-contract.ts";

interface Peer extends AsyncDisposable {
  readonly address: string;
}

/** A server of Node's own HTTP/2. */
async function nodePeer(
  onStream: (stream: http2.ServerHttp2Stream, headers: http2.IncomingHttpHeaders) => void,
  options: http2.ServerOptions = {},
): Promise<Peer & { readonly sessions: Set<http2.ServerHttp2Session> }> {
  const server = http2.createServer(options).on("stream", onStream);
  const sessions = new Set<http2.ServerHttp2Session>();
  server.on("session", (session) => {
    sessions.add(session);
    session.on("error", () => undefined).once("close", () => sessions.delete(session));
  });
  server.on("sessionError", () => undefined);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    sessions,
    async [Symbol.asyncDispose]() {
      for (const session of sessions) session.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** A server that speaks what it is told to on each socket. */
async function socketPeer(accept: (socket: net.Socket) => void, path?: string): Promise<Peer> {
  const sockets = new Set<net.Socket>();
  const server = net.createServer({ noDelay: true }, (socket) => {
    sockets.add(socket.on("error", () => undefined));
    socket.once("close", () => sockets.delete(socket));
    accept(socket);
  });
  if (path === undefined) server.listen(0, "127.0.0.1");
  else server.listen(path);
  await once(server, "listening");
  return {
    address: path === undefined ? `127.0.0.1:${(server.address() as AddressInfo).port}` : `unix:${path}`,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** A port on which nobody listens. */
async function deadAddress(): Promise<string> {
  await using peer = await socketPeer(() => undefined);
  return peer.address;
}

interface Answer {
  readonly status: string;
  readonly body: string;
  readonly trailers: HeaderBlock | undefined;
}

/** Collects an answer; rejects with the fault. */
function collecting(): { readonly receiver: StreamReceiver; readonly answer: Promise<Answer> } {
  const { promise, resolve, reject } = Promise.withResolvers<Answer>();
  promise.catch(() => undefined);
  let status = "";
  const chunks: Buffer[] = [];
  const done = (trailers?: HeaderBlock): void => resolve({ status, body: Buffer.concat(chunks).toString(), trailers });
  const receiver: StreamReceiver = {
    headers(block, endStream) {
      status = block.get(":status") ?? "";
      if (endStream) done();
    },
    data(bytes, start, end, endStream) {
      chunks.push(Buffer.from(bytes.subarray(start, end)));
      if (endStream) done();
    },
    trailers: done,
    fault: reject,
    drained: () => undefined,
  };
  return { receiver, answer: promise };
}

const head = (path = "/", method = "POST"): HeaderBlock =>
  HeaderBlock.of(":method", method, ":scheme", "http", ":path", path, ":authority", "peer");

function get(client: EndpointClient, path = "/"): { readonly stream: Http2Stream; readonly answer: Promise<Answer> } {
  const { receiver, answer } = collecting();
  return { stream: client.request(head(path, "GET"), true, receiver), answer };
}

function post(client: EndpointClient, body: string): Promise<Answer> {
  const { receiver, answer } = collecting();
  const bytes = Buffer.from(body);
  client.request(head(), false, receiver).sendData(bytes, 0, bytes.length, true);
  return answer;
}

const faultOf = (answer: Promise<Answer>): Promise<StreamFault> =>
  answer.then(
    () => assert.fail("the request was answered"),
    (fault: StreamFault) => fault,
  );

const clientOf = (address: string, options: Partial<EndpointClientOptions> = {}): EndpointClient =>
  new EndpointClient({ address, ...options });

/** Counts the connections that a client makes. */
function countingDials(address: string): { connect: () => net.Socket; readonly sockets: net.Socket[] } {
  const sockets: net.Socket[] = [];
  const port = Number(address.slice(address.lastIndexOf(":") + 1));
  return {
    sockets,
    connect() {
      const socket = net.connect(port, "127.0.0.1");
      sockets.push(socket);
      return socket;
    },
  };
}

const echo = (stream: http2.ServerHttp2Stream): void => {
  stream.respond({ ":status": 200 });
  stream.pipe(stream);
};

const noReceiver: StreamReceiver = {
  headers: () => undefined,
  data: () => undefined,
  trailers: () => undefined,
  fault: () => undefined,
  drained: () => undefined,
};
const answer200 = HeaderBlock.of(":status", "200");

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

const untilNextTurn = (): Promise<string> => new Promise((resolve) => setImmediate(() => resolve("")));

/** A peer of our own, told what to do with each connection's streams. */
function ownPeer(
  onStream: (stream: Http2Stream, nth: number, connection: number) => StreamReceiver,
  connections: Http2Connection[] = [],
): Promise<Peer> {
  let accepted = 0;
  return socketPeer((socket) => {
    const connection = accepted++;
    let streams = 0;
    connections.push(serveHttp2(socket, { onStream: (stream) => onStream(stream, streams++, connection) }));
  });
}

/** Answers with the body that came. */
function echoing(stream: Http2Stream): StreamReceiver {
  stream.sendHeaders(answer200, false);
  return {
    ...noReceiver,
    data: (bytes, start, end, endStream) => void stream.sendData(bytes, start, end, endStream),
  };
}

describe("a request that was certainly not processed", () => {
  it("is sent once more, its content too, after the peer refused the stream", async () => {
    let refused = 0;
    await using peer = await ownPeer((stream, nth) => {
      if (nth > 0) return echoing(stream);
      refused += 1;
      stream.reset(errorCode.REFUSED_STREAM);
      return noReceiver;
    });
    await using client = clientOf(peer.address);
    const { receiver, answer } = collecting();
    const request = client.request(head(), false, receiver);
    const bytes = Buffer.from("one,two");
    request.sendData(bytes, 0, 4, false);
    request.sendData(bytes, 4, 7, true);
    assert.equal((await answer).body, "one,two");
    assert.equal(refused, 1);
  });

  it("fails when it is refused again", async () => {
    let refused = 0;
    await using peer = await ownPeer((stream) => {
      refused += 1;
      stream.reset(errorCode.REFUSED_STREAM);
      return noReceiver;
    });
    await using client = clientOf(peer.address);
    const fault = await faultOf(post(client, "x"));
    assert.deepEqual([fault.code, fault.unprocessed, refused], [errorCode.REFUSED_STREAM, true, 2]);
  });

  it("is not sent again with content that is not kept any more, or after an answer has begun", async () => {
    const refusals: (() => void)[] = [];
    const { promise: came, resolve } = Promise.withResolvers<void>();
    let served = 0;
    await using peer = await ownPeer((stream) => {
      served += 1;
      let bytesLeft = 100_000;
      refusals.push(() => stream.reset(errorCode.REFUSED_STREAM));
      return {
        ...noReceiver,
        data(_bytes, start, end) {
          bytesLeft -= end - start;
          if (bytesLeft <= 0) resolve();
        },
      };
    });
    await using client = clientOf(peer.address);
    const { receiver, answer } = collecting();
    const request = client.request(head(), false, receiver);
    request.sendData(Buffer.alloc(100_000), 0, 100_000, false);
    await came;
    for (const refuse of refusals) refuse();
    assert.equal((await faultOf(answer)).code, errorCode.REFUSED_STREAM);
    assert.equal(served, 1);
    assert.equal(request.isOpen, false);
  });

  it("moves to a new connection when GOAWAY leaves it out, while older ones end on theirs", async () => {
    const connections: Http2Connection[] = [];
    const { promise: older, resolve } = Promise.withResolvers<Http2Stream>();
    const served: number[] = [];
    await using peer = await ownPeer((stream, nth, connection) => {
      served.push(connection);
      if (nth > 0 || connection > 0) return echoing(stream);
      resolve(stream);
      return noReceiver;
    }, connections);
    await using client = clientOf(peer.address);
    const held = get(client);
    const stream = await older;
    connections[0]?.drain();
    // Some of these are on their way when the last GOAWAY is sent.
    const bodies = Array.from({ length: 20 }, (_, at) => String(at));
    const answers: Promise<Answer>[] = [];
    while (!served.includes(1)) {
      for (const body of bodies) answers.push(post(client, body));
      await untilNextTurn();
    }
    stream.sendHeaders(answer200, true);
    assert.equal((await held.answer).status, "200");
    for (const [at, { body }] of (await Promise.all(answers)).entries()) assert.equal(body, String(at % 20));
  });

  it("fails with the reason when the peer cannot be reached again", async () => {
    const peer = await ownPeer((stream) => {
      void peer[Symbol.asyncDispose]();
      stream.reset(errorCode.REFUSED_STREAM);
      return noReceiver;
    });
    await using client = clientOf(peer.address);
    assert.match((await faultOf(get(client).answer)).message, /^cannot connect to|connection|reset/);
  });

  it("is forgotten when its owner resets it while it waits to be sent again", async () => {
    await using peer = await ownPeer((stream, nth) => {
      if (nth > 0) return echoing(stream);
      stream.reset(errorCode.REFUSED_STREAM);
      return noReceiver;
    });
    await using client = clientOf(peer.address);
    const { stream } = get(client);
    const other = post(client, "x");
    stream.reset(errorCode.CANCEL);
    assert.equal(stream.isOpen, false);
    assert.equal((await other).body, "x");
  });
});

describe("a request in the hands of its owner", () => {
  it("is held back until there is a connection that takes its content, and then wants more", async () => {
    await using peer = await ownPeer(echoing);
    await using client = clientOf(peer.address);
    const { promise: wanted, resolve } = Promise.withResolvers<void>();
    const { receiver, answer } = collecting();
    const request = client.request(head(), false, { ...receiver, drained: resolve });
    assert.equal(request.sendData(Buffer.from("a"), 0, 1, false), false);
    await wanted;
    assert.equal(request.sendData(Buffer.from("b"), 0, 1, true), true);
    assert.equal((await answer).body, "ab");
    assert.equal(request.isReceived, true);
    assert.equal(request.isOpen, false);
  });

  it("can be paused before it has a connection; the peer is held back by its window", async () => {
    const whole = 1024 * 1024;
    const { promise: stuck, resolve } = Promise.withResolvers<void>();
    await using peer = await ownPeer((stream) => {
      stream.sendHeaders(answer200, false);
      assert.equal(stream.sendData(Buffer.alloc(whole), 0, whole, true), false);
      resolve();
      return noReceiver;
    });
    await using client = clientOf(peer.address, { limits: { streamWindowBytes: 65_535 } });
    let bytes = 0;
    const { promise: ended, resolve: end } = Promise.withResolvers<void>();
    const { promise: full, resolve: fill } = Promise.withResolvers<void>();
    const request = client.request(head("/", "GET"), true, {
      ...noReceiver,
      data(_bytes, from, to, endStream) {
        bytes += to - from;
        if (bytes === 65_535) fill();
        if (endStream) end();
      },
    });
    request.pause();
    await stuck;
    await full;
    await untilNextTurn();
    assert.equal(bytes, 65_535);
    request.resume();
    await ended;
    assert.equal(bytes, whole);
  });

  it("sends trailers", async () => {
    await using peer = await ownPeer((stream) => ({
      ...echoing(stream),
      data: () => undefined,
      trailers(block) {
        stream.sendHeaders(HeaderBlock.of("x-came", block.get("x-sent") ?? ""), true);
      },
    }));
    await using client = clientOf(peer.address);
    const { receiver, answer } = collecting();
    client.request(head(), false, receiver).sendHeaders(HeaderBlock.of("x-sent", "1"), true);
    assert.equal((await answer).trailers?.get("x-came"), "1");
  });
});
