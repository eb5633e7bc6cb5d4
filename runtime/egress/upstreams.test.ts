import assert from "node:assert/strict";
import { once } from "node:events";
import http from "node:http";
import type { AddressInfo } from "node:net";
import { Writable } from "node:stream";
import { describe, it } from "node:test";
import type { HttpMessage } from "../plugin/outside-calls.ts";
import { createLog } from "../telemetry/log.ts";
import type { Endpoint } from "./endpoint-source.ts";
import { application } from "./upstream-settings.ts";
import { Upstreams, type UpstreamsOptions } from "./upstreams.ts";

const log = createLog({ level: "silent", destination: new Writable({ write: (_chunk, _encoding, done) => done() }) });

async function serve(listener: http.RequestListener): Promise<{ address: string } & AsyncDisposable> {
  const server = http.createServer(listener).listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function open(address: string, more: Partial<UpstreamsOptions> = {}): Upstreams {
  return new Upstreams({ upstreams: { backend: { endpoints: [address], protocol: "http" } }, log, ...more });
}

function message(fields: Record<string, string>, body = ""): HttpMessage {
  const headers = Object.entries({ ":method": "GET", ":path": "/", ":authority": "shop", ...fields });
  return { headers, body: Buffer.from(body), trailers: [] };
}

const never = new AbortController().signal;

describe("one HTTP call to an upstream", () => {
  it("sends what it is given and resolves to the whole answer", async () => {
    await using server = await serve((request, response) => {
      const chunks: Buffer[] = [];
      request.on("data", (chunk: Buffer) => chunks.push(chunk));
      request.on("end", () => {
        response.writeHead(201, { "x-method": request.method ?? "", "x-host": request.headers.host ?? "" });
        response.write(request.headers["content-length"] ?? "");
        response.end(` ${Buffer.concat(chunks).toString()}`);
      });
    });
    await using upstreams = open(server.address);
    const answer = await upstreams.httpCall(
      "backend",
      message({ ":method": "POST", connection: "close" }, "hello"),
      never,
    );
    const headers = new Map(answer.headers);
    assert.deepEqual([headers.get(":status"), headers.get("x-method"), headers.get("x-host")], ["201", "POST", "shop"]);
    assert.equal(Buffer.from(answer.body).toString(), "5 hello");
    assert.deepEqual(answer.trailers, []);
  });

  it("gives trailers, and sends them", async () => {
    await using server = await serve((request, response) => {
      request.resume();
      request.on("end", () => {
        response.writeHead(200, { trailer: "x-sum" });
        response.addTrailers({ "x-sum": request.trailers["x-end"] ?? "" });
        response.end("x");
      });
    });
    await using upstreams = open(server.address);
    const request = { ...message({ ":method": "POST" }, "x"), trailers: [["x-end", "done"]] as const };
    const answer = await upstreams.httpCall("backend", request, never);
    assert.deepEqual(answer.trailers, [["x-sum", "done"]]);
  });

  it("refuses what would break the message apart", async () => {
    await using upstreams = open("127.0.0.1:1");
    for (const fields of [
      { "x-a": "1\r\nx-b: 2" },
      { ":path": "/ HTTP/1.1\r\nx: y" },
      { ":method": "GET /x" },
      { ":authority": "a\r\nb" },
      { "bad name": "1" },
    ]) {
      await assert.rejects(upstreams.httpCall("backend", message(fields), never), {
        code: "INVALID_ARGUMENT",
        reason: "HTTP_REQUEST_INVALID",
      });
    }
  });

  it("names what is configured when the upstream is not", async () => {
    await using upstreams = open("127.0.0.1:1");
    await assert.rejects(upstreams.httpCall("other", message({}), never), {
      code: "NOT_FOUND",
      message: "upstream 'other' is not configured; configured: backend",
    });
    await assert.rejects(upstreams.httpCall(application, message({}), never), { message: /set app.http/ });
  });

  it("ends with the signal, and the server sees that", async () => {
    const arrived = Promise.withResolvers<void>();
    const gaveUp = Promise.withResolvers<void>();
    await using server = await serve((request) => {
      arrived.resolve();
      request.on("close", () => gaveUp.resolve());
    });
    await using upstreams = open(server.address);
    const abort = new AbortController();
    const call = upstreams.httpCall("backend", message({}), abort.signal);
    await arrived.promise;
    abort.abort();
    await assert.rejects(call, { code: "CANCELLED" });
    await gaveUp.promise;
    await assert.rejects(upstreams.httpCall("backend", message({}), AbortSignal.abort()), { code: "CANCELLED" });
    await assert.rejects(upstreams.httpCall("backend", message({}), AbortSignal.timeout(20)), {
      code: "DEADLINE_EXCEEDED",
    });
  });

  it("takes no larger answer than it may", async () => {
    await using server = await serve((_request, response) => response.end("x".repeat(1001)));
    await using upstreams = open(server.address, { maxCallBytes: 1000 });
    await assert.rejects(upstreams.httpCall("backend", message({}), never), { code: "RESOURCE_EXHAUSTED" });
  });

  it("is unavailable when the server breaks off", async () => {
    await using server = await serve((request, response) => {
      response.writeHead(200, { "content-length": "10" });
      response.write("half", () => request.socket.destroy());
    });
    await using upstreams = open(server.address);
    await assert.rejects(upstreams.httpCall("backend", message({}), never), { code: "UNAVAILABLE" });
  });

  it("ends when the upstreams are closed", async () => {
    const arrived = Promise.withResolvers<void>();
    await using server = await serve(() => arrived.resolve());
    const upstreams = open(server.address);
    const call = upstreams.httpCall("backend", message({}), never);
    await arrived.promise;
    const [ended] = await Promise.all([
      assert.rejects(call, { code: "UNAVAILABLE" }),
      upstreams[Symbol.asyncDispose](),
    ]);
    assert.equal(ended, undefined);
  });
});

describe("the endpoints of an upstream", () => {
  it("follow their source", async () => {
    await using one = await serve((_request, response) => response.end("one"));
    await using two = await serve((_request, response) => response.end("two"));
    const endpointOf = (address: string): Endpoint => {
      const [host = "", port] = address.split(":");
      return { host, port: Number(port) };
    };
    const changes: ((endpoints: readonly Endpoint[]) => void)[] = [];
    const watched = Promise.withResolvers<void>();
    await using upstreams = open(one.address, {
      source: () => ({
        initial: [endpointOf(one.address)],
        watch: async function* (signal) {
          while (!signal.aborted) {
            const change = Promise.withResolvers<readonly Endpoint[]>();
            changes.push(change.resolve);
            watched.resolve();
            yield await change.promise;
          }
        },
      }),
    });
    const ask = async () => Buffer.from((await upstreams.httpCall("backend", message({}), never)).body).toString();
    assert.equal(await ask(), "one");
    await watched.promise;
    changes[0]?.([endpointOf(two.address)]);
    while (changes.length < 2) await new Promise((resolve) => setImmediate(resolve));
    assert.equal(await ask(), "two");
    assert.equal(upstreams.address("backend"), two.address);
    changes[1]?.([]);
    while (changes.length < 3) await new Promise((resolve) => setImmediate(resolve));
    await assert.rejects(ask(), /has no endpoints/);
  });

  it("are known by name, without the application", async () => {
    await using upstreams = open("127.0.0.1:9", { application: { http: "127.0.0.1:8" } });
    assert.deepEqual(upstreams.names, ["backend"]);
    assert.deepEqual(
      [upstreams.has(application), upstreams.has("x"), upstreams.protocol("backend")],
      [true, false, "http"],
    );
    assert.deepEqual([upstreams.address("backend"), upstreams.address("x")], ["127.0.0.1:9", undefined]);
  });
});
