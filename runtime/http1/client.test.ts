import assert from "node:assert/strict";
import { once } from "node:events";
import net, { type AddressInfo } from "node:net";
import { describe, it } from "node:test";
import { Http1Client } from "./client.ts";
import type { ClientFault, Http1ClientOptions, ResponseReceiver } from "./client-contract.ts";
import type { ClientExchange } from "./client-exchange.ts";
import type { RequestStart } from "./request-text.ts";

interface Server extends AsyncDisposable {
  readonly port: number;
  readonly sockets: net.Socket[];
  /** What came on all connections, in order. */
  readonly requests: string[];
}

/** A server that hands what comes to the test: one call for each chunk that ends a message. */
async function serve(answer: (socket: net.Socket, request: string, at: number) => void): Promise<Server> {
  const sockets: net.Socket[] = [];
  const requests: string[] = [];
  const server = net.createServer((socket) => {
    sockets.push(socket);
    socket.on("error", () => undefined);
    let text = "";
    socket.on("data", (chunk: Buffer) => {
      text += chunk.toString("latin1");
      if (!/\r\n\r\n$/.test(text)) return;
      const request = text;
      text = "";
      requests.push(request);
      answer(socket, request, requests.length);
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    port: (server.address() as AddressInfo).port,
    sockets,
    requests,
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

interface Result {
  readonly status: number;
  readonly interim: number[];
  readonly body: string;
  readonly trailers: string[];
}

class Failure extends Error {
  readonly fault: ClientFault;

  constructor(fault: ClientFault, cause: Error) {
    super(fault, { cause });
    this.fault = fault;
  }
}

const open = (options: Partial<Http1ClientOptions> = {}): Http1Client =>
  new Http1Client({ connectTimeoutMs: 5_000, idleTimeoutMs: 5_000, maxConnectionsPerEndpoint: 8, ...options });

const get: RequestStart = { method: "GET", path: "/", authority: "a", fields: [], isEmpty: true };

interface Sent {
  readonly exchange: ClientExchange;
  readonly result: Promise<Result>;
  readonly connected: Promise<void>;
  readonly drained: Promise<void>;
  readonly begun: Promise<void>;
}

function send(client: Http1Client, port: number, start: RequestStart = get): Sent {
  const interim: number[] = [];
  let status = 0;
  let body = "";
  const { promise: result, resolve, reject } = Promise.withResolvers<Result>();
  const connected = Promise.withResolvers<void>();
  const drained = Promise.withResolvers<void>();
  const begun = Promise.withResolvers<void>();
  const end = (trailers: string[]) => resolve({ status, interim, body, trailers });
  const receiver: ResponseReceiver = {
    connected: connected.resolve,
    interim: (code) => interim.push(code),
    head: (head, isEnd) => {
      status = head.status;
      begun.resolve();
      if (isEnd) end([]);
    },
    data: (chunk, isLast) => {
      body += Buffer.from(chunk).toString("latin1");
      if (isLast) end([]);
    },
    end,
    drained: drained.resolve,
    failed: (fault, cause) => reject(new Failure(fault, cause)),
  };
  const exchange = client.request(`127.0.0.1:${port}`, { host: "127.0.0.1", port }, start, receiver);
  if (exchange.hasBegun) connected.resolve();
  result.catch(() => undefined);
  return { exchange, result, connected: connected.promise, drained: drained.promise, begun: begun.promise };
}

const ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const failsWith = (fault: ClientFault) => (error: unknown) => error instanceof Failure && error.fault === fault;

describe("an HTTP/1.1 client", () => {
  it("sends the head in one piece, Host first, without what concerns the connection", async () => {
    await using server = await serve((socket) => socket.write(ok));
    using client = open();
    const fields = ["x-one", "1", "connection", "x", "te", "trailers", ":method", "x", "host", "b", "x-two", "\u00e4"];
    const { status, body } = await send(client, server.port, { ...get, fields }).result;
    assert.deepEqual([status, body], [200, "ok"]);
    assert.deepEqual(server.requests, ["GET / HTTP/1.1\r\nhost: a\r\nx-one: 1\r\nx-two: \u00e4\r\n\r\n"]);
  });

  it("frames bodies by their length, or in chunks with trailers", async () => {
    await using server = await serve((socket) => socket.write(ok));
    using client = open();
    const post: RequestStart = { ...get, method: "POST", isEmpty: false };
    const known = send(client, server.port, { ...post, fields: ["content-length", "4"] });
    await known.connected;
    known.exchange.write(Buffer.from("\r\n\r\n"));
    known.exchange.end([]);
    await known.result;
    const unknown = send(client, server.port, post);
    await unknown.connected;
    unknown.exchange.write(Buffer.from("hello"));
    unknown.exchange.end(["x-sum", "1"]);
    await unknown.result;
    await send(client, server.port, { ...get, method: "POST" }).result;
    assert.deepEqual(server.requests, [
      "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\n\r\n\r\n\r\n",
      "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nx-sum: 1\r\n\r\n",
      "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n",
    ]);
  });

  it("does not send a body that is longer or shorter than its head has said", async () => {
    await using server = await serve(() => undefined);
    using client = open();
    for (const body of ["hell", "hello!"]) {
      const start: RequestStart = { ...get, method: "PUT", isEmpty: false, fields: ["content-length", "5"] };
      const { exchange, connected, result } = send(client, server.port, start);
      await connected;
      exchange.write(Buffer.from(body));
      exchange.end([]);
      await assert.rejects(result, failsWith("lost"));
    }
  });

  it("uses a connection for one request after the other, the one that became idle last first", async () => {
    await using server = await serve((socket) => socket.write(ok));
    using client = open();
    const first = send(client, server.port);
    await Promise.all([first.result, send(client, server.port).result]);
    for (let at = 0; at < 5; at += 1) assert.equal((await send(client, server.port).result).status, 200);
    assert.equal(server.sockets.length, 2);
    assert.match(send(client, server.port).exchange.localAddress, /^127\.0\.0\.1:\d+$/);
  });

  it("has no more connections than it may, and lets requests wait for one", async () => {
    await using server = await serve((socket) => setImmediate(() => socket.write(ok)));
    using client = open({ maxConnectionsPerEndpoint: 2 });
    const sent = Array.from({ length: 9 }, () => send(client, server.port));
    sent[8]?.exchange.cancel();
    await Promise.all(sent.slice(0, 8).map(({ result }) => result));
    assert.deepEqual([server.sockets.length, server.requests.length], [2, 8]);
  });

  it("tells of interim responses, but not of 100", async () => {
    await using server = await serve((socket) =>
      socket.write(`HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n${ok}`),
    );
    using client = open();
    assert.deepEqual((await send(client, server.port).result).interim, [103]);
  });

  it("takes what ends with the connection, and dials anew for the next", async () => {
    await using server = await serve((socket) => socket.end("HTTP/1.1 200 OK\r\n\r\nall of it"));
    using client = open();
    for (let at = 0; at < 2; at += 1) assert.equal((await send(client, server.port).result).body, "all of it");
    assert.equal(server.sockets.length, 2);
  });

  it("does not use a connection again that the server closes", async () => {
    const closing = ["Connection: close", "connection: Keep-Alive, Close", "Keep-Alive: timeout=0"];
    await using server = await serve((socket, _request, at) =>
      socket.write(`HTTP/1.1 200 OK\r\n${closing[at - 1]}\r\nContent-Length: 0\r\n\r\n`),
    );
    using client = open({ idleTimeoutMs: 60 });
    for (let at = 0; at < 2; at += 1) await send(client, server.port).result;
    assert.equal(server.sockets.length, 2);
  });

  it("lets idle connections go", async () => {
    await using server = await serve((socket) => socket.write(ok));
    using client = open({ idleTimeoutMs: 30 });
    await send(client, server.port).result;
    const [socket] = server.sockets;
    assert.ok(socket !== undefined);
    if (!socket.closed) await once(socket, "close");
  });

  it("gives answers up that nobody has asked for, with their connection", async () => {
    await using server = await serve((socket) =>
      socket.write(`${ok}HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison`),
    );
    using client = open();
    for (let at = 0; at < 3; at += 1) assert.equal((await send(client, server.port).result).body, "ok");
    assert.equal(server.sockets.length, 3);
  });

  it("gives an idle connection up on which something comes", async () => {
    await using server = await serve((socket) => socket.write(ok));
    using client = open();
    await send(client, server.port).result;
    const [socket] = server.sockets;
    assert.ok(socket !== undefined);
    socket.write("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison");
    await once(socket, "close");
    assert.equal((await send(client, server.port).result).body, "ok");
  });

  it("takes an answer that comes before its request has ended, and gives the connection up then", async () => {
    await using server = await serve((socket) => socket.write(ok));
    using client = open();
    const early = send(client, server.port, { ...get, method: "POST", isEmpty: false });
    assert.equal((await early.result).status, 200);
    early.exchange.write(Buffer.from("too late"));
    await send(client, server.port).result;
    assert.equal(server.sockets.length, 2);
  });

  it("holds a slow reader's response back, and says when a slow server takes more", async () => {
    await using server = await serve((socket) => {
      socket.pause();
      socket.write("HTTP/1.1 200 OK\r\n\r\n");
    });
    using client = open();
    const { exchange, connected, drained, begun } = send(client, server.port, {
      ...get,
      method: "POST",
      isEmpty: false,
    });
    await connected;
    await begun;
    const chunk = Buffer.alloc(64 * 1024);
    while (exchange.write(chunk)) await new Promise((resolve) => setImmediate(resolve));
    server.sockets[0]?.resume();
    await drained;
    exchange.cancel();
  });
});

describe("a request fails", () => {
  it("as `connect` when there is no connection", async () => {
    const server = await serve(() => undefined);
    await server[Symbol.asyncDispose]();
    using client = open();
    await assert.rejects(send(client, server.port).result, failsWith("connect"));
  });

  it("as `lost` when a new connection breaks, at any point", async () => {
    for (const answer of ["", "HTTP/1.1 20", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe"]) {
      await using server = await serve((socket) => socket.end(answer));
      using client = open();
      await assert.rejects(send(client, server.port).result, failsWith("lost"));
    }
  });

  it("as `stale` when a connection that was used before is closed before any octet of the answer", async () => {
    for (const how of ["end", "resetAndDestroy"] as const) {
      await using server = await serve((socket, _request, at) => (at === 1 ? socket.write(ok) : socket[how]()));
      using client = open();
      await send(client, server.port).result;
      await assert.rejects(send(client, server.port).result, failsWith("stale"));
    }
  });

  it("as `lost` when such a connection is closed after the first octet of the answer", async () => {
    await using server = await serve((socket, _request, at) => (at === 1 ? socket.write(ok) : socket.end("H")));
    using client = open();
    await send(client, server.port).result;
    await assert.rejects(send(client, server.port).result, failsWith("lost"));
  });

  it("as `malformed` when what comes back is not HTTP/1.1, or switches protocols", async () => {
    const endless = "HTTP/1.1 103 Early Hints\r\n\r\n".repeat(65);
    const answers = [
      endless,
      "220 mail",
      "HTTP/1.1 101 Switching Protocols\r\n\r\n",
      "HTTP/1.1 200 OK\r\nX : y\r\n\r\n",
    ];
    for (const answer of answers) {
      await using server = await serve((socket) => socket.write(answer));
      using client = open();
      await assert.rejects(send(client, server.port).result, failsWith("malformed"));
    }
  });

  it("when the client is closed, also while it waits for a connection", async () => {
    await using server = await serve(() => undefined);
    const client = open({ maxConnectionsPerEndpoint: 1 });
    const sent = [send(client, server.port), send(client, server.port)];
    await sent[0]?.connected;
    client[Symbol.dispose]();
    await assert.rejects(sent[0]?.result ?? Promise.resolve(), failsWith("lost"));
    await assert.rejects(sent[1]?.result ?? Promise.resolve(), failsWith("connect"));
  });

  it("without a word when it was cancelled, and the server sees that", async () => {
    const arrived = Promise.withResolvers<net.Socket>();
    await using server = await serve((socket) => arrived.resolve(socket));
    using client = open();
    const { exchange } = send(client, server.port);
    const socket = await arrived.promise;
    exchange.cancel();
    await once(socket, "close");
  });
});
