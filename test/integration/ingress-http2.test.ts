import assert from "node:assert/strict";
import { once } from "node:events";
import http2 from "node:http2";
import net from "node:net";
import { describe, it } from "node:test";
import { errorCode } from "../../runtime/http2/error-code.ts";
import { HeaderBlock } from "../../runtime/http2/header-block.ts";
import { answerOf, ask, connectTo, resetOf, serveEngine, serveHttp2 } from "./ingress-http2-rig.ts";
import { echo, http1At, http2At, through, toBackend } from "./ingress-http2-routes.ts";
import { type Echoed, openRig, Plugins, serveEcho } from "./ingress-rig.ts";

describe("one port", () => {
  it("serves HTTP/1.1 and HTTP/2", async () => {
    await using backend = await serveEcho();
    await using rig = await openRig({ ingress: toBackend, upstreams: http1At(backend.address) });
    await using client = connectTo(rig.port);
    const [one, two] = await Promise.all([
      rig.send({ method: "POST", path: "/one" }, "1"),
      ask(client.session, { ":method": "POST", ":path": "/two?a=b" }, "2"),
    ]);
    assert.deepEqual([JSON.parse(one.body).url, JSON.parse(one.body).body], ["/one", "1"]);
    const got: Echoed = JSON.parse(two.body);
    assert.deepEqual([two.head[":status"], got.method, got.url, got.body], [200, "POST", "/two?a=b", "2"]);
    assert.deepEqual(rig.records.map(({ protocol }) => protocol).toSorted(), ["HTTP/1.1", "HTTP/2"]);
  });

  it("knows HTTP/2 by its first octets, however slowly they come", async () => {
    await using backend = await serveEcho();
    await using rig = await openRig({ ingress: toBackend, upstreams: http1At(backend.address) });
    const relay = net.createServer((near) => {
      const far = net.connect(rig.port, "127.0.0.1");
      far.setNoDelay(true);
      far.pipe(near);
      let left = 40;
      near.on("data", async (chunk: Buffer) => {
        near.pause();
        let at = 0;
        for (; left > 0 && at < chunk.length; at += 1, left -= 1) {
          far.write(chunk.subarray(at, at + 1));
          await new Promise((resolve) => setImmediate(resolve));
        }
        far.write(chunk.subarray(at));
        near.resume();
      });
      near.on("error", () => undefined).on("close", () => far.destroy());
      far.on("error", () => undefined);
    });
    relay.listen(0, "127.0.0.1");
    await once(relay, "listening");
    const address = relay.address();
    assert.ok(address !== null && typeof address !== "string");
    try {
      await using client = connectTo(address.port);
      assert.equal((await ask(client.session, { ":path": "/" })).head[":status"], 200);
      const socket = net.connect(address.port, "127.0.0.1");
      socket.write("PROPFIND / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
      const [first] = (await once(socket, "data")) as [Buffer];
      assert.match(first.toString(), /^HTTP\/1\.1 200 /);
      socket.destroy();
    } finally {
      relay.close();
    }
  });

  it("takes what only looks like HTTP/2 for HTTP/1.1, and refuses it", async () => {
    await using rig = await openRig({ ingress: { routes: [] } });
    const socket = net.connect(rig.port, "127.0.0.1");
    socket.write("PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n");
    const [first] = (await once(socket, "data")) as [Buffer];
    assert.match(first.toString(), /^HTTP\/1\.1 [45]/);
    socket.destroy();
  });

  it("closes connections that say nothing", async () => {
    await using rig = await openRig({ ingress: { routes: [] }, timings: { headTimeoutMs: 30 } });
    const socket = net.connect(rig.port, "127.0.0.1");
    socket.resume();
    await once(socket, "close");
  });
});

for (const [how, ingress] of [
  ["whose frames are forwarded", toBackend],
  ["through a filter", through("look")],
] as const) {
  const plugins = () => new Plugins().add("look", () => ({}));

  describe(`HTTP/2 to HTTP/2, ${how}`, () => {
    it("passes heads, bodies and trailers both ways", async () => {
      await using backend = await serveHttp2(echo);
      await using rig = await openRig({ ingress, upstreams: http2At(backend.address), plugins: plugins() });
      await using client = connectTo(rig.port);
      const stream = client.session.request(
        { ":method": "PUT", ":path": "/a?b", ":authority": "shop.example", te: "trailers", cookie: "a=1" },
        { waitForTrailers: true },
      );
      stream.on("wantTrailers", () => stream.sendTrailers({ "x-sum": "42", authorization: "no" }));
      stream.end("hello");
      const answer = await answerOf(stream);
      const got = JSON.parse(answer.body);
      assert.equal(answer.head["x-kept"], "yes");
      assert.equal(answer.head.te, undefined);
      assert.equal(answer.trailers["x-trailer"], "end");
      assert.equal(got.body, "hello");
      assert.deepEqual(got.trailers, { "x-sum": "42" });
      const { headers } = got;
      assert.deepEqual(
        [headers[":method"], headers[":path"], headers[":authority"], headers.te, headers.cookie],
        ["PUT", "/a?b", "shop.example", "trailers", "a=1"],
      );
      assert.equal(headers["x-forwarded-for"], "127.0.0.1");
      assert.equal(headers["x-forwarded-proto"], "http");
      assert.equal(headers["x-forwarded-host"], "shop.example");
      const record = await rig.record();
      assert.equal(record.requestId, headers["x-request-id"]);
      assert.deepEqual(
        [record.status, record.details, record.upstream, record.endpoint, record.path, record.route],
        [200, "via_upstream", "backend", backend.address, "/a?b", "/*"],
      );
      assert.deepEqual([record.bytesReceived, record.bytesSent], [5, answer.body.length]);
    });

    it("keeps the request id that a client gives, and the addresses of proxies in front", async () => {
      await using backend = await serveHttp2(echo);
      await using rig = await openRig({ ingress, upstreams: http2At(backend.address), plugins: plugins() });
      await using client = connectTo(rig.port);
      for (const id of ["one", "one", "two"]) {
        const answer = await ask(client.session, { ":path": "/", "x-request-id": id, "x-forwarded-for": "10.0.0.1" });
        const { headers } = JSON.parse(answer.body);
        assert.equal(headers["x-request-id"], id);
        assert.equal(headers["x-forwarded-for"], "10.0.0.1, 127.0.0.1");
      }
    });

    it("keeps what a client wants in no compression table out of them", async () => {
      const sensitive = Promise.withResolvers<readonly string[] | undefined>();
      await using backend = await serveEngine((stream, headers) => {
        sensitive.resolve(headers.sensitive);
        stream.sendHeaders(HeaderBlock.of(":status", "204"), true);
      });
      await using rig = await openRig({ ingress, upstreams: http2At(backend.address), plugins: plugins() });
      await using client = connectTo(rig.port);
      await ask(client.session, { ":path": "/", "x-key": "secret", [http2.sensitiveHeaders]: ["x-key"] });
      assert.deepEqual((await sensitive.promise)?.includes("x-key"), true);
    });

    it("answers HEAD, 204 and 304 without a body", async () => {
      await using backend = await serveHttp2((stream, headers) => {
        if (headers[":method"] === "HEAD") stream.respond({ ":status": 200, "content-length": "7" });
        else stream.respond({ ":status": Number(String(headers[":path"]).slice(1)) }, { endStream: true });
        stream.end();
      });
      await using rig = await openRig({ ingress, upstreams: http2At(backend.address), plugins: plugins() });
      await using client = connectTo(rig.port);
      const head = await ask(client.session, { ":method": "HEAD", ":path": "/" });
      assert.deepEqual([head.head[":status"], head.head["content-length"], head.body], [200, "7", ""]);
      for (const status of [204, 304]) {
        const answer = await ask(client.session, { ":path": `/${status}` });
        assert.deepEqual([answer.head[":status"], answer.body], [status, ""]);
      }
    });

    it("gives the request up at the upstream when the client resets it", async () => {
      const arrived = Promise.withResolvers<void>();
      const code = Promise.withResolvers<number>();
      await using backend = await serveHttp2((stream) => {
        arrived.resolve();
        stream.on("close", () => code.resolve(stream.rstCode));
      });
      await using rig = await openRig({ ingress, upstreams: http2At(backend.address), plugins: plugins() });
      await using client = connectTo(rig.port);
      const stream = client.session.request({ ":path": "/" });
      stream.on("error", () => undefined);
      await arrived.promise;
      stream.close(http2.constants.NGHTTP2_CANCEL);
      assert.equal(await code.promise, http2.constants.NGHTTP2_CANCEL);
      const record = await rig.record();
      assert.deepEqual([record.status, record.flags, record.details], [499, ["DC"], "downstream_disconnect"]);
    });

    it("answers 503 when the upstream resets the request, and resets the client in the middle of an answer", async () => {
      await using backend = await serveEngine((stream, headers) => {
        if (headers.get(":path") === "/late") {
          stream.sendHeaders(HeaderBlock.of(":status", "200"), false);
          stream.sendData(Buffer.from("some"), 0, 4, false);
          setImmediate(() => stream.reset(errorCode.INTERNAL_ERROR));
        } else stream.reset(errorCode.INTERNAL_ERROR);
      });
      await using rig = await openRig({ ingress, upstreams: http2At(backend.address), plugins: plugins() });
      await using client = connectTo(rig.port);
      const early = await ask(client.session, { ":path": "/early" });
      assert.equal(early.head[":status"], 503);
      assert.match(early.body, /upstream 'backend' reset the request/);
      const late = client.session.request({ ":path": "/late" });
      assert.equal(await resetOf(late), http2.constants.NGHTTP2_INTERNAL_ERROR);
    });

    it("lets an upstream that goes away finish, and takes a new connection for what comes then", async () => {
      const held: http2.ServerHttp2Stream[] = [];
      const arrived = Promise.withResolvers<void>();
      await using backend = await serveHttp2((stream, headers) => {
        if (headers[":path"] !== "/slow") {
          stream.respond({ ":status": 200 }, { endStream: true });
          return;
        }
        held.push(stream);
        arrived.resolve();
      });
      await using rig = await openRig({ ingress, upstreams: http2At(backend.address), plugins: plugins() });
      await using client = connectTo(rig.port);
      const slow = ask(client.session, { ":path": "/slow" });
      await arrived.promise;
      const [session] = backend.sessions;
      session?.goaway(http2.constants.NGHTTP2_NO_ERROR, held[0]?.id ?? 1);
      assert.equal((await ask(client.session, { ":path": "/next" })).head[":status"], 200);
      held[0]?.respond({ ":status": 200 });
      held[0]?.end("done");
      assert.equal((await slow).body, "done");
    });

    it("answers 504 when the upstream takes longer than the route allows", async () => {
      const gaveUp = Promise.withResolvers<void>();
      await using backend = await serveHttp2((stream) => stream.on("close", () => gaveUp.resolve()));
      const [route] = ingress.routes;
      await using rig = await openRig({
        ingress: { routes: [{ ...route, timeout: "30ms" }] },
        upstreams: http2At(backend.address),
        plugins: plugins(),
      });
      await using client = connectTo(rig.port);
      const answer = await ask(client.session, { ":path": "/" });
      assert.deepEqual([answer.head[":status"], answer.body], [504, "upstream request timeout\n"]);
      await gaveUp.promise;
      assert.deepEqual((await rig.record()).flags, ["UT"]);
    });

    it("ends an exchange in which nothing moves", async () => {
      await using backend = await serveHttp2(() => undefined);
      const [route] = ingress.routes;
      await using rig = await openRig({
        ingress: { routes: [{ ...route, timeout: "0s" }] },
        upstreams: http2At(backend.address),
        plugins: plugins(),
        timings: { idleStreamMs: 60 },
      });
      await using client = connectTo(rig.port);
      assert.equal((await ask(client.session, { ":path": "/" })).head[":status"], 504);
      assert.deepEqual((await rig.record()).flags, ["SI"]);
    });

    it("refuses bodies above the limit, told or not", async () => {
      await using backend = await serveHttp2(echo);
      await using rig = await openRig({
        ingress: { ...ingress, maxBodyBytes: 1000 },
        upstreams: http2At(backend.address),
        plugins: plugins(),
      });
      await using client = connectTo(rig.port);
      const told = await ask(
        client.session,
        { ":method": "POST", ":path": "/", "content-length": 2000 },
        "x".repeat(2000),
      );
      assert.equal(told.head[":status"], 413);
      const untold = await ask(client.session, { ":method": "POST", ":path": "/" }, "x".repeat(2000));
      assert.equal(untold.head[":status"], 413);
      const small = await ask(client.session, { ":method": "POST", ":path": "/" }, "x".repeat(1000));
      assert.equal(small.head[":status"], 200);
    });

    it("sends 100 to a client that waits for it", async () => {
      await using backend = await serveHttp2(echo);
      await using rig = await openRig({ ingress, upstreams: http2At(backend.address), plugins: plugins() });
      await using client = connectTo(rig.port);
      const stream = client.session.request({ ":method": "POST", ":path": "/", expect: "100-continue" });
      stream.on("continue", () => stream.end("body"));
      const answer = await answerOf(stream);
      assert.equal(JSON.parse(answer.body).body, "body");
      assert.equal(JSON.parse(answer.body).headers.expect, undefined);
    });

    it("holds a fast upstream back for a slow client", async () => {
      let written = 0;
      await using backend = await serveHttp2((stream, headers) => {
        stream.respond({ ":status": 200 });
        if (headers[":path"] === "/ping") {
          stream.end();
          return;
        }
        const more = (): void => {
          while (written < 12 * 1024 ** 2) {
            written += 65_536;
            if (stream.write(Buffer.alloc(65_536))) continue;
            stream.once("drain", more);
            return;
          }
          stream.end();
        };
        more();
      });
      await using rig = await openRig({ ingress, upstreams: http2At(backend.address), plugins: plugins() });
      await using client = connectTo(rig.port);
      const stream = client.session.request({ ":path": "/" });
      await once(stream, "response");
      for (let at = 0; at < 50; at += 1) await ask(client.session, { ":path": "/ping" });
      assert.ok(written < 4 * 1024 ** 2, `${written} bytes were taken though nobody read`);
      let read = 0;
      for await (const chunk of stream) read += chunk.length;
      assert.equal(read, 12 * 1024 ** 2);
    });

    it("holds a fast client back for a slow upstream", async () => {
      const total = 12 * 1024 ** 2;
      let received = 0;
      const begun = Promise.withResolvers<http2.ServerHttp2Stream>();
      await using backend = await serveHttp2((stream, headers) => {
        if (headers[":path"] === "/ping") stream.respond({ ":status": 200 }, { endStream: true });
        else begun.resolve(stream);
      });
      await using rig = await openRig({ ingress, upstreams: http2At(backend.address), plugins: plugins() });
      await using client = connectTo(rig.port);
      const stream = client.session.request({ ":method": "POST", ":path": "/" });
      let written = 0;
      const more = (): void => {
        while (written < total) {
          written += 65_536;
          if (stream.write(Buffer.alloc(65_536))) continue;
          stream.once("drain", more);
          return;
        }
        stream.end();
      };
      more();
      const upload = await begun.promise;
      for (let at = 0; at < 50; at += 1) await ask(client.session, { ":path": "/ping" });
      assert.ok(written < 4 * 1024 ** 2, `${written} bytes were taken though nobody read`);
      const answer = answerOf(stream);
      upload.on("data", (chunk: Buffer) => {
        received += chunk.length;
      });
      upload.on("end", () => {
        upload.respond({ ":status": 200 });
        upload.end(String(received));
      });
      assert.equal((await answer).body, String(total));
    });

    it("passes an answer on that comes before the end of the request", async () => {
      await using backend = await serveHttp2((stream) => {
        stream.respond({ ":status": 403 });
        stream.end("no");
      });
      await using rig = await openRig({ ingress, upstreams: http2At(backend.address), plugins: plugins() });
      await using client = connectTo(rig.port);
      const stream = client.session.request({ ":method": "POST", ":path": "/" });
      stream.write("begun");
      const answer = await answerOf(stream);
      assert.deepEqual([answer.head[":status"], answer.body], [403, "no"]);
      stream.close();
      assert.equal((await rig.record()).status, 403);
      assert.equal(rig.ingress.active, 0);
    });

    it("lets a client that sends on read the whole of an answer that came early", async () => {
      await using backend = await serveEngine((stream) => {
        stream.sendHeaders(HeaderBlock.of(":status", "403"), false);
        const body = Buffer.alloc(200_000, "x");
        stream.sendData(body, 0, body.length, true);
      });
      await using rig = await openRig({ ingress, upstreams: http2At(backend.address), plugins: plugins() });
      await using client = connectTo(rig.port);
      const stream = client.session.request({ ":method": "POST", ":path": "/" });
      stream.on("error", () => undefined);
      for (let at = 0; at < 20; at += 1) stream.write(Buffer.alloc(50_000));
      const [head] = await once(stream, "response");
      for (let at = 0; at < 10; at += 1) await ask(client.session, { ":path": "/" });
      let read = 0;
      for await (const chunk of stream) read += chunk.length;
      assert.deepEqual([head[":status"], read], [403, 200_000]);
    });

    it("tries another endpoint when one cannot be connected to", async () => {
      await using backend = await serveHttp2(echo);
      await using rig = await openRig({
        ingress,
        upstreams: { backend: { endpoints: ["127.0.0.1:1", backend.address], protocol: "http2" } },
        plugins: plugins(),
      });
      await using client = connectTo(rig.port);
      for (let at = 0; at < 4; at += 1) {
        const answer = await ask(client.session, { ":method": "POST", ":path": "/" }, "hello");
        assert.deepEqual([answer.head[":status"], JSON.parse(answer.body).body], [200, "hello"]);
      }
    });
  });
}
