import assert from "node:assert/strict";
import { once } from "node:events";
import http2 from "node:http2";
import { describe, it } from "node:test";
import { answerOf, connectTo, resetOf, serveHttp2 } from "./ingress-http2-rig.ts";
import { echo, http1At, http2At, toBackend } from "./ingress-http2-routes.ts";
import { type Echoed, fieldsOf, openRig, raw, serve, serveEcho } from "./ingress-rig.ts";

describe("translation", () => {
  it("takes HTTP/1.1 clients to an upstream over HTTP/2", async () => {
    await using backend = await serveHttp2(echo);
    await using rig = await openRig({ ingress: toBackend, upstreams: http2At(backend.address) });
    const answer = await rig.send(
      {
        method: "POST",
        path: "/x",
        headers: { host: "a.example", connection: "keep-alive, x-hop", "x-hop": "1", te: "trailers" },
      },
      "hello",
    );
    const { headers, body } = JSON.parse(answer.body);
    assert.deepEqual([answer.status, body], [200, "hello"]);
    assert.deepEqual(
      [headers[":authority"], headers[":method"], headers[":path"], headers[":scheme"]],
      ["a.example", "POST", "/x", "http"],
    );
    for (const name of ["host", "connection", "keep-alive", "x-hop", "transfer-encoding"]) {
      assert.equal(headers[name], undefined, name);
    }
    assert.equal(answer.trailers["x-trailer"], "end");
  });

  it("takes HTTP/2 clients to an upstream over HTTP/1.1, with one Cookie and a Host", async () => {
    await using backend = await serveEcho();
    await using rig = await openRig({ ingress: toBackend, upstreams: http1At(backend.address) });
    await using client = connectTo(rig.port);
    const stream = client.session.request({
      ":method": "POST",
      ":path": "/x",
      ":authority": "a.example",
      cookie: ["a=1", "b=2"],
    });
    stream.end("hello");
    const answer = await answerOf(stream);
    const got: Echoed = JSON.parse(answer.body);
    const fields = fieldsOf(got);
    assert.deepEqual([answer.head[":status"], got.body], [200, "hello"]);
    assert.equal(fields.get("host"), "a.example");
    assert.equal(fields.get("cookie"), "a=1; b=2");
    assert.equal(fields.get("transfer-encoding"), "chunked");
    assert.equal(answer.head.connection, undefined);
    assert.equal(answer.head["keep-alive"], undefined);
  });

  it("gives trailers of HTTP/1.1 to HTTP/2 and back", async () => {
    await using backend = await serve((request, response) => {
      request.resume();
      request.on("end", () => {
        response.writeHead(200, { trailer: "x-end" });
        response.write(JSON.stringify(request.trailers));
        response.addTrailers({ "x-end": "1" });
        response.end();
      });
    });
    await using rig = await openRig({ ingress: toBackend, upstreams: http1At(backend.address) });
    await using client = connectTo(rig.port);
    const stream = client.session.request({ ":method": "POST", ":path": "/" }, { waitForTrailers: true });
    stream.on("wantTrailers", () => stream.sendTrailers({ "x-sum": "7" }));
    stream.end("body");
    const answer = await answerOf(stream);
    assert.deepEqual([JSON.parse(answer.body), answer.trailers["x-end"]], [{ "x-sum": "7" }, "1"]);
  });

  it("forwards interim responses from each protocol to the other", async () => {
    await using modern = await serveHttp2((stream) => {
      stream.additionalHeaders({ ":status": 103, link: "</a>" });
      stream.respond({ ":status": 204 }, { endStream: true });
    });
    await using rig = await openRig({ ingress: toBackend, upstreams: http2At(modern.address) });
    const text = await raw(rig.port, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    assert.match(text, /^HTTP\/1\.1 103 Early Hints\r\nlink: <\/a>\r\n\r\nHTTP\/1\.1 204 No Content\r\n/);

    await using old = await serve((_request, response) => {
      response.writeEarlyHints({ link: "</b>" });
      response.end("done");
    });
    await using other = await openRig({ ingress: toBackend, upstreams: http1At(old.address) });
    await using client = connectTo(other.port);
    const stream = client.session.request({ ":path": "/" });
    const [[early], answer] = await Promise.all([once(stream, "headers"), answerOf(stream)]);
    assert.deepEqual([early[":status"], early.link, answer.body], [103, "</b>", "done"]);
  });

  it("refuses what HTTP/1.1 could read in another way", async () => {
    let reached = 0;
    await using backend = await serve((_request, response) => {
      reached += 1;
      response.end();
    });
    await using rig = await openRig({ ingress: toBackend, upstreams: http1At(backend.address) });
    await using client = connectTo(rig.port);
    const refused = [
      { ":path": "/a b" },
      { ":path": "/a#b" },
      { ":path": "/", ":authority": "a.example@b.example" },
      { ":path": "/", ":authority": "a.example", host: "b.example" },
    ];
    for (const headers of refused) {
      const stream = client.session.request(headers);
      const told = await Promise.race([
        new Promise((resolve) => stream.on("response", (head) => resolve(head[":status"]))),
        resetOf(stream),
      ]);
      assert.ok(told === 400 || told === http2.constants.NGHTTP2_PROTOCOL_ERROR, JSON.stringify(headers));
      stream.close();
    }
    const connect = client.session.request({ ":method": "CONNECT", ":authority": "a.example:443" });
    connect.on("error", () => undefined);
    const [head] = await once(connect, "response");
    assert.equal(head[":status"], 501);
    assert.equal(reached, 0);
  });
});
