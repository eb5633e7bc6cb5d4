import assert from "node:assert/strict";
import { once } from "node:events";
import net, { type AddressInfo } from "node:net";
import { describe, it } from "node:test";
import type { MessageFault } from "./message-fault.ts";
import type { RequestHead } from "./request-head.ts";
import { Http1Server } from "./server.ts";
import type { Http1ServerOptions, RequestReceiver, Response } from "./server-contract.ts";

/** A request as it came, while it is answered. */
interface Asked {
  readonly head: RequestHead;
  readonly response: Response;
  body: string;
  trailers: string[];
  isWhole: boolean;
  isGone: boolean;
}

interface Rig extends AsyncDisposable {
  readonly server: Http1Server<string>;
  readonly port: number;
  readonly asked: Asked[];
  readonly refused: MessageFault[];
  /** Resolves to the next request whose head came, or came and was not asked for yet. */
  next(): Promise<Asked>;
}

type Answer = (asked: Asked) => void;

/** A server on a free port: `answer` is called when a request is whole, `begun` with its head. */
async function open(
  answer: Answer,
  options: Partial<Http1ServerOptions<string>> & { readonly begun?: Answer } = {},
): Promise<Rig> {
  const asked: Asked[] = [];
  const refused: MessageFault[] = [];
  const waiting: ((one: Asked) => void)[] = [];
  let taken = 0;
  const { begun, ...rest } = options;
  const server = new Http1Server<string>({
    onRequest: (response, head) => {
      const one: Asked = { head, response, body: "", trailers: [], isWhole: head.body === 0, isGone: false };
      asked.push(one);
      const waiter = waiting.shift();
      if (waiter !== undefined) {
        taken += 1;
        waiter(one);
      }
      begun?.(one);
      if (one.isWhole) answer(one);
      return receiverOf(one, answer);
    },
    onRefused: (fault) => refused.push(fault),
    headTimeoutMs: 10_000,
    idleTimeoutMs: 10_000,
    ...rest,
  });
  const listener = net
    .createServer({ noDelay: true }, (socket) => server.accept(socket, "about"))
    .listen(0, "127.0.0.1");
  await once(listener, "listening");
  return {
    server,
    port: (listener.address() as AddressInfo).port,
    asked,
    refused,
    next: () => {
      const known = asked[taken];
      if (known === undefined) return new Promise((resolve) => waiting.push(resolve));
      taken += 1;
      return Promise.resolve(known);
    },
    [Symbol.asyncDispose]: async () => {
      listener.close();
      await server.close();
    },
  };
}

function receiverOf(one: Asked, answer: Answer): RequestReceiver {
  const end = () => {
    one.isWhole = true;
    answer(one);
  };
  return {
    data: (chunk, isLast) => {
      one.body += chunk.toString("latin1");
      if (isLast) end();
    },
    end: (trailers) => {
      one.trailers = trailers;
      end();
    },
    gone: () => {
      one.isGone = true;
    },
    drained: () => undefined,
  };
}

const hello: Answer = ({ response }) => {
  response.head(200, ["content-length", "5"], false);
  response.data(Buffer.from("hello"), true);
};

/** A client that writes octets as they are and keeps what comes back. */
class Client implements Disposable {
  readonly socket: net.Socket;
  received = "";
  errorCode: string | undefined;
  readonly closed: Promise<void>;

  constructor(port: number) {
    this.socket = net.connect(port, "127.0.0.1");
    this.socket.on("error", (error: NodeJS.ErrnoException) => {
      this.errorCode = error.code;
    });
    this.socket.on("data", (chunk: Buffer) => {
      this.received += chunk.toString("latin1");
    });
    this.closed = new Promise((resolve) => this.socket.once("close", () => resolve()));
  }

  send(text: string): this {
    this.socket.write(text, "latin1");
    return this;
  }

  /** Resolves when what was received matches. */
  async until(pattern: RegExp): Promise<string> {
    while (!pattern.test(this.received)) await once(this.socket, "data");
    return this.received;
  }

  /** Everything that came until the connection was closed. */
  async all(): Promise<string> {
    await this.closed;
    return this.received;
  }

  [Symbol.dispose](): void {
    this.socket.destroy();
  }
}

const get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const lastGet = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
const withoutDate = (text: string): string => text.replaceAll(/date: [^\r]*\r\n/g, "");

describe("an HTTP/1.1 server", () => {
  it("answers one request after the other on a connection, and adds a date", async () => {
    await using rig = await open(hello);
    using client = new Client(rig.port);
    const once = await client.send(get).until(/hello/);
    assert.match(once, /date: \w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT\r\n/);
    const all = withoutDate(await client.send(lastGet).all());
    const head = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n";
    assert.equal(all, `${head}\r\nhello${head}connection: close\r\n\r\nhello`);
  });

  it("leaves the date of a response as it is", async () => {
    await using rig = await open(({ response }) => response.head(204, ["date", "then"], true));
    using client = new Client(rig.port);
    assert.equal(
      await client.send(lastGet).all(),
      "HTTP/1.1 204 No Content\r\ndate: then\r\nconnection: close\r\n\r\n",
    );
  });

  it("answers pipelined requests in their order, each after the one before", async () => {
    let open_ = 0;
    await using rig = await open(({ response, head }) => {
      open_ += 1;
      assert.equal(open_, 1, "one request at a time");
      setImmediate(() => {
        open_ -= 1;
        response.head(200, ["content-length", "2"], false);
        response.data(Buffer.from(head.path), true);
      });
    });
    using client = new Client(rig.port);
    const paths = Array.from({ length: 9 }, (_, at) => `/${at}`);
    client.send(paths.map((path) => `GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`).join(""));
    const answers = await client.send(lastGet.replace("/ ", "/z ")).all();
    assert.deepEqual(answers.match(/\/.$|\/\d(?=HTTP)/g), [...paths, "/z"]);
  });

  it("does not read without end what is pipelined behind a request that is not answered", async () => {
    await using rig = await open(() => undefined);
    using client = new Client(rig.port);
    const request = `GET / HTTP/1.1\r\nHost: a\r\nX: ${"y".repeat(8000)}\r\n\r\n`;
    let written = 0;
    let isFull = false;
    while (!isFull && written < 256 * 1024 ** 2) {
      written += request.length;
      // The kernel takes no more once the server has stopped to read.
      if (!client.socket.write(request) && client.socket.writableLength > 64 * 1024 ** 2) isFull = true;
    }
    await rig.next();
    assert.equal(rig.asked.length, 1);
  });

  it("frames a body of unknown length in chunks, with trailers", async () => {
    await using rig = await open(({ response }) => {
      response.head(200, ["connection", "x", "keep-alive", "1", "transfer-encoding", "gzip", ":status", "9"], false);
      response.data(Buffer.from("hello"), false);
      response.data(Buffer.alloc(0), false);
      response.trailers(["x-sum", "1", "trailer", "y"]);
    });
    using client = new Client(rig.port);
    assert.equal(
      withoutDate(await client.send(lastGet).all()),
      "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n5\r\nhello\r\n0\r\nx-sum: 1\r\n\r\n",
    );
  });

  it("ends a body of unknown length with the connection for HTTP/1.0", async () => {
    await using rig = await open(({ response }) => {
      response.head(200, [], false);
      response.data(Buffer.from("hello"), true);
    });
    using client = new Client(rig.port);
    client.send("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    assert.equal(withoutDate(await client.all()), "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nhello");
  });

  it("keeps the connection of an HTTP/1.0 client that asks for it, when the length is known", async () => {
    await using rig = await open(hello);
    using client = new Client(rig.port);
    const first = await client.send("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").until(/hello/);
    assert.match(first, /\r\nconnection: keep-alive\r\n/);
    assert.match(await client.send("GET / HTTP/1.0\r\n\r\n").all(), /\r\nconnection: close\r\n\r\nhello$/);
  });

  it("sends no body in answer to HEAD, and with 204 and 304", async () => {
    await using rig = await open(({ response, head }) => {
      const status = head.path === "/" ? 200 : Number(head.path.slice(1));
      response.head(status, ["content-length", "5"], false);
      response.data(Buffer.from("hello"), true);
    });
    using client = new Client(rig.port);
    client.send("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n");
    for (const path of ["204", "304"]) client.send(get.replace("/ ", `/${path} `));
    const answers = withoutDate(await client.send(lastGet.replace("GET", "HEAD")).all());
    assert.equal(
      answers,
      "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n" +
        "HTTP/1.1 204 No Content\r\n\r\n" +
        "HTTP/1.1 304 Not Modified\r\ncontent-length: 5\r\n\r\n" +
        "HTTP/1.1 200 OK\r\ncontent-length: 5\r\nconnection: close\r\n\r\n",
    );
  });

  it("resets rather than sends another length than it has declared", async () => {
    for (const body of ["hell", "hello!"]) {
      await using rig = await open(({ response }) => {
        response.head(200, ["content-length", "5"], false);
        response.data(Buffer.from(body), true);
      });
      using client = new Client(rig.port);
      assert.doesNotMatch(await client.send(get).all(), /hello!/);
      assert.equal(rig.asked[0]?.response.hasBegun, true);
    }
  });

  it("forwards interim responses, but not to HTTP/1.0", async () => {
    await using rig = await open((asked) => {
      asked.response.interim(103, ["link", "</a>"]);
      hello(asked);
    });
    using client = new Client(rig.port);
    assert.match(
      await client.send(lastGet).all(),
      /^HTTP\/1\.1 103 Early Hints\r\nlink: <\/a>\r\n\r\nHTTP\/1\.1 200 OK/,
    );
    using old = new Client(rig.port);
    assert.match(await old.send("GET / HTTP/1.0\r\n\r\n").all(), /^HTTP\/1\.1 200 OK/);
  });

  it("invites a body with 100 Continue, unless the answer came first", async () => {
    await using rig = await open(hello, {
      begun: ({ head, response }) => {
        if (head.path === "/no") response.head(413, [], true);
      },
    });
    const expecting = (path: string) =>
      `POST ${path} HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n`;
    using client = new Client(rig.port);
    await client.send(expecting("/")).until(/^HTTP\/1\.1 100 Continue\r\n\r\n$/);
    await client.send("hi").until(/200 OK/);
    using other = new Client(rig.port);
    // Such a client may send the body or not: what comes next could be read in two ways.
    const refused = await other.send(expecting("/no")).until(/\r\n\r\n/);
    assert.match(refused, /^HTTP\/1\.1 413 [\s\S]*\r\nconnection: close\r\n/);
    await other.send(get).closed;
    assert.equal(rig.asked.length, 2);
  });

  it("writes the head and the body of an answer in one go", async () => {
    await using rig = await open(hello);
    using client = new Client(rig.port);
    client.send(get);
    const [chunk] = (await once(client.socket, "data")) as [Buffer];
    assert.match(chunk.toString("latin1"), /^HTTP\/1\.1 200 OK[\s\S]*hello$/);
  });

  it("tells the receiver that the client is gone", async () => {
    await using rig = await open(() => undefined);
    for (const leave of ["destroy", "end", "resetAndDestroy"] as const) {
      using client = new Client(rig.port);
      client.send(get);
      const asked = await rig.next();
      client.socket[leave]();
      await client.closed;
      while (!asked.isGone) await new Promise((resolve) => setImmediate(resolve));
    }
  });

  it("does not let a client go ahead whose answers are not read", async () => {
    const chunk = Buffer.alloc(64 * 1024, "x");
    let written = 0;
    const slow = Promise.withResolvers<void>();
    await using rig = await open(({ response }) => {
      response.head(200, [], false);
      while (written < 512 * 1024 ** 2) {
        written += chunk.length;
        if (!response.data(chunk, false)) break;
      }
      slow.resolve();
    });
    using client = new Client(rig.port);
    client.socket.pause();
    client.send(get);
    await slow.promise;
    assert.ok(written <= 1024 ** 2, `${written} bytes were taken`);
  });
});

describe("after an error, the server", () => {
  it("sends one answer and closes, whatever comes behind it", async () => {
    const broken = [
      "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
      "GET / HTTP/1.1\r\n\r\n",
      "x\n",
    ];
    for (const request of broken) {
      await using rig = await open(hello);
      using client = new Client(rig.port);
      const answer = await client.send(`${request}0\r\n\r\n${get}${get}`).all();
      assert.equal(answer.match(/HTTP\/1\.1 /g)?.length, 1, answer);
      assert.match(answer, /\r\nconnection: close\r\n/);
      assert.deepEqual([rig.asked.length, rig.refused.length], [0, 1]);
    }
  });

  it("lets a client read the answer that still sends", async () => {
    await using rig = await open(hello);
    using client = new Client(rig.port);
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n");
    for (let at = 0; at < 64; at += 1) client.socket.write(Buffer.alloc(64 * 1024));
    assert.match(await client.all(), /^HTTP\/1\.1 400 /);
  });

  it("answers a body that turns out broken, and tells its receiver", async () => {
    await using rig = await open(hello);
    using client = new Client(rig.port);
    const answer = await client.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nz\r\n").all();
    assert.match(answer, /^HTTP\/1\.1 400 /);
    assert.equal(rig.asked[0]?.isGone, true);
  });

  it("resets when its answer is on the way already", async () => {
    await using rig = await open(hello, {
      begun: ({ response }) => {
        response.head(200, [], false);
        response.data(Buffer.from("part"), false);
      },
    });
    using client = new Client(rig.port);
    client.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    await client.until(/part/);
    await client.send("z\r\n").closed;
    assert.equal(client.errorCode, "ECONNRESET");
  });
});

describe("an answer that comes before the end of its request", () => {
  it("goes out while the body still flows, and a short rest is dropped", async () => {
    await using rig = await open(() => undefined, {
      begun: (asked) => {
        if (asked.head.method === "POST") hello(asked);
        else asked.response.head(204, [], true);
      },
    });
    using client = new Client(rig.port);
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n01234");
    assert.doesNotMatch(await client.until(/hello/), /connection: close/);
    assert.match(await client.send(`56789${lastGet}`).all(), /204 No Content/);
  });

  it("closes the connection when the rest is long, or its length is not known", async () => {
    for (const framing of ["Content-Length: 1000000", "Transfer-Encoding: chunked"]) {
      await using rig = await open(() => undefined, { begun: hello });
      using client = new Client(rig.port);
      client.send(`POST / HTTP/1.1\r\nHost: a\r\n${framing}\r\n\r\n`);
      assert.match(await client.until(/hello/), /connection: close/);
      client.socket.write(Buffer.alloc(256 * 1024));
      await client.closed;
    }
  });
});

describe("what takes too long", () => {
  it("is answered with 408 when it is a head, however it drips in", async () => {
    await using rig = await open(hello, { headTimeoutMs: 60 });
    using client = new Client(rig.port);
    const dripping = setInterval(() => client.send("x"), 10);
    client.send("GET /");
    assert.match(await client.all(), /^HTTP\/1\.1 408 /);
    clearInterval(dripping);
    assert.equal(rig.refused[0]?.status, 408);
  });

  it("is closed without a word when it is a connection without a request, an empty line is none", async () => {
    await using rig = await open(hello, { idleTimeoutMs: 40 });
    using fresh = new Client(rig.port);
    using used = new Client(rig.port);
    using blank = new Client(rig.port);
    used.send(get);
    blank.send("\r\n");
    assert.equal(await fresh.all(), "");
    assert.equal(await blank.all(), "");
    assert.match(await used.all(), /hello$/);
  });

  it("is not a client that takes its time over the last of an answer", async () => {
    const body = Buffer.alloc(16 * 1024 ** 2, "x");
    await using rig = await open(
      ({ response }) => {
        response.head(200, ["content-length", String(body.length)], false);
        response.data(body, true);
      },
      { lingerMs: 20 },
    );
    await using clock = await open(hello, { idleTimeoutMs: 200 });
    using client = new Client(rig.port);
    client.socket.pause();
    client.send(lastGet);
    await rig.next();
    using idle = new Client(clock.port);
    await idle.closed;
    client.socket.resume();
    assert.ok((await client.all()).endsWith("xxx"));
    assert.ok(client.received.length > body.length, `only ${client.received.length} octets came`);
  });

  it("is closed when it is the rest of a request that was answered", async () => {
    await using rig = await open(() => undefined, { begun: hello, headTimeoutMs: 40 });
    using client = new Client(rig.port);
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n");
    assert.match(await client.all(), /hello$/);
  });
});

describe("a drain", () => {
  it("closes idle connections and those with half a head after a moment", async () => {
    await using rig = await open(hello);
    using idle = new Client(rig.port);
    using half = new Client(rig.port);
    await idle.send(get).until(/hello/);
    await half.send(`${get}GET / HTTP/1.1\r\nHo`).until(/hello/);
    await rig.server.drain();
    await Promise.all([idle.closed, half.closed]);
  });

  it("answers a request that was on its way on an idle connection", async () => {
    await using rig = await open(hello);
    using client = new Client(rig.port);
    await client.send(get).until(/hello/);
    client.send(get);
    const drained = rig.server.drain();
    assert.match(await client.all(), /hello.*\r\nconnection: close\r\n\r\nhello$/s);
    await drained;
  });

  it("lets what is being answered end, and says that the connection closes", async () => {
    await using rig = await open(() => undefined);
    using client = new Client(rig.port);
    client.send(get);
    const asked = await rig.next();
    const drained = rig.server.drain();
    hello(asked);
    assert.match(await client.all(), /\r\nconnection: close\r\n\r\nhello$/);
    await drained;
  });
});
