import assert from "node:assert/strict";
import { once } from "node:events";
import http2 from "node:http2";
import { Writable } from "node:stream";
import { describe, it } from "node:test";
import { serveHttp2 } from "../../test/integration/ingress-http2-rig.ts";
import type { HttpMessage } from "../plugin/outside-calls.ts";
import { createLog } from "../telemetry/log.ts";
import { Upstreams } from "./upstreams.ts";

const log = createLog({ level: "silent", destination: new Writable({ write: (_chunk, _encoding, done) => done() }) });
const never = new AbortController().signal;

const configured = (...endpoints: string[]) => ({ backend: { endpoints, protocol: "http2" as const } });
const open = (...endpoints: string[]): Upstreams => new Upstreams({ upstreams: configured(...endpoints), log });

function message(fields: Record<string, string>, body = ""): HttpMessage {
  const headers = Object.entries({ ":method": "GET", ":path": "/", ":authority": "shop", ...fields });
  return { headers, body: Buffer.from(body), trailers: [] };
}

describe("an upstream that speaks HTTP/2", () => {
  it("takes single calls, over one connection", async () => {
    await using server = await serveHttp2((stream, headers) => {
      const chunks: Buffer[] = [];
      stream.on("data", (chunk: Buffer) => chunks.push(chunk));
      stream.on("end", () => {
        stream.respond({ ":status": 201, "x-host": headers[":authority"] }, { waitForTrailers: true });
        stream.on("wantTrailers", () => stream.sendTrailers({ "x-end": "1" }));
        stream.end(`${headers["content-length"]} ${Buffer.concat(chunks)}`);
      });
    });
    await using upstreams = open(server.address);
    const call = () =>
      upstreams.httpCall("backend", message({ ":method": "POST", connection: "close" }, "hello"), never);
    const answers = await Promise.all([call(), call(), call()]);
    for (const answer of answers) {
      const headers = new Map(answer.headers);
      assert.deepEqual([headers.get(":status"), headers.get("x-host")], ["201", "shop"]);
      assert.equal(Buffer.from(answer.body).toString(), "5 hello");
      assert.deepEqual(answer.trailers, [["x-end", "1"]]);
    }
    assert.equal(server.sessions.size, 1);
  });

  it("is told the upstream's name as the authority of a request that has none", async () => {
    await using server = await serveHttp2((stream, headers) =>
      stream.respond({ "x-host": headers[":authority"] }, { endStream: true }),
    );
    await using upstreams = open(server.address);
    const answer = await upstreams.httpCall("backend", message({ ":authority": "" }), never);
    assert.equal(new Map(answer.headers).get("x-host"), "backend");
  });

  it("is told when a call is given up", async () => {
    const arrived = Promise.withResolvers<void>();
    const code = Promise.withResolvers<number>();
    await using server = await serveHttp2((stream) => {
      arrived.resolve();
      stream.on("close", () => code.resolve(stream.rstCode));
    });
    await using upstreams = open(server.address);
    const stopping = new AbortController();
    const call = upstreams.httpCall("backend", message({}), stopping.signal);
    await arrived.promise;
    stopping.abort();
    await assert.rejects(call, /cancelled/);
    assert.equal(await code.promise, http2.constants.NGHTTP2_CANCEL);
  });

  it("shares calls out among its endpoints, and passes over one that cannot be reached", async () => {
    const counts = new Map<string, number>();
    const counting = (name: string) => (stream: http2.ServerHttp2Stream) => {
      counts.set(name, (counts.get(name) ?? 0) + 1);
      stream.respond({ ":status": 200 }, { endStream: true });
    };
    await using one = await serveHttp2(counting("one"));
    await using two = await serveHttp2(counting("two"));
    await using upstreams = open(one.address, two.address, "127.0.0.1:1");
    for (let at = 0; at < 12; at += 1) await upstreams.httpCall("backend", message({}, ""), never);
    assert.deepEqual([...counts.keys()].toSorted(), ["one", "two"]);
    assert.equal((counts.get("one") ?? 0) + (counts.get("two") ?? 0), 12);
  });

  it("fails when no endpoint can be reached", async () => {
    await using upstreams = open("127.0.0.1:1", "127.0.0.1:2");
    await assert.rejects(upstreams.httpCall("backend", message({}), never), /cannot connect to upstream 'backend'/);
  });

  it("ends its calls where they began when it is configured anew", async () => {
    const held = Promise.withResolvers<http2.ServerHttp2Stream>();
    await using one = await serveHttp2((stream) => held.resolve(stream));
    await using two = await serveHttp2((stream) => {
      stream.respond({ ":status": 200 });
      stream.end("two");
    });
    await using upstreams = open(one.address);
    const slow = upstreams.httpCall("backend", message({}), never);
    const stream = await held.promise;
    await upstreams.update(configured(two.address));
    assert.equal(Buffer.from((await upstreams.httpCall("backend", message({}), never)).body).toString(), "two");
    stream.respond({ ":status": 200 });
    stream.end("one");
    assert.equal(Buffer.from((await slow).body).toString(), "one");
    const [session] = one.sessions;
    if (session !== undefined && !session.closed) await once(session, "close");
  });
});
