import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { defaultLimits, type Http1Limits } from "./limits.ts";
import { MessageFault } from "./message-fault.ts";
import type { ResponseHead } from "./response-head.ts";
import { ResponseParser } from "./response-parser.ts";

interface Parsed {
  readonly heads: ResponseHead[];
  readonly body: string;
  readonly trailers: string[] | undefined;
  readonly isWhole: boolean;
  readonly fault: MessageFault | undefined;
}

/** Parses octets until the end of one final response, then the end of the connection. */
function parse(
  text: string,
  { method = "GET", limits = {} as Partial<Http1Limits>, size = Number.POSITIVE_INFINITY } = {},
): Parsed {
  const heads: ResponseHead[] = [];
  let body = "";
  let trailers: string[] | undefined;
  let isWhole = false;
  const parser = new ResponseParser(
    { ...defaultLimits, ...limits },
    {
      method,
      responseHead: (head) => {
        heads.push(head);
        isWhole = head.status >= 200 && head.body === 0;
      },
      bodyPiece: (bytes, start, end, isLast) => {
        body += bytes.toString("latin1", start, end);
        isWhole = isLast;
      },
      bodyEnd: (fields) => {
        trailers = fields;
        isWhole = true;
      },
    },
  );
  const bytes = Buffer.from(text, "latin1");
  try {
    for (let from = 0; from < bytes.length && !isWhole; from += size) {
      const piece = Buffer.from(bytes.subarray(from, from + size));
      for (let at = 0; at < piece.length && !isWhole; ) at = parser.read(piece, at, piece.length);
    }
    if (!isWhole) parser.close();
  } catch (error) {
    if (!(error instanceof MessageFault)) throw error;
    return { heads, body, trailers, isWhole, fault: error };
  }
  return { heads, body, trailers, isWhole, fault: undefined };
}

const ok = (fields: string, body = "") => `HTTP/1.1 200 OK\r\n${fields}\r\n${body}`;

describe("a response", () => {
  it("ends after the octets that Content-Length promises", () => {
    for (const size of [1, 3, Number.POSITIVE_INFINITY]) {
      const { heads, body, isWhole } = parse(ok("Content-Length: 5\r\nX-Y: z\r\n", "hello"), { size });
      assert.deepEqual([heads[0]?.status, heads[0]?.fields, body], [200, ["content-length", "5", "x-y", "z"], "hello"]);
      assert.deepEqual([isWhole, heads[0]?.isPersistent], [true, true]);
    }
  });

  it("ends with its last chunk and trailers", () => {
    const { body, trailers, isWhole } = parse(
      ok("Transfer-Encoding: Chunked\r\n", "5\r\nhello\r\n0\r\nX-Sum: 1\r\nContent-Length: 3\r\n\r\n"),
    );
    assert.deepEqual([body, trailers, isWhole], ["hello", ["x-sum", "1"], true]);
  });

  it("ends with the connection when nothing else is said, which is not kept then", () => {
    const { body, isWhole, heads } = parse(ok("", "all of it"));
    assert.deepEqual([body, isWhole, heads[0]?.isPersistent], ["all of it", true, false]);
  });

  it("is not whole when the connection ends before it", () => {
    assert.equal(parse(ok("Content-Length: 5\r\n", "hell")).isWhole, false);
    assert.equal(parse(ok("Transfer-Encoding: chunked\r\n", "5\r\nhello\r\n")).isWhole, false);
    assert.equal(parse("HTTP/1.1 200 OK\r\nX").isWhole, false);
  });

  it("has no body when it answers HEAD, or with 204 or 304, whatever its fields say", () => {
    assert.deepEqual(parse(ok("Content-Length: 5\r\n"), { method: "HEAD" }).isWhole, true);
    for (const status of [204, 304]) {
      const { isWhole, heads } = parse(`HTTP/1.1 ${status} x\r\nContent-Length: 5\r\n\r\n`);
      assert.deepEqual([isWhole, heads[0]?.isPersistent], [true, true]);
    }
  });

  it("may have interim ones in front of it", () => {
    const { heads, body } = parse(
      `HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n${ok("Content-Length: 1\r\n", "x")}`,
    );
    assert.deepEqual([heads.map(({ status }) => status), body], [[100, 103, 200], "x"]);
  });

  it("may have no reason", () => {
    assert.equal(parse("HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n").heads[0]?.status, 200);
    assert.equal(parse("HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n").heads[0]?.status, 200);
  });

  it("keeps the connection of HTTP/1.0 only when it says so", () => {
    const of = (fields: string) =>
      parse(`HTTP/1.0 200 OK\r\nContent-Length: 0\r\n${fields}\r\n`).heads[0]?.isPersistent;
    assert.deepEqual([of(""), of("Connection: keep-alive\r\n")], [false, true]);
  });
});

describe("what a response must not be", () => {
  const refused: readonly [what: string, response: string, limits?: Partial<Http1Limits>][] = [
    ["both a length and chunks", ok("Content-Length: 3\r\nTransfer-Encoding: chunked\r\n")],
    ["two lengths", ok("Content-Length: 3\r\nContent-Length: 4\r\n")],
    ["two lengths that agree", ok("Content-Length: 3\r\nContent-Length: 3\r\n")],
    ["a list of lengths", ok("Content-Length: 3, 3\r\n")],
    ["a length with a sign", ok("Content-Length: +3\r\n")],
    ["a length beyond what can be counted", ok("Content-Length: 9007199254740993\r\n")],
    ["a coding that is not chunked", ok("Transfer-Encoding: gzip\r\n")],
    ["a coding around chunked", ok("Transfer-Encoding: gzip, chunked\r\n")],
    ["chunks in HTTP/1.0", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"],
    ["a folded line", ok("X: a\r\n b\r\n")],
    ["a blank before a colon", ok("X : a\r\n")],
    ["a line feed alone", "HTTP/1.1 200 OK\nContent-Length: 0\n\n"],
    ["a carriage return alone", ok("X: a\rb\r\n")],
    ["NUL in a value", ok("X: \0\r\n")],
    ["an empty name", ok(": a\r\n")],
    ["an empty line in front", `\r\n${ok("")}`],
    ["a version that nobody speaks", "HTTP/2.0 200 OK\r\n\r\n"],
    ["a status of two digits", "HTTP/1.1 99 x\r\n\r\n"],
    ["a status of four digits", "HTTP/1.1 2000 x\r\n\r\n"],
    ["a status above 599", "HTTP/1.1 600 x\r\n\r\n"],
    ["a status with a sign", "HTTP/1.1 +200 x\r\n\r\n"],
    ["what is not HTTP", "SSH-2.0-OpenSSH\r\n"],
    ["what is not HTTP and has no end", "220 mail"],
    ["a head larger than allowed", ok(`X: ${"y".repeat(200)}\r\n`), { maxHeadBytes: 100 }],
    ["more fields than allowed", ok("X: y\r\n".repeat(9)), { maxFields: 8 }],
    ["a size that overflows", ok("Transfer-Encoding: chunked\r\n", "fffffffffffffffff\r\n")],
    ["a chunk longer than its size", ok("Transfer-Encoding: chunked\r\n", "1\r\nxy\r\n")],
  ];
  for (const [what, response, limits] of refused) {
    it(what, () => {
      const given = limits === undefined ? {} : { limits };
      assert.ok(parse(response, given).fault instanceof MessageFault, "it was accepted");
      assert.ok(parse(response, { ...given, size: 1 }).fault instanceof MessageFault, "cut behind every octet");
    });
  }
});
