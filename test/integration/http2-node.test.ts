/** Our HTTP/2 against Node's, both ways round: flow control, header compression, trailers, drain, with random sizes. */
import assert from "node:assert/strict";
import { once } from "node:events";
import http2 from "node:http2";
import { type AddressInfo, connect } from "node:net";
import { describe, it } from "node:test";
import { connect as connectTls, createServer } from "node:tls";
import { connectHttp2 } from "../../runtime/http2/client-connection.ts";
import { HeaderBlock } from "../../runtime/http2/header-block.ts";
import { serveHttp2 } from "../../runtime/http2/server-connection.ts";
import type { Http2ClientConnection, Http2Limits, Http2Stream } from "../../runtime/http2/stream-contract.ts";
import { selfSigned } from "../support/certificate.ts";
import { listenFor } from "../support/http2-frames.ts";

/** Numbers below `most`, the same in each run. */
function numbers(seed: number): (most: number) => number {
  let state = seed;
  return (most) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff;
    return (state >>> 8) % most;
  };
}

/** Octets that tell where they stand. */
function patterned(bytes: number): Buffer {
  const body = Buffer.allocUnsafe(bytes);
  for (let at = 0; at < bytes; at += 1) body[at] = (at * 31 + (at >>> 8)) & 0xff;
  return body;
}

interface OurServer extends AsyncDisposable {
  readonly url: string;
  drain(): void;
}

/** Sends every body back as it comes, each request's fields as fields, and trailers; pauses at random moments. */
async function ourEcho(limits: Partial<Http2Limits>, random: (most: number) => number): Promise<OurServer> {
  const connections = new Set<{ drain(): void }>();
  const listener = await listenFor((socket) => {
    const connection = serveHttp2(socket, {
      limits,
      onStream: (stream, head, endStream) => {
        stream.sendHeaders(new HeaderBlock([":status", "200", ...copied(head.flat)], head.sensitive), false);
        const trailers = HeaderBlock.of("x-octets", "");
        let octets = 0;
        const end = (): void => stream.sendHeaders(new HeaderBlock([trailers.flat[0] ?? "", String(octets)]), true);
        if (endStream) end();
        return {
          headers: () => undefined,
          data: (bytes, start, stop, ends) => {
            octets += stop - start;
            if (!stream.sendData(bytes, start, stop, false)) stream.pause();
            else if (random(8) === 0) {
              stream.pause();
              setImmediate(() => stream.resume());
            }
            if (ends) end();
          },
          trailers: end,
          fault: () => undefined,
          drained: () => stream.resume(),
        };
      },
    });
    connections.add(connection);
  });
  return {
    url: `http://127.0.0.1:${listener.port}`,
    drain: () => {
      for (const connection of connections) connection.drain();
    },
    [Symbol.asyncDispose]: () => listener[Symbol.asyncDispose](),
  };
}

const copied = (flat: readonly string[]): string[] =>
  flat.filter((_, at) => (flat[at - (at % 2)] ?? "").startsWith("x-"));

interface Answer {
  readonly body: Buffer;
  readonly headers: http2.IncomingHttpHeaders;
  readonly trailers: http2.IncomingHttpHeaders;
}

async function nodeRequest(
  session: http2.ClientHttp2Session,
  fields: http2.OutgoingHttpHeaders,
  body: Buffer,
  random: (most: number) => number,
): Promise<Answer> {
  const request = session.request({ ":method": "POST", ":path": "/", ...fields });
  const chunks: Buffer[] = [];
  let headers: http2.IncomingHttpHeaders = {};
  let trailers: http2.IncomingHttpHeaders = {};
  request.on("response", (found) => {
    headers = found;
  });
  request.on("trailers", (found) => {
    trailers = found;
  });
  request.on("data", (chunk: Buffer) => {
    chunks.push(chunk);
    if (random(6) > 0) return;
    request.pause();
    setImmediate(() => request.resume());
  });
  for (let at = 0; at < body.length; ) {
    const size = 1 + random(100_000);
    if (!request.write(body.subarray(at, at + size)))
      await Promise.race([once(request, "drain"), once(request, "close")]);
    at += size;
  }
  request.end();
  await once(request, "end");
  return { body: Buffer.concat(chunks), headers, trailers };
}

describe("Node's client and our server", () => {
  for (const seed of [1, 2, 3, 4]) {
    it(`exchange every octet through windows of any size, on many streams (seed ${seed})`, async () => {
      const random = numbers(seed);
      const limits = {
        streamWindowBytes: 1 + random(200_000),
        connectionWindowBytes: 65_535 + random(500_000),
        maxFrameBytes: 16_384 + random(50_000),
      };
      await using server = await ourEcho(limits, random);
      const session = http2.connect(server.url, {
        settings: { initialWindowSize: 1 + random(150_000), maxFrameSize: 16_384 + random(60_000) },
        paddingStrategy: [http2.constants.PADDING_STRATEGY_NONE, http2.constants.PADDING_STRATEGY_MAX][seed % 2] ?? 0,
      });
      try {
        const requests = Array.from({ length: 12 }, async () => {
          const body = patterned(random(4) === 0 ? random(10) : random(400_000));
          const answer = await nodeRequest(session, {}, body, random);
          assert.ok(answer.body.equals(body));
          assert.equal(answer.trailers["x-octets"], String(body.length));
        });
        const resizing = (async () => {
          for (let round = 0; round < 10; round += 1) {
            session.settings({ initialWindowSize: random(3) === 0 ? random(100) : random(300_000) });
            await once(session, "localSettings");
          }
          session.settings({ initialWindowSize: 100_000 });
        })();
        await Promise.all([...requests, resizing]);
      } finally {
        session.destroy();
      }
    });
  }

  it("understand each other's compressed heads, whatever their fields, while the table's size changes", async () => {
    const random = numbers(11);
    await using server = await ourEcho({}, random);
    const session = http2.connect(server.url, { settings: { headerTableSize: 4096 } });
    try {
      const values = Array.from({ length: 20 }, () => text(random));
      for (let round = 0; round < 150; round += 1) {
        const fields: Record<string, string | string[]> = {};
        for (let count = random(10); count > 0; count -= 1) {
          fields[`x-${random(40)}`] = random(3) > 0 ? (values[random(values.length)] ?? "") : text(random);
        }
        if (random(10) === 0) session.settings({ headerTableSize: random(4097) });
        const sensitive = Object.keys(fields).slice(0, 1);
        const answer = await nodeRequest(
          session,
          { ...fields, [http2.sensitiveHeaders]: sensitive },
          Buffer.alloc(0),
          random,
        );
        for (const [name, value] of Object.entries(fields)) assert.equal(answer.headers[name], value);
        // What was never to be indexed comes back so (RFC 7541, section 7.1.3).
        assert.deepEqual(
          sensitive.filter((name) => !sensitiveOf(answer.headers).includes(name)),
          [],
        );
      }
    } finally {
      session.destroy();
    }
  });

  it("part in order: what is under way is served behind GOAWAY", async () => {
    const random = numbers(12);
    await using server = await ourEcho({}, random);
    const session = http2.connect(server.url);
    const goAways: number[] = [];
    session.on("goaway", (code: number) => goAways.push(code));
    const request = session.request({ ":method": "POST", ":path": "/" });
    const response = once(request, "response");
    request.write("first");
    await response;
    server.drain();
    const closed = once(session, "close");
    request.end("last");
    const body = Buffer.concat((await request.toArray()) as Buffer[]);
    assert.equal(body.toString(), "firstlast");
    await closed;
    assert.deepEqual([...new Set(goAways)], [0]);
  });
});

const sensitiveOf = (headers: http2.IncomingHttpHeaders): readonly string[] => {
  const found: unknown = Reflect.get(headers, http2.sensitiveHeaders);
  return Array.isArray(found) ? found.map(String) : [];
};

function text(random: (most: number) => number): string {
  const length = random(5) === 0 ? random(1500) : random(40);
  return String.fromCharCode(...Array.from({ length }, () => 33 + random(94)));
}

/** Sends the whole body as far as it may, and resolves to what came back. */
async function ourRequest(
  client: Http2ClientConnection,
  body: Buffer,
  random: (most: number) => number,
): Promise<{ readonly status: string; readonly body: Buffer; readonly trailers: HeaderBlock | undefined }> {
  const done = Promise.withResolvers<HeaderBlock | undefined>();
  const chunks: Buffer[] = [];
  let status = "";
  let at = 0;
  const send = (stream: Http2Stream): void => {
    while (at < body.length) {
      const end = Math.min(body.length, at + 1 + random(100_000));
      const from = at;
      at = end;
      if (!stream.sendData(body, from, end, end === body.length)) return;
    }
  };
  const head = HeaderBlock.of(":method", "POST", ":scheme", "http", ":path", "/", ":authority", "localhost");
  const stream = client.request(head, body.length === 0, {
    headers: (block) => {
      status = block.get(":status") ?? "";
    },
    data: (bytes, start, end, endStream) => {
      chunks.push(bytes.subarray(start, end));
      if (random(5) === 0) {
        stream.pause();
        setImmediate(() => stream.resume());
      }
      if (endStream) done.resolve(undefined);
    },
    trailers: (block) => done.resolve(block),
    fault: (fault) => done.reject(new Error(fault.message)),
    drained: () => send(stream),
  });
  send(stream);
  const trailers = await done.promise;
  return { status, body: Buffer.concat(chunks), trailers };
}

interface NodeServer extends AsyncDisposable {
  readonly port: number;
  readonly sessions: readonly http2.ServerHttp2Session[];
}

async function nodeServer(
  options: http2.ServerOptions,
  serve: (stream: http2.ServerHttp2Stream) => void,
): Promise<NodeServer> {
  const server = http2.createServer(options);
  const sessions: http2.ServerHttp2Session[] = [];
  server.on("session", (session) => sessions.push(session));
  server.on("stream", serve);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    port: (server.address() as AddressInfo).port,
    sessions,
    [Symbol.asyncDispose]: async () => {
      for (const session of sessions) session.destroy();
      server.close();
      await once(server, "close");
    },
  };
}

const echo = (stream: http2.ServerHttp2Stream): void => {
  stream.respond({ ":status": 200 }, { waitForTrailers: true });
  stream.on("wantTrailers", () => stream.sendTrailers({ "x-end": "yes" }));
  stream.pipe(stream);
};

describe("TLS", () => {
  it("carries every octet between our client and our server, in large and small writes", async () => {
    const random = numbers(31);
    const certificate = selfSigned();
    const server = createServer({ ...certificate, ALPNProtocols: ["h2"] }, (socket) => {
      serveHttp2(socket, {
        onStream: (stream, _, endStream) => {
          stream.sendHeaders(HeaderBlock.of(":status", "200"), endStream);
          return {
            headers: () => undefined,
            data: (bytes, start, end, ends) => {
              if (!stream.sendData(bytes, start, end, ends)) stream.pause();
            },
            trailers: () => undefined,
            fault: () => undefined,
            drained: () => stream.resume(),
          };
        },
      });
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    const options = { host: "127.0.0.1", port, ca: certificate.cert, ALPNProtocols: ["h2"], servername: "localhost" };
    const client = connectHttp2(connectTls(options), {});
    const answers = Array.from({ length: 20 }, async () => {
      const body = patterned(1 + (random(2) === 0 ? random(100) : random(500_000)));
      assert.ok((await ourRequest(client, body, random)).body.equals(body));
    });
    await Promise.all(answers);
    client.drain();
    server.close();
    await once(server, "close");
  });
});

describe("our client and Node's server", () => {
  for (const seed of [1, 2, 3, 4]) {
    it(`exchange every octet through windows of any size, on many streams (seed ${seed})`, async () => {
      const random = numbers(100 + seed);
      const settings = { initialWindowSize: 1 + random(150_000), maxFrameSize: 16_384 + random(60_000) };
      await using server = await nodeServer(
        { settings, paddingStrategy: [0, http2.constants.PADDING_STRATEGY_MAX][seed % 2] ?? 0 },
        echo,
      );
      const client = connectHttp2(connect(server.port, "127.0.0.1"), {
        limits: { streamWindowBytes: 1 + random(200_000), connectionWindowBytes: 65_535 + random(500_000) },
      });
      const requests = Array.from({ length: 12 }, async () => {
        const body = patterned(random(4) === 0 ? random(10) : random(400_000));
        const answer = await ourRequest(client, body, random);
        assert.equal(answer.status, "200");
        assert.ok(answer.body.equals(body));
        assert.deepEqual(answer.trailers?.flat, ["x-end", "yes"]);
      });
      const resizing = (async () => {
        while (server.sessions.length === 0) await new Promise(setImmediate);
        const [session] = server.sessions;
        for (let round = 0; round < 10; round += 1) {
          session?.settings({ initialWindowSize: random(3) === 0 ? random(100) : random(300_000) });
          await new Promise(setImmediate);
        }
        session?.settings({ initialWindowSize: 100_000 });
      })();
      await Promise.all([...requests, resizing]);
      client.drain();
    });
  }

  it("agree on the number of streams: no request is refused when each waits for its turn", async () => {
    const random = numbers(21);
    await using server = await nodeServer({ settings: { maxConcurrentStreams: 3 } }, echo);
    const waiting: (() => void)[] = [];
    const client = connectHttp2(connect(server.port, "127.0.0.1"), {
      onAvailable: (own) => {
        while (own.canRequest && waiting.length > 0) waiting.shift()?.();
      },
    });
    const answers = Array.from({ length: 40 }, async () => {
      const begun = Promise.withResolvers<{ readonly body: Buffer }>();
      waiting.push(() => begun.resolve(ourRequest(client, patterned(1000), random)));
      return (await begun.promise).body.length;
    });
    for (const answer of answers) assert.equal(await answer, 1000);
    client.drain();
  });
});
