import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { defaultLimits, type Http1Limits } from "./limits.ts";
import { MessageFault } from "./message-fault.ts";
import type { RequestHead } from "./request-head.ts";
import { RequestParser } from "./request-parser.ts";

interface Parsed {
  readonly heads: RequestHead[];
  readonly bodies: string[];
  readonly trailers: string[][];
  readonly fault: MessageFault | undefined;
}

/** Parses octets that come in one piece, or cut behind every octet. */
function parse(text: string, limits: Partial<Http1Limits> = {}, size = Number.POSITIVE_INFINITY): Parsed {
  const heads: RequestHead[] = [];
  const bodies: string[] = [];
  const trailers: string[][] = [];
  const parser = new RequestParser(
    { ...defaultLimits, ...limits },
    {
      requestHead: (head) => {
        heads.push(head);
        bodies.push("");
      },
      bodyPiece: (bytes, start, end) => {
        bodies.push(`${bodies.pop()}${bytes.toString("latin1", start, end)}`);
      },
      bodyEnd: (fields) => {
        trailers.push(fields);
      },
    },
  );
  const bytes = Buffer.from(text, "latin1");
  try {
    for (let from = 0; from < bytes.length; from += size) {
      const piece = Buffer.from(bytes.subarray(from, from + size));
      for (let at = 0; at < piece.length; ) at = parser.read(piece, at, piece.length);
    }
  } catch (error) {
    if (!(error instanceof MessageFault)) throw error;
    return { heads, bodies, trailers, fault: error };
  }
  return { heads, bodies, trailers, fault: undefined };
}

const get = (fields: string, line = "GET / HTTP/1.1") => `${line}\r\nHost: a\r\n${fields}\r\n`;
const post = (fields: string, body = "") => `${get(fields, "POST / HTTP/1.1")}${body}`;
const chunked = (body: string) => post("Transfer-Encoding: chunked\r\n", body);

describe("a request head", () => {
  it("is read with its names in lower case and the blanks around its values gone", () => {
    const { heads, fault } = parse("PATCH /a?b=c HTTP/1.1\r\nHost: shop:80\r\nX-One: \t 1 2 \t\r\nEMPTY:\r\n\r\n");
    assert.equal(fault, undefined);
    const [head] = heads;
    assert.deepEqual([head?.method, head?.path, head?.authority, head?.minor], ["PATCH", "/a?b=c", "shop:80", 1]);
    assert.deepEqual(head?.fields, ["x-one", "1 2", "empty", ""]);
    assert.deepEqual([head?.body, head?.isPersistent, head?.hasConnectionFields], [0, true, false]);
  });

  it("may hold octets above ASCII in its values, one character each", () => {
    assert.deepEqual(parse(get("X: \u00e4\u00ff\r\n")).heads[0]?.fields, ["x", "\u00e4\u00ff"]);
  });

  it("may have one empty line in front of it, not two", () => {
    assert.equal(parse(`\r\n${get("")}`).heads.length, 1);
    assert.equal(parse(`\r\n\r\n${get("")}`).fault?.status, 400);
  });

  it("takes the host of a target in absolute form, and gives an empty path a slash", () => {
    const of = (target: string) => {
      const [head] = parse(get("", `GET ${target} HTTP/1.1`)).heads;
      return [head?.authority, head?.path];
    };
    assert.deepEqual(of("http://shop.example/a?b"), ["shop.example", "/a?b"]);
    assert.deepEqual(of("HTTPS://shop.example:8443"), ["shop.example:8443", "/"]);
    assert.deepEqual(of("http://[::1]:80?x"), ["[::1]:80", "/?x"]);
  });

  it("takes an asterisk from OPTIONS", () => {
    assert.equal(parse(get("", "OPTIONS * HTTP/1.1")).heads[0]?.path, "*");
  });

  it("may come without a Host in HTTP/1.0, whose connections close unless they are to be kept", () => {
    const [plain] = parse("GET / HTTP/1.0\r\n\r\n").heads;
    assert.deepEqual([plain?.authority, plain?.minor, plain?.isPersistent], ["", 0, false]);
    assert.equal(parse("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n").heads[0]?.isPersistent, true);
  });

  it("says with Connection whether the connection goes on; other options stay for who forwards it", () => {
    const of = (value: string) => parse(get(`Connection: ${value}\r\n`)).heads[0];
    assert.deepEqual([of("close")?.isPersistent, of("close")?.fields], [false, []]);
    assert.deepEqual([of("Keep-Alive")?.isPersistent, of("Keep-Alive")?.fields], [true, []]);
    const mixed = of("x-hop, CLOSE");
    assert.deepEqual([mixed?.isPersistent, mixed?.hasConnectionFields], [false, true]);
    assert.deepEqual(mixed?.fields, ["connection", "x-hop, CLOSE"]);
  });

  it("tells of an expectation, and loses it", () => {
    const [head] = parse(post("Expect: 100-Continue\r\nContent-Length: 1\r\n", "x")).heads;
    assert.deepEqual([head?.expectsContinue, head?.fields], [true, ["content-length", "1"]]);
    assert.equal(parse("POST / HTTP/1.0\r\nExpect: 100-continue\r\n\r\n").heads[0]?.expectsContinue, false);
  });

  it("is the same when it drips in, octet by octet", () => {
    const value = "0123456789".repeat(100);
    assert.deepEqual(parse(get(`X: ${value}\r\n`), {}, 1).heads[0]?.fields, ["x", value]);
  });

  it("may be as large as is allowed, and have as many fields", () => {
    const head = get("X: yz\r\n");
    assert.equal(parse(head, { maxHeadBytes: head.length }).heads.length, 1);
    assert.equal(parse(head, { maxFields: 2 }).heads.length, 1);
  });
});

const refused: readonly [what: string, request: string, status: number, limits?: Partial<Http1Limits>][] = [
  ["both a length and chunks", post("Content-Length: 3\r\nTransfer-Encoding: chunked\r\n"), 400],
  ["chunks and a length", post("Transfer-Encoding: chunked\r\nContent-Length: 3\r\n"), 400],
  ["two lengths that differ", post("Content-Length: 3\r\nContent-Length: 4\r\n"), 400],
  ["two lengths that agree", post("Content-Length: 3\r\nContent-Length: 3\r\n"), 400],
  ["a list of lengths", post("Content-Length: 3, 3\r\n"), 400],
  ["an empty length", post("Content-Length:\r\n"), 400],
  ["a length with a sign", post("Content-Length: +3\r\n"), 400],
  ["a negative length", post("Content-Length: -3\r\n"), 400],
  ["a hexadecimal length", post("Content-Length: 0x3\r\n"), 400],
  ["a fractional length", post("Content-Length: 3.0\r\n"), 400],
  ["a length with a blank inside", post("Content-Length: 3 3\r\n"), 400],
  ["a length beyond what can be counted", post("Content-Length: 9007199254740993\r\n"), 400],
  ["a coding before chunked", post("Transfer-Encoding: gzip, chunked\r\n"), 501],
  [
    "a coding before chunked in a field of its own",
    post("Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n"),
    501,
  ],
  ["a coding after chunked", post("Transfer-Encoding: chunked, gzip\r\n"), 400],
  ["a coding that is not chunked", post("Transfer-Encoding: gzip\r\n"), 400],
  ["chunked twice", post("Transfer-Encoding: chunked, chunked\r\n"), 400],
  ["chunked in two fields", post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"), 400],
  ["a coding that looks like chunked", post("Transfer-Encoding: xchunked\r\n"), 400],
  ["chunked with a parameter", post("Transfer-Encoding: chunked;q=1\r\n"), 400],
  ["chunked behind a vertical tab", post("Transfer-Encoding: \x0bchunked\r\n"), 400],
  ["identity", post("Transfer-Encoding: identity\r\n"), 400],
  ["an empty coding", post("Transfer-Encoding:\r\n"), 400],
  ["chunks in HTTP/1.0", "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", 400],
  ["a folded line", get("X: a\r\n b\r\n"), 400],
  ["a folded line in front", "GET / HTTP/1.1\r\n Host: a\r\n\r\n", 400],
  ["a blank before a colon", get("X : a\r\n"), 400],
  ["a tab before a colon", get("X\t: a\r\n"), 400],
  ["a blank before the colon of a framing field", post("Content-Length : 3\r\n"), 400],
  ["a carriage return alone in a value", get("X: a\rb\r\n"), 400],
  ["a carriage return alone in a name", get("X\r: a\r\n"), 400],
  ["a line feed alone after a field", get("X: a\n"), 400],
  ["a line feed alone after the request line", "GET / HTTP/1.1\nHost: a\r\n\r\n", 400],
  ["a line feed alone at the end", "GET / HTTP/1.1\r\nHost: a\r\n\n", 400],
  ["two carriage returns", get("X: a\r\r\n"), 400],
  ["NUL in a value", get("X: a\0b\r\n"), 400],
  ["a control in a value", get("X: a\x01b\r\n"), 400],
  ["DEL in a value", get("X: a\x7fb\r\n"), 400],
  ["NUL in a name", get("X\0: a\r\n"), 400],
  ["an empty name", get(": a\r\n"), 400],
  ["a name with a bracket", get("X(: a\r\n"), 400],
  ["a name above ASCII", get("X\u00e4: a\r\n"), 400],
  ["a line without a colon", get("X\r\n"), 400],
  ["no Host", "GET / HTTP/1.1\r\n\r\n", 400],
  ["two Hosts", get("Host: b\r\n"), 400],
  ["two Hosts that agree", get("Host: a\r\n"), 400],
  ["a Host with a path", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400],
  ["a Host with user information", "GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", 400],
  ["a Host with a blank", "GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400],
  ["a list of Hosts", 'GET / HTTP/1.1\r\nHost: "a"\r\n\r\n', 400],
  ["a Host with a port that is no number", "GET / HTTP/1.1\r\nHost: a:b\r\n\r\n", 400],
  ["a target that is no path", get("", "GET a HTTP/1.1"), 400],
  ["a target with a fragment", get("", "GET /a#b HTTP/1.1"), 400],
  ["a target with a tab", get("", "GET /a\tb HTTP/1.1"), 400],
  ["a target with a blank", get("", "GET /a b HTTP/1.1"), 400],
  ["a target above ASCII", get("", "GET /\u00e4 HTTP/1.1"), 400],
  ["a target with DEL", get("", "GET /a\x7f HTTP/1.1"), 400],
  ["a target in authority form", get("", "GET a:80 HTTP/1.1"), 400],
  ["a target of another scheme", get("", "GET ftp://a/ HTTP/1.1"), 400],
  ["a target with user information", get("", "GET http://u@a/ HTTP/1.1"), 400],
  ["a target without a host", get("", "GET http:///a HTTP/1.1"), 400],
  ["an asterisk from GET", get("", "GET * HTTP/1.1"), 400],
  ["an empty target", get("", "GET  HTTP/1.1"), 400],
  ["CONNECT", get("", "CONNECT a:80 HTTP/1.1"), 501],
  ["a request line of two blanks", get("", "GET  / HTTP/1.1"), 400],
  ["a blank in front of the method", get("", " GET / HTTP/1.1"), 400],
  ["a blank behind the version", get("", "GET / HTTP/1.1 "), 400],
  ["no version", get("", "GET /"), 400],
  ["a version in lower case", get("", "GET / http/1.1"), 400],
  ["a version of two digits", get("", "GET / HTTP/1.10"), 400],
  ["HTTP/0.9", get("", "GET / HTTP/0.9"), 505],
  ["HTTP/1.2", get("", "GET / HTTP/1.2"), 505],
  ["HTTP/2.0", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505],
  ["a method with a bracket", get("", "G(T / HTTP/1.1"), 400],
  ["a method longer than allowed", get("", `${"M".repeat(33)} / HTTP/1.1`), 501],
  ["an expectation that cannot be met", get("Expect: 200-ok\r\n"), 417],
  ["expectations that do not agree", get("Expect: 100-continue\r\nExpect: x\r\n"), 417],
  ["a target longer than allowed", get("", `GET /${"a".repeat(200)} HTTP/1.1`), 414, { maxHeadBytes: 100 }],
  ["a target that does not come to its end", `GET /${"a".repeat(200)}`, 414, { maxHeadBytes: 100 }],
  ["a field longer than allowed", get(`X: ${"a".repeat(200)}\r\n`), 431, { maxHeadBytes: 100 }],
  ["fields that do not come to their end", `GET / HTTP/1.1\r\n${"X: y\r\n".repeat(50)}`, 431, { maxHeadBytes: 100 }],
  ["more fields than allowed", get("X: y\r\n".repeat(8)), 431, { maxFields: 8 }],
  ["TLS", "\x16\x03\x01\x02\x00\x01\x00\x01", 400],
];

describe("what a request must not be", () => {
  for (const [what, request, status, limits] of refused) {
    it(`${status}: ${what}`, () => {
      const whole = parse(request, limits);
      assert.equal(whole.fault?.status, status, whole.fault?.message ?? "it was accepted");
      assert.equal(whole.heads.length, 0);
      const cut = parse(request, limits, 1);
      assert.deepEqual(
        [cut.fault?.status, cut.fault?.message],
        [status, whole.fault?.message],
        "cut behind every octet",
      );
    });
  }
});

describe("the body of a request", () => {
  it("ends after the octets that Content-Length promises, and the next request begins", () => {
    const two = post("Content-Length: 3\r\n", "abc") + get("");
    for (const size of [1, 7, Number.POSITIVE_INFINITY]) {
      const { heads, bodies, fault } = parse(two, {}, size);
      assert.deepEqual([heads.length, bodies, fault], [2, ["abc", ""], undefined]);
    }
  });

  it("is empty when nothing is said of it, whatever the method", () => {
    assert.deepEqual(parse(post("") + get("")).bodies, ["", ""]);
  });

  it("comes in chunks, with extensions that are dropped, and trailers", () => {
    const body = '5;a="b;c\\"";d=e\r\nhello\r\n00D\r\n, there it is\r\n0;last\r\nX-Sum: 1\r\n\r\n';
    for (const size of [1, 5, Number.POSITIVE_INFINITY]) {
      const { bodies, trailers, fault } = parse(chunked(body) + get(""), {}, size);
      assert.deepEqual([bodies, trailers, fault], [["hello, there it is", ""], [["x-sum", "1"]], undefined]);
    }
  });

  it("loses trailers that only a head may hold", () => {
    const names = ["Content-Length: 5", "Host: b", "Transfer-Encoding: chunked", "Set-Cookie: a=b", "Authorization: x"];
    const { trailers } = parse(chunked(`0\r\n${names.join("\r\n")}\r\nX: 1\r\n\r\n`));
    assert.deepEqual(trailers, [["x", "1"]]);
  });

  const broken: readonly [what: string, body: string, status: number, limits?: Partial<Http1Limits>][] = [
    ["a size that is not hexadecimal", "g\r\n", 400],
    ["no size", "\r\n", 400],
    ["a size with a sign", "+5\r\nhello\r\n", 400],
    ["a size with 0x", "0x5\r\nhello\r\n", 400],
    ["a blank behind a size", "5 \r\nhello\r\n", 400],
    ["a blank in front of a size", " 5\r\nhello\r\n", 400],
    ["a size that overflows", "fffffffffffffffff\r\n", 400],
    ["a size that overflows when it is counted with 64 bits", "10000000000000005\r\nhello\r\n", 400],
    ["a size that cannot be counted exactly", "3fffffffffffff0\r\n", 400],
    ["a size of more digits than any", `${"0".repeat(17)}5\r\nhello\r\n`, 400],
    ["a size that ends in a line feed", "5\nhello\r\n", 400],
    ["a size that ends in a carriage return", "5\rhello\r\n", 400],
    ["a chunk longer than its size", "5\r\nhello!\r\n", 400],
    ["a chunk shorter than its size", "5\r\nhell\r\n0\r\n\r\n", 400],
    ["a chunk that ends in a line feed", "5\r\nhello\n", 400],
    ["a control in an extension", "5;a\x01\r\nhello\r\n", 400],
    ["a line feed in an extension", "5;a\nhello\r\n", 400],
    ["an extension without a name", "5;\r\nhello\r\n", 400],
    ["an extension with a blank", "5; a\r\nhello\r\n", 400],
    ["an extension whose quotes do not end", '5;a="b\r\nhello\r\n', 400],
    ["larger extensions than allowed", `5;${"a".repeat(40)}\r\nhello\r\n`, 413, { maxExtensionBytes: 32 }],
    ["larger extensions of all chunks than allowed", "1;aaaa\r\nx\r\n".repeat(9), 413, { maxExtensionBytes: 32 }],
    ["a folded trailer", "0\r\nX: a\r\n b\r\n\r\n", 400],
    ["a blank before the colon of a trailer", "0\r\nX : a\r\n\r\n", 400],
    ["a trailer that ends in a line feed", "0\r\nX: a\n\r\n", 400],
    ["NUL in a trailer", "0\r\nX: \0\r\n\r\n", 400],
    ["larger trailers than allowed", `0\r\nX: ${"a".repeat(200)}\r\n\r\n`, 431, { maxTrailerBytes: 100 }],
    ["more trailers than allowed", `0\r\n${"X: y\r\n".repeat(9)}\r\n`, 431, { maxFields: 8 }],
  ];
  for (const [what, body, status, limits] of broken) {
    it(`is refused with ${status} for ${what}`, () => {
      const whole = parse(chunked(body), limits);
      assert.equal(whole.fault?.status, status, whole.fault?.message ?? "it was accepted");
      const cut = parse(chunked(body), limits, 1);
      assert.deepEqual(
        [cut.fault?.status, cut.fault?.message],
        [status, whole.fault?.message],
        "cut behind every octet",
      );
    });
  }

  it("hands chunks that came together on as one piece", () => {
    let pieces = 0;
    const parser = new RequestParser(defaultLimits, {
      requestHead: () => undefined,
      bodyPiece: (bytes, start, end, isLast) => {
        pieces += 1;
        assert.deepEqual([bytes.toString("latin1", start, end), isLast], ["x".repeat(100), true]);
      },
      bodyEnd: () => assert.fail("the last piece has said so"),
    });
    const bytes = Buffer.from(chunked(`${"1\r\nx\r\n".repeat(100)}0\r\n\r\n`), "latin1");
    for (let at = 0; at < bytes.length; ) at = parser.read(bytes, at, bytes.length);
    assert.equal(pieces, 1);
  });
});
