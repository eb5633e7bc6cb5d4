import assert from "node:assert/strict";
import { once } from "node:events";
import http from "node:http";
import net from "node:net";
import { describe, it } from "node:test";
import { collect, openRig, raw, serve, serveEcho, serveRaw } from "./ingress-rig.ts";

const toUpstream = { routes: [{ match: { prefix: "/" }, to: { upstream: "backend" } }] };

describe("what the ingress refuses", () => {
  const refused: readonly [what: string, request: string, status: number][] = [
    [
      "a length and chunks at once",
      "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
      400,
    ],
    ["two lengths", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc", 400],
    ["a coding around chunked", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501],
    ["a coding after chunked", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n", 400],
    ["chunks in HTTP/1.0", "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400],
    ["two hosts", "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400],
    ["no host", "GET / HTTP/1.1\r\n\r\n", 400],
    ["a host with a path", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400],
    ["user information in a target", "GET http://u@b/ HTTP/1.1\r\nHost: a\r\n\r\n", 400],
    ["a blank before a colon", "GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400],
    ["a folded field", "GET / HTTP/1.1\r\nHost: a\r\nX: b\r\n c\r\n\r\n", 400],
    ["lines that end in LF only", "GET / HTTP/1.1\nHost: a\n\n", 400],
    ["a fragment in the target", "GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n", 400],
    ["a target that is no path", "GET foo HTTP/1.1\r\nHost: a\r\n\r\n", 400],
    ["an asterisk with another method than OPTIONS", "GET * HTTP/1.1\r\nHost: a\r\n\r\n", 400],
    [
      "fields that Connection would take away",
      "GET / HTTP/1.1\r\nHost: a\r\nConnection: close, X-Forwarded-For\r\n\r\n",
      400,
    ],
    ["a header of more bytes than allowed", `GET / HTTP/1.1\r\nHost: a\r\nX: ${"y".repeat(5000)}\r\n\r\n`, 431],
    [
      "an upgrade to a WebSocket",
      "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
      501,
    ],
    ["CONNECT", "CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n", 501],
    ["what is not HTTP", "\x16\x03\x01\x02\x00\x01\x00", 400],
  ];
  for (const [what, request, status] of refused) {
    it(`answers ${status} to ${what}`, async () => {
      let reached = 0;
      await using backend = await serve((_request, response) => {
        reached += 1;
        response.end();
      });
      await using rig = await openRig({
        ingress: { ...toUpstream, maxHeaderBytes: 4096 },
        upstreams: { backend: { endpoints: [backend.address] } },
      });
      const answer = await raw(rig.port, request);
      assert.match(answer, new RegExp(`^HTTP/1\\.1 ${status} `));
      assert.equal(reached, 0);
    });
  }

  it("is told to the access log too", async () => {
    await using rig = await openRig({ ingress: { routes: [] } });
    await raw(rig.port, "GET /x HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n");
    await raw(rig.port, "nonsense\r\n\r\n");
    const told = rig.records.map(({ method, path, status, flags }) => [method, path, status, ...flags]);
    assert.deepEqual(told, [
      ["GET", "/x", 400, "DPE"],
      ["", "", 400, "DPE"],
    ]);
  });

  it("takes no second request from a connection whose first could be read in two ways", async () => {
    let reached = 0;
    await using backend = await serve((_request, response) => {
      reached += 1;
      response.end();
    });
    await using rig = await openRig({ ingress: toUpstream, upstreams: { backend: { endpoints: [backend.address] } } });
    const smuggled = "GET /admin HTTP/1.1\r\nHost: a\r\n\r\n";
    const answer = await raw(
      rig.port,
      `POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${smuggled.length + 5}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${smuggled}`,
    );
    assert.equal(answer.match(/HTTP\/1\.1 /g)?.length, 1);
    assert.equal(reached, 0);
  });

  it("passes over an offer to go on in HTTP/2", async () => {
    await using backend = await serveEcho();
    await using rig = await openRig({ ingress: toUpstream, upstreams: { backend: { endpoints: [backend.address] } } });
    const answer = await rig.send({
      path: "/",
      headers: { connection: "Upgrade, HTTP2-Settings", upgrade: "h2c", "http2-settings": "AAMAAABk" },
    });
    assert.equal(answer.status, 200);
    assert.doesNotMatch(answer.body, /upgrade|settings/i);
  });

  it("answers 408 when a head does not come to its end", async () => {
    await using rig = await openRig({ ingress: { routes: [] }, timings: { headTimeoutMs: 50 } });
    assert.match(await raw(rig.port, "GET / HTTP/1.1\r\nHo"), /^HTTP\/1\.1 408 /);
    assert.match(await rig.metrics.expose(), /requests_total\{route="none",upstream="",code="408"\} 1/);
  });

  it("ends an exchange in which nothing moves, on both sides", async () => {
    const arrived = Promise.withResolvers<void>();
    const gaveUp = Promise.withResolvers<void>();
    await using backend = await serve((request) => {
      arrived.resolve();
      request.on("error", () => undefined);
      request.on("close", () => gaveUp.resolve());
    });
    await using rig = await openRig({
      ingress: toUpstream,
      upstreams: { backend: { endpoints: [backend.address] } },
      timings: { idleStreamMs: 40 },
    });
    const answer = await raw(rig.port, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc");
    assert.match(answer, /^HTTP\/1\.1 408 /);
    await gaveUp.promise;
    assert.deepEqual((await rig.record()).flags, ["SI"]);
  });

  it("answers 400 to a body that breaks off into nonsense, and the upstream never sees it whole", async () => {
    const whole = Promise.withResolvers<boolean>();
    const arrived = Promise.withResolvers<void>();
    await using backend = await serve((request) => {
      request.on("error", () => undefined);
      request.on("data", () => arrived.resolve());
      request.on("close", () => whole.resolve(request.complete));
    });
    await using rig = await openRig({ ingress: toUpstream, upstreams: { backend: { endpoints: [backend.address] } } });
    const socket = net.connect(rig.port, "127.0.0.1");
    socket.on("error", () => undefined);
    socket.write("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
    await arrived.promise;
    socket.write("nonsense\r\n");
    const [answer] = (await once(socket, "data")) as [Buffer];
    assert.match(answer.toString("latin1"), /^HTTP\/1\.1 400 /);
    assert.equal(await whole.promise, false);
  });
});

describe("the limit of request bodies", () => {
  const limited = { ...toUpstream, maxBodyBytes: 1000 };

  it("answers 413 to a declared length beyond it, before the upstream is asked", async () => {
    let reached = 0;
    await using backend = await serve(() => {
      reached += 1;
    });
    await using rig = await openRig({ ingress: limited, upstreams: { backend: { endpoints: [backend.address] } } });
    const answer = await rig.send({ method: "POST", path: "/" }, "x".repeat(1001));
    assert.deepEqual([answer.status, answer.body], [413, "the request body exceeds the limit of 1000 bytes\n"]);
    assert.equal(reached, 0);
  });

  it("answers 413 when chunks add up to more, gives the upstream's part up, and the client can read the answer", async () => {
    const begun = Promise.withResolvers<void>();
    const gaveUp = Promise.withResolvers<boolean>();
    await using backend = await serve((request) => {
      request.on("error", () => undefined);
      request.on("data", () => begun.resolve());
      request.on("close", () => gaveUp.resolve(request.complete));
    });
    await using rig = await openRig({ ingress: limited, upstreams: { backend: { endpoints: [backend.address] } } });
    const request = http.request({ port: rig.port, method: "POST", path: "/", agent: false });
    request.on("error", () => undefined);
    request.write("x".repeat(999));
    await begun.promise;
    // Far more than fits into the sockets' buffers on the way.
    for (let at = 0; at < 64; at += 1) request.write(Buffer.alloc(256 * 1024));
    const [response] = (await once(request, "response")) as [http.IncomingMessage];
    const answer = await collect(response);
    assert.equal(answer.status, 413);
    assert.equal(answer.headers.connection, "close");
    request.destroy();
    assert.equal(await gaveUp.promise, false);
  });

  it("lets a body of just that size pass", async () => {
    await using backend = await serveEcho();
    await using rig = await openRig({ ingress: limited, upstreams: { backend: { endpoints: [backend.address] } } });
    assert.equal((await rig.send({ method: "POST", path: "/" }, "x".repeat(1000))).status, 200);
  });
});

describe("an answer that tries to break out", () => {
  it("is refused when its framing is ambiguous", async () => {
    await using backend = await serveRaw((socket) => {
      socket.once("data", () =>
        socket.end("HTTP/1.1 200 OK\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"),
      );
    });
    await using rig = await openRig({ ingress: toUpstream, upstreams: { backend: { endpoints: [backend.address] } } });
    assert.equal((await rig.send({ path: "/" })).status, 502);
  });

  it("is refused when its head is too large", async () => {
    await using backend = await serveRaw((socket) => {
      socket.once("data", () => socket.end(`HTTP/1.1 200 OK\r\nx: ${"y".repeat(70_000)}\r\n\r\n`));
    });
    await using rig = await openRig({ ingress: toUpstream, upstreams: { backend: { endpoints: [backend.address] } } });
    assert.equal((await rig.send({ path: "/" })).status, 502);
  });
});
