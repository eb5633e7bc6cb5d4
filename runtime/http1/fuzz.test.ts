/** Random requests, whole and broken, with a seed that each failure names: set HTTP1_FUZZ_SEED to see one again. */
import assert from "node:assert/strict";
import { once } from "node:events";
import http from "node:http";
import net, { type AddressInfo } from "node:net";
import { duplexPair } from "node:stream";
import { describe, it } from "node:test";
import { defaultLimits } from "./limits.ts";
import { MessageFault } from "./message-fault.ts";
import { RequestParser } from "./request-parser.ts";
import { ResponseParser } from "./response-parser.ts";
import { Http1Server } from "./server.ts";

const seed = Number(process.env.HTTP1_FUZZ_SEED ?? 9112);

/** Numbers below `bound`, the same ones for the same seed (mulberry32). */
function randomFrom(start: number): (bound: number) => number {
  let state = start;
  return (bound) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % bound;
  };
}

type Random = (bound: number) => number;

const pick = <T>(random: Random, choices: readonly T[]): T => {
  const chosen = choices[random(choices.length)];
  assert.ok(chosen !== undefined);
  return chosen;
};

const methods = ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD"];
const targets = ["/", "/a", "/a/b?c=d&e=%20", "/~x;y=1?", "http://shop.example/a?b", "/%c3%a4"];
const names = ["X-One", "accept", "Cookie", "X_Y", "User-Agent", "a", "X!#$%&'*+-.^_`|~"];
const values = ["", "1", "a b", "\t a, b ;c \t", '"quoted, text"', "\u00e4\u00ff", "x".repeat(300)];

function chunksOf(random: Random, body: string): string {
  let text = "";
  for (let at = 0; at < body.length; ) {
    const size = 1 + random(body.length - at);
    const digits = pick(random, [size.toString(16), size.toString(16).toUpperCase(), `00${size.toString(16)}`]);
    text += `${digits}${pick(random, ["", "", ";x", ';x="y"', ";x=y;z"])}\r\n${body.slice(at, at + size)}\r\n`;
    at += size;
  }
  return `${text}0\r\n${pick(random, ["", "", "X-Sum: 1\r\n", "X-Sum: \r\nX-Two: 2\r\n"])}\r\n`;
}

/** A request that every reader must understand alike. */
function validRequest(random: Random): string {
  const method = pick(random, methods);
  const target = method === "OPTIONS" && random(2) === 0 ? "*" : pick(random, targets);
  const fields = [`Host: ${pick(random, ["a", "shop.example:8080", "[::1]"])}`];
  for (let left = random(5); left > 0; left -= 1)
    fields.push(`${pick(random, names)}:${pick(random, ["", " "])}${pick(random, values)}`);
  const body = pick(random, ["", "hello", "GET / HTTP/1.1\r\nHost: b\r\n\r\n", "\0\r\n\xff".repeat(40)]);
  const framing = random(3);
  let text = "";
  if (framing === 1) {
    fields.splice(random(fields.length + 1), 0, `Content-Length: ${body.length}`);
    text = body;
  } else if (framing === 2) {
    fields.splice(random(fields.length + 1), 0, `Transfer-Encoding: ${pick(random, ["chunked", "Chunked"])}`);
    text = chunksOf(random, body);
  }
  return `${method} ${target} HTTP/1.1\r\n${fields.join("\r\n")}\r\n\r\n${text}`;
}

const spices = [
  "\r",
  "\n",
  "\r\n",
  "\0",
  " ",
  "\t",
  ":",
  ",",
  ";",
  "0",
  "5",
  "f",
  "x",
  "\x7f",
  "\xff",
  "\r\n\r\n",
  " chunked",
  "Content-Length: 3\r\n",
  "Transfer-Encoding: chunked\r\n",
  "HTTP/1.1",
];

/** The text with a few octets changed, left out, doubled or put in. */
function mutated(random: Random, text: string): string {
  let result = text;
  for (let left = 1 + random(3); left > 0; left -= 1) {
    const at = random(result.length + 1);
    const spice = pick(random, spices);
    const rest = result.slice(at);
    const change = [spice + rest.slice(1), spice + rest, rest.slice(1), rest.slice(0, 8) + rest][random(4)];
    result = result.slice(0, at) + change;
  }
  return result;
}

/** A few positions to cut the text at. */
function cutsOf(random: Random, length: number): number[] {
  const most = pick(random, [1, 3, 20, length]);
  return Array.from({ length: most }, () => random(length + 1)).toSorted((a, b) => a - b);
}

interface Message {
  readonly method: string;
  readonly path: string;
  readonly fields: readonly string[];
  body: string;
  trailers: readonly string[];
  isWhole: boolean;
}

interface Reading {
  readonly messages: Message[];
  readonly fault: string | undefined;
  /** Some of a head has come behind the messages. */
  readonly isInHead: boolean;
}

function readRequests(text: string, cuts: readonly number[] = []): Reading {
  const messages: Message[] = [];
  const parser = new RequestParser(
    { ...defaultLimits, maxHeadBytes: 4096 },
    {
      requestHead: ({ method, path, fields, body }) =>
        messages.push({ method, path, fields, body: "", trailers: [], isWhole: body === 0 }),
      bodyPiece: (bytes, start, end, isLast) => {
        const message = messages.at(-1);
        assert.ok(message !== undefined && !message.isWhole);
        message.body += bytes.toString("latin1", start, end);
        message.isWhole = isLast;
      },
      bodyEnd: (trailers) => {
        const message = messages.at(-1);
        assert.ok(message !== undefined && !message.isWhole);
        message.trailers = trailers;
        message.isWhole = true;
      },
    },
  );
  const fault = faultOf(text, cuts, (bytes, at) => parser.read(bytes, at, bytes.length));
  // How much of a broken body is handed on before the fault is found is nobody's business.
  const last = messages.at(-1);
  if (fault !== undefined && last?.isWhole === false) last.body = "";
  return { messages, fault, isInHead: fault === undefined && parser.isInHead };
}

/** Reads the pieces of a text; the fault, if any. Whatever else is thrown fails the test. */
function faultOf(
  text: string,
  cuts: readonly number[],
  read: (bytes: Buffer, at: number) => number,
): string | undefined {
  let from = 0;
  try {
    for (const to of [...cuts, text.length]) {
      const bytes = Buffer.from(text.slice(from, to), "latin1");
      for (let at = 0; at < bytes.length; ) {
        const after = read(bytes, at);
        assert.ok(after > at, "no octet was taken");
        at = after;
      }
      from = to;
    }
  } catch (error) {
    if (!(error instanceof MessageFault)) throw error;
    return `${error.status} ${error.message}`;
  }
  return undefined;
}

/** What node:http makes of the same octets. */
async function readByNode(text: string): Promise<Reading> {
  const messages: Message[] = [];
  let fault: string | undefined;
  const server = http.createServer({ maxHeaderSize: 4096 }, (request, response) => {
    const { method = "", url = "", rawHeaders } = request;
    const fields = rawHeaders.map((part, at) => (at % 2 === 0 ? part.toLowerCase() : part));
    const message: Message = { method, path: url, fields, body: "", trailers: [], isWhole: false };
    messages.push(message);
    request.on("data", (chunk: Buffer) => {
      message.body += chunk.toString("latin1");
    });
    request.on("error", () => undefined);
    request.on("end", () => {
      message.isWhole = request.complete;
      message.trailers = request.rawTrailers.map((part, at) => (at % 2 === 0 ? part.toLowerCase() : part));
      response.end();
    });
  });
  server.on("clientError", (error: NodeJS.ErrnoException, socket) => {
    // The end of the octets in the middle of a message is no fault of the octets.
    if (error.code !== "HPE_INVALID_EOF_STATE" && error.code !== "ECONNRESET") fault ??= error.code;
    socket.destroy();
  });
  const [client, served] = duplexPair();
  client.on("error", () => undefined).resume();
  served.on("error", () => undefined);
  const closed = once(served, "close");
  server.emit("connection", served);
  client.end(text, "latin1");
  await closed;
  server.closeAllConnections();
  return { messages, fault, isInHead: false };
}

const framingNames = new Set(["host", "transfer-encoding", "expect", "connection"]);
const comparable = (fields: readonly string[]): string[] => {
  const kept: string[] = [];
  for (let at = 0; at < fields.length; at += 2) {
    if (!framingNames.has(fields[at] ?? "")) kept.push(`${fields[at]}: ${fields[at + 1]}`);
  }
  return kept;
};
/** The path of a target, as the parser resolves it. */
const pathOf = (target: string): string => target.replace(/^https?:\/\/[^/?]*\/?/i, "/");
const shown = ({ method, path, fields, body, trailers }: Message) => ({
  method,
  path: pathOf(path),
  fields: comparable(fields),
  body,
  trailers,
});

describe(`random requests (seed ${seed})`, () => {
  it("are read the same however their octets are cut", () => {
    const random = randomFrom(seed);
    for (let round = 0; round < 4_000; round += 1) {
      let text = validRequest(random) + validRequest(random);
      if (round % 4 !== 0) text = mutated(random, text);
      const whole = readRequests(text);
      if (round % 4 === 0) assert.equal(whole.fault, undefined, JSON.stringify(text));
      const cut = readRequests(text, cutsOf(random, text.length));
      assert.deepEqual(cut, whole, `round ${round}: ${JSON.stringify(text)}`);
    }
  });

  it("are read as node:http reads them", async () => {
    const random = randomFrom(seed + 1);
    for (let round = 0; round < 200; round += 1) {
      const text = validRequest(random) + validRequest(random);
      const ours = readRequests(text);
      const theirs = await readByNode(text);
      assert.equal(theirs.fault, undefined, JSON.stringify(text));
      assert.deepEqual(ours.messages.map(shown), theirs.messages.map(shown), JSON.stringify(text));
    }
  });

  it("are not read in another way than node:http when they are broken and both accept them", async () => {
    const random = randomFrom(seed + 2);
    let agreed = 0;
    for (let round = 0; round < 600; round += 1) {
      const text = mutated(random, validRequest(random) + validRequest(random));
      const ours = readRequests(text);
      const theirs = await readByNode(text);
      const context = `round ${round}: ${JSON.stringify(text)}`;
      const both = Math.min(ours.messages.length, theirs.messages.length);
      for (let at = 0; at < both; at += 1) {
        const [own, their] = [ours.messages[at], theirs.messages[at]];
        if (own === undefined || their === undefined || !own.isWhole || !their.isWhole) continue;
        assert.deepEqual(shown(own), shown(their), context);
        agreed += 1;
      }
      if (ours.fault !== undefined || theirs.fault === undefined) continue;
      // Start lines are judged at the end of the head here, and methods that nobody has registered are forwarded.
      if (ours.isInHead) continue;
      assert.ok(!ours.messages.every(({ method }) => http.METHODS.includes(method)), `${theirs.fault}; ${context}`);
    }
    assert.ok(agreed > 100, `only ${agreed} messages were accepted by both`);
  });

  it("never break the server: each connection is answered and closed", async () => {
    const random = randomFrom(seed + 3);
    let answered = 0;
    const server = new Http1Server<undefined>({
      onRequest: (response, head) => {
        const answer = () => {
          answered += 1;
          response.head(200, ["content-length", "2"], false);
          response.data(Buffer.from("ok"), true);
        };
        if (head.body === 0 || random(4) === 0) answer();
        const ignore = () => undefined;
        return {
          data: (_chunk, isLast) => (isLast ? answer() : undefined),
          end: answer,
          gone: ignore,
          drained: ignore,
        };
      },
      onRefused: () => undefined,
      headTimeoutMs: 10_000,
      idleTimeoutMs: 10_000,
    });
    const listener = net.createServer((socket) => server.accept(socket, undefined)).listen(0, "127.0.0.1");
    await once(listener, "listening");
    const { port } = listener.address() as AddressInfo;
    for (let round = 0; round < 200; round += 1) {
      const text = mutated(random, validRequest(random) + validRequest(random));
      const socket = net.connect(port, "127.0.0.1");
      socket.on("error", () => undefined).resume();
      let from = 0;
      for (const to of [...cutsOf(random, text.length).slice(0, 3), text.length]) {
        socket.write(text.slice(from, to), "latin1");
        from = to;
      }
      socket.end();
      await once(socket, "close");
    }
    listener.close();
    await server.close();
    assert.ok(answered > 50, `only ${answered} requests were answered`);
  });
});

describe(`random responses (seed ${seed})`, () => {
  it("are read the same however their octets are cut", () => {
    const random = randomFrom(seed + 4);
    for (let round = 0; round < 2_000; round += 1) {
      const body = pick(random, ["hello", "", "HTTP/1.1 200 OK\r\n\r\n"]);
      const framed = [
        `Content-Length: ${body.length}\r\n\r\n${body}`,
        `Transfer-Encoding: chunked\r\n\r\n${chunksOf(random, body)}`,
        `\r\n${body}`,
      ][random(3)];
      const interim = pick(random, ["", "", "HTTP/1.1 103 Early Hints\r\nX: y\r\n\r\n"]);
      let text = `${interim}HTTP/1.1 ${pick(random, ["200 OK", "404", "204 x", "304 "])}\r\nX-One: 1\r\n${framed}`;
      if (round % 4 !== 0) text = mutated(random, text);
      const method = pick(random, ["GET", "HEAD"]);
      assert.deepEqual(
        readResponses(text, method, cutsOf(random, text.length)),
        readResponses(text, method, []),
        `round ${round}: ${JSON.stringify(text)}`,
      );
    }
  });
});

function readResponses(text: string, method: string, cuts: readonly number[]): unknown {
  const events: unknown[] = [];
  let body = "";
  const parser = new ResponseParser(
    { ...defaultLimits, maxHeadBytes: 4096 },
    {
      method,
      responseHead: (head) => events.push(head),
      bodyPiece: (bytes, start, end, isLast) => {
        body += bytes.toString("latin1", start, end);
        if (isLast) events.push(body, []);
      },
      bodyEnd: (trailers) => events.push(body, trailers),
    },
  );
  const fault = faultOf(text, cuts, (bytes, at) => parser.read(bytes, at, bytes.length));
  // What cannot begin an answer is refused as soon as that shows, in other words than at the end of the head.
  return fault === undefined ? [events, body, parser.close()] : [events, "fault"];
}
