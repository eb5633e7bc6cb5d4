/**
 * What does header compression cost? The head of a gRPC request and of its answer, encoded and decoded: as they come again
 * and again on a connection, with a trace of its own in each, and for the first time. Each figure is microseconds for one
 * section, the best of several rounds; the ratio is to a section that repeats to the letter.
 */
import { HeaderBlock } from "../../runtime/http2/header-block.ts";
import { HpackDecoder } from "../../runtime/http2/hpack/decoder.ts";
import { HpackEncoder } from "../../runtime/http2/hpack/encoder.ts";

const rounds = 9;
const sections = 50_000;
const limits = { maxTableBytes: 4096, maxHeaderListBytes: 65_536, maxHeaderFields: 256 };
const warmSections = 8;

const request = [
  ...[":method", "POST", ":scheme", "http", ":path", "/spec.proto.runtime.v1.Runtime/GetState"],
  ...[":authority", "127.0.0.1:34904", "te", "trailers", "content-type", "application/grpc"],
  ...["user-agent", "grpc-go/1.85.0", "grpc-timeout", "4998m"],
];
const response = [":status", "200", "content-type", "application/grpc"];

/** A traceparent that no other section has, in one piece, as those that come from a socket are. */
function trace(count: number): string {
  const id = (count + 0x10000000).toString(16).padStart(32, "0");
  return Buffer.from(`00-${id}-${(count * 7919).toString(16).padStart(16, "0")}-01`).toString("latin1");
}

interface Contest {
  readonly name: string;
  /** The fields of each section; one that is the same object is sent as the same block. */
  block(count: number): HeaderBlock;
  /** A new connection for each section. */
  readonly isFirst?: boolean;
}

const sameRequest = new HeaderBlock(request);
const sameResponse = new HeaderBlock(response);
const contests: readonly Contest[] = [
  { name: "a request, again", block: () => sameRequest },
  { name: "a request, again, as a new block", block: () => new HeaderBlock(request) },
  {
    name: "a request with its own trace",
    block: (count) => new HeaderBlock([...request, "traceparent", trace(count)]),
  },
  { name: "a response, again", block: () => sameResponse },
  { name: "a request, the first of its connection", block: () => new HeaderBlock(request), isFirst: true },
];

/** What `work` takes for one of `count` sections, in microseconds. */
function usOf(count: number, work: () => void): number {
  const beganMs = performance.now();
  work();
  return ((performance.now() - beganMs) * 1000) / count;
}

function encoding({ block, isFirst = false }: Contest): number {
  const count = isFirst ? sections / 10 : sections;
  const blocks = Array.from({ length: count }, (_, at) => block(at));
  let encoder = new HpackEncoder();
  for (let at = 0; at < warmSections; at += 1) encoder.encode(block(at));
  return usOf(count, () => {
    for (const one of blocks) {
      if (isFirst) encoder = new HpackEncoder();
      encoder.encode(one);
    }
  });
}

function decoding({ block, isFirst = false }: Contest): number {
  const count = isFirst ? sections / 10 : sections;
  const encoder = new HpackEncoder();
  let decoder = new HpackDecoder(limits);
  const encode = (at: number): Buffer => Buffer.from((isFirst ? new HpackEncoder() : encoder).encode(block(at)));
  const decode = (bytes: Buffer): unknown => decoder.decode(bytes, 0, bytes.length);
  if (!isFirst) for (let at = 0; at < warmSections; at += 1) decode(encode(at));
  const encoded = Array.from({ length: count }, (_, at) => encode(at + warmSections));
  return usOf(count, () => {
    for (const bytes of encoded) {
      if (isFirst) decoder = new HpackDecoder(limits);
      decode(bytes);
    }
  });
}

const rows = contests.map((contest) => {
  const best = { encode: Number.POSITIVE_INFINITY, decode: Number.POSITIVE_INFINITY };
  for (let round = 0; round < rounds; round += 1) {
    best.encode = Math.min(best.encode, encoding(contest));
    best.decode = Math.min(best.decode, decoding(contest));
  }
  return { name: contest.name, ...best };
});
const base = rows[0] ?? { encode: 1, decode: 1 };
const width = Math.max(...rows.map(({ name }) => name.length));
console.log(`${"µs for one section".padEnd(width)}  encode   again ×  decode   again ×`);
for (const { name, encode, decode } of rows) {
  const cells = [
    encode.toFixed(3),
    (encode / base.encode).toFixed(1),
    decode.toFixed(3),
    (decode / base.decode).toFixed(1),
  ];
  console.log(`${name.padEnd(width)}${cells.map((cell) => cell.padStart(9)).join("")}`);
}
const traced = rows[2] ?? base;
console.log(
  `header compression: ${(base.encode + base.decode).toFixed(2)} µs for a head that repeats, ` +
    `${(traced.encode + traced.decode).toFixed(2)} µs with a trace of its own, both sides together`,
);
