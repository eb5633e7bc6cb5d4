import assert from "node:assert/strict";
import { once } from "node:events";
import http from "node:http";
import net from "node:net";
import { describe, it } from "node:test";
import {
  collect,
  deadAddress,
  type Echoed,
  fieldsOf,
  openRig,
  raw,
  serve,
  serveEcho,
  serveRaw,
} from "./ingress-rig.ts";

const toUpstream = { routes: [{ match: { prefix: "/" }, to: { upstream: "backend" } }] };

describe("the ingress as a proxy", () => {
  it("passes method, path, query and body on, and the answer back", async () => {
    await using backend = await serveEcho();
    await using rig = await openRig({ ingress: toUpstream, upstreams: { backend: { endpoints: [backend.address] } } });
    const answer = await rig.send({ method: "POST", path: "/orders?page=2" }, "hello");
    const got: Echoed = JSON.parse(answer.body);
    assert.equal(answer.status, 200);
    assert.deepEqual([got.method, got.url, got.body], ["POST", "/orders?page=2", "hello"]);
  });

  it("removes what belongs to one connection and says where the request came from", async () => {
    await using backend = await serveEcho();
    await using rig = await openRig({ ingress: toUpstream, upstreams: { backend: { endpoints: [backend.address] } } });
    const answer = await rig.send({
      path: "/",
      headers: {
        host: "shop.example",
        connection: "close, X-Internal",
        "x-internal": "1",
        "proxy-authorization": "Basic xyz",
        te: "gzip",
        "keep-alive": "timeout=5",
        "x-forwarded-for": "10.0.0.1",
      },
    });
    const fields = fieldsOf(JSON.parse(answer.body));
    for (const name of ["x-internal", "proxy-authorization", "te", "keep-alive"])
      assert.equal(fields.get(name), undefined);
    assert.equal(fields.get("host"), "shop.example");
    assert.equal(fields.get("x-forwarded-for"), "10.0.0.1, 127.0.0.1");
    assert.equal(fields.get("x-forwarded-proto"), "http");
    assert.equal(fields.get("x-forwarded-host"), "shop.example");
    assert.match(fields.get("x-request-id") ?? "", /^[0-9a-f-]{36}$/);
  });

  it("keeps the request id of a proxy in front", async () => {
    await using backend = await serveEcho();
    await using rig = await openRig({ ingress: toUpstream, upstreams: { backend: { endpoints: [backend.address] } } });
    const answer = await rig.send({ path: "/", headers: { "x-request-id": "abc-1" } });
    assert.equal(fieldsOf(JSON.parse(answer.body)).get("x-request-id"), "abc-1");
    assert.equal((await rig.record()).requestId, "abc-1");
  });

  it("removes what concerned the upstream's connection from the answer, and keeps repeated fields", async () => {
    await using backend = await serve((_request, response) => {
      response.writeHead(200, [
        ["set-cookie", "a=1"],
        ["set-cookie", "b=2"],
        ["connection", "keep-alive, x-hop"],
        ["x-hop", "1"],
        ["proxy-authenticate", "Basic"],
      ]);
      response.end("x");
    });
    await using rig = await openRig({ ingress: toUpstream, upstreams: { backend: { endpoints: [backend.address] } } });
    const { headers } = await rig.send({ path: "/" });
    assert.deepEqual(headers["set-cookie"], ["a=1", "b=2"]);
    assert.equal(headers["x-hop"], undefined);
    assert.equal(headers["proxy-authenticate"], undefined);
  });

  it("streams chunked bodies and trailers both ways", async () => {
    await using backend = await serve((request, response) => {
      response.writeHead(200, { trailer: "x-sum" });
      request.on("data", (chunk) => response.write(chunk));
      request.on("end", () => {
        response.addTrailers({ "x-sum": `${request.trailers["x-end"]}!`, "set-cookie": "a=1" });
        response.end();
      });
    });
    await using rig = await openRig({ ingress: toUpstream, upstreams: { backend: { endpoints: [backend.address] } } });
    const request = http.request({ port: rig.port, method: "POST", path: "/", agent: false });
    request.write("one ");
    const [response] = (await once(request, "response")) as [http.IncomingMessage];
    request.write("two");
    request.addTrailers({ "x-end": "done" });
    request.end();
    const answer = await collect(response);
    assert.equal(answer.headers["transfer-encoding"], "chunked");
    assert.equal(answer.body, "one two");
    assert.equal(answer.trailers["x-sum"], "done!");
    assert.equal(answer.trailers["set-cookie"], undefined);
  });

  it("sends the head of an answer before its body comes", async () => {
    const parts = Promise.withResolvers<http.ServerResponse>();
    await using backend = await serve((_request, response) => {
      response.writeHead(200, { "content-type": "text/event-stream" });
      response.flushHeaders();
      parts.resolve(response);
    });
    await using rig = await openRig({ ingress: toUpstream, upstreams: { backend: { endpoints: [backend.address] } } });
    const request = http.get({ port: rig.port, path: "/", agent: false });
    const [response] = (await once(request, "response")) as [http.IncomingMessage];
    assert.equal(response.headers["content-type"], "text/event-stream");
    (await parts.promise).end("data: 1\n\n");
    assert.equal((await collect(response)).body, "data: 1\n\n");
  });

  it("forwards interim responses, without what concerns the connection", async () => {
    await using backend = await serveRaw((socket) => {
      socket.once("data", () =>
        socket.write(
          "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nConnection: x-hop\r\nX-Hop: 1\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n",
        ),
      );
    });
    await using rig = await openRig({ ingress: toUpstream, upstreams: { backend: { endpoints: [backend.address] } } });
    const text = await raw(rig.port, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    assert.match(text, /^HTTP\/1\.1 103 Early Hints\r\nlink: <\/a>\r\n\r\nHTTP\/1\.1 204 No Content\r\n/);
    assert.deepEqual([(await rig.record()).status, rig.records.length], [204, 1]);
  });

  it("sends the request once more when a connection that was kept turns out to be closed, if it may be repeated", async () => {
    let asked = 0;
    await using backend = await serveRaw((socket) => {
      socket.on("data", () => {
        asked += 1;
        // Whoever asks a second time on the same connection finds it closed.
        if (asked === 1) socket.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        else if (asked === 2 || asked === 4) socket.destroy();
        else socket.write("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nagain");
      });
    });
    await using rig = await openRig({ ingress: toUpstream, upstreams: { backend: { endpoints: [backend.address] } } });
    assert.equal((await rig.send({ path: "/" })).body, "ok");
    assert.equal((await rig.send({ path: "/" })).body, "again");
    assert.equal((await rig.send({ method: "POST", path: "/" }, "x")).status, 503);
    assert.equal(asked, 4);
  });

  it("answers HEAD, 204 and 304 without a body and keeps the connection usable", async () => {
    await using backend = await serve((request, response) => {
      if (request.url === "/204") response.writeHead(204).end();
      else if (request.url === "/304") response.writeHead(304, { etag: '"1"' }).end();
      else response.writeHead(200, { "content-length": "5" }).end("hello");
    });
    await using rig = await openRig({ ingress: toUpstream, upstreams: { backend: { endpoints: [backend.address] } } });
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
    const head = await rig.send({ method: "HEAD", path: "/", agent });
    assert.deepEqual([head.status, head.headers["content-length"], head.body], [200, "5", ""]);
    const empty = await rig.send({ path: "/204", agent });
    assert.deepEqual([empty.status, empty.headers["content-length"], empty.body], [204, undefined, ""]);
    assert.equal((await rig.send({ path: "/304", agent })).status, 304);
    assert.equal((await rig.send({ path: "/", agent })).body, "hello");
    agent.destroy();
  });

  it("keeps connections to the upstream between requests", async () => {
    await using backend = await serveEcho();
    let connections = 0;
    backend.server.on("connection", () => {
      connections += 1;
    });
    await using rig = await openRig({ ingress: toUpstream, upstreams: { backend: { endpoints: [backend.address] } } });
    for (let at = 0; at < 10; at += 1) await rig.send({ method: "POST", path: "/" }, "x");
    assert.equal(connections, 1);
  });

  it("sends 100 Continue unless it has answered already", async () => {
    await using backend = await serveEcho();
    await using rig = await openRig({
      ingress: { ...toUpstream, maxBodyBytes: 10 },
      upstreams: { backend: { endpoints: [backend.address] } },
    });
    const small = http.request({ port: rig.port, method: "POST", agent: false, headers: { expect: "100-continue" } });
    small.flushHeaders();
    await once(small, "continue");
    small.end("hello");
    const [response] = (await once(small, "response")) as [http.IncomingMessage];
    assert.equal(fieldsOf(JSON.parse((await collect(response)).body)).get("expect"), undefined);

    const large = http.request({
      port: rig.port,
      method: "POST",
      agent: false,
      headers: { expect: "100-continue", "content-length": "11" },
    });
    let continues = 0;
    large.on("continue", () => {
      continues += 1;
    });
    large.on("error", () => undefined);
    large.flushHeaders();
    const [refused] = (await once(large, "response")) as [http.IncomingMessage];
    assert.deepEqual([refused.statusCode, continues], [413, 0]);
    refused.resume();
    large.destroy();
  });

  it("takes absolute targets, and HTTP/1.0 which it answers without chunks", async () => {
    await using backend = await serve((request, response) => {
      response.write(`${request.headers.host} `);
      response.end(request.url);
    });
    await using rig = await openRig({ ingress: toUpstream, upstreams: { backend: { endpoints: [backend.address] } } });
    const absolute = await raw(
      rig.port,
      "GET http://shop.example/a?b HTTP/1.1\r\nHost: other\r\nConnection: close\r\n\r\n",
    );
    assert.match(absolute, /shop\.example /);
    assert.match(absolute, /\/a\?b/);
    const old = await raw(rig.port, "GET /old HTTP/1.0\r\nHost: a\r\n\r\n");
    assert.match(old, /^HTTP\/1\.1 200/);
    assert.doesNotMatch(old, /transfer-encoding/i);
    assert.match(old, /\r\n\r\na \/old$/);
  });

  it("answers pipelined requests in their order", async () => {
    await using backend = await serve((request, response) => {
      if (request.url === "/1") setImmediate(() => setImmediate(() => response.end("first")));
      else response.end("second");
    });
    await using rig = await openRig({ ingress: toUpstream, upstreams: { backend: { endpoints: [backend.address] } } });
    const text = await raw(
      rig.port,
      "GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    );
    assert.ok(text.indexOf("first") > 0 && text.indexOf("first") < text.indexOf("second"));
  });

  it("spreads requests over weighted upstreams, and over the endpoints of each", async () => {
    await using one = await serve((_request, response) => response.end("one"));
    await using two = await serve((_request, response) => response.end("two"));
    await using rig = await openRig({
      ingress: {
        routes: [
          { match: { path: "/turns" }, to: { upstream: "both" } },
          {
            match: { prefix: "/" },
            to: [
              { upstream: "one", weight: 1 },
              { upstream: "two", weight: 0 },
            ],
          },
        ],
      },
      upstreams: {
        both: { endpoints: [one.address, two.address] },
        one: { endpoints: [one.address] },
        two: { endpoints: [two.address] },
      },
    });
    const turns = [];
    for (let at = 0; at < 4; at += 1) turns.push((await rig.send({ path: "/turns" })).body);
    assert.deepEqual(turns, ["one", "two", "one", "two"]);
    for (let at = 0; at < 4; at += 1) assert.equal((await rig.send({ path: "/" })).body, "one");
  });

  it("takes the application as a target, and says so when it has no address", async () => {
    await using backend = await serveEcho();
    const ingress = { routes: [{ match: { prefix: "/" }, to: { app: true } }] };
    await using rig = await openRig({ ingress, app: backend.address });
    assert.equal((await rig.send({ path: "/" })).status, 200);
    await using without = await openRig({ ingress });
    const answer = await without.send({ path: "/" });
    assert.deepEqual([answer.status, answer.body], [503, "the application has no HTTP address; set app.http\n"]);
  });

  it("answers 404 when no route matches", async () => {
    await using rig = await openRig({ ingress: { routes: [] } });
    const answer = await rig.send({ path: "/nothing" });
    assert.deepEqual([answer.status, answer.body], [404, "no route matches the request\n"]);
    const record = await rig.record();
    assert.deepEqual(
      [record.status, record.details, record.flags, record.route],
      [404, "route_not_found", ["NR"], undefined],
    );
  });

  it("tells of each exchange once, and counts it", async () => {
    await using backend = await serveEcho();
    await using rig = await openRig({ ingress: toUpstream, upstreams: { backend: { endpoints: [backend.address] } } });
    const answer = await rig.send({ method: "PUT", path: "/a?b=c", headers: { "user-agent": "test" } }, "12345");
    const record = await rig.record();
    assert.equal(rig.records.length, 1);
    assert.deepEqual(
      [record.method, record.path, record.route, record.status, record.details, record.userAgent],
      ["PUT", "/a?b=c", "/*", 200, "via_upstream", "test"],
    );
    assert.deepEqual([record.bytesReceived, record.bytesSent], [5, answer.body.length]);
    assert.deepEqual([record.upstream, record.endpoint], ["backend", backend.address]);
    assert.match(record.peer, /^127\.0\.0\.1:\d+$/);
    const text = await rig.metrics.expose();
    assert.match(text, /outrigger_ingress_requests_total\{route="\/\*",upstream="backend",code="200"\} 1/);
    assert.match(text, /outrigger_ingress_request_duration_seconds_count\{route="\/\*"\} 1/);
    assert.match(text, /outrigger_ingress_active_requests 0/);
  });
});

describe("the ingress, when the upstream fails", () => {
  it("answers 503 when it cannot connect, in one line that names the upstream and no address", async () => {
    const dead = await deadAddress();
    await using rig = await openRig({ ingress: toUpstream, upstreams: { backend: { endpoints: [dead] } } });
    const answer = await rig.send({ path: "/" });
    assert.deepEqual([answer.status, answer.body], [503, "cannot connect to upstream 'backend'\n"]);
    const record = await rig.record();
    assert.deepEqual([record.details, record.flags], ["upstream_connect_failure{ECONNREFUSED}", ["UF"]]);
  });

  it("tries the next endpoint with the same body when one cannot be connected to", async () => {
    const dead = await deadAddress();
    await using backend = await serveEcho();
    await using rig = await openRig({
      ingress: toUpstream,
      upstreams: { backend: { endpoints: [dead, backend.address] } },
    });
    for (let at = 0; at < 4; at += 1) {
      const answer = await rig.send({ method: "POST", path: "/" }, "precious");
      assert.deepEqual([answer.status, JSON.parse(answer.body).body], [200, "precious"]);
      assert.equal((await rig.record()).endpoint, backend.address);
    }
  });

  it("answers 503 when the upstream closes before it answers", async () => {
    await using backend = await serveRaw((socket) => socket.once("data", () => socket.end()));
    await using rig = await openRig({ ingress: toUpstream, upstreams: { backend: { endpoints: [backend.address] } } });
    assert.equal((await rig.send({ path: "/" })).status, 503);
    assert.deepEqual((await rig.record()).flags, ["UC"]);
  });

  it("answers 502 when what comes back is not HTTP", async () => {
    await using backend = await serveRaw((socket) => socket.once("data", () => socket.end("SSH-2.0-OpenSSH\r\n")));
    await using rig = await openRig({ ingress: toUpstream, upstreams: { backend: { endpoints: [backend.address] } } });
    assert.equal((await rig.send({ path: "/" })).status, 502);
  });

  it("resets the client when the upstream breaks off in the middle of an answer", async () => {
    await using backend = await serveRaw((socket) => {
      socket.once("data", () => {
        socket.write("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n", () => socket.destroy());
      });
    });
    await using rig = await openRig({ ingress: toUpstream, upstreams: { backend: { endpoints: [backend.address] } } });
    const request = http.get({ port: rig.port, path: "/", agent: false });
    const [response] = (await once(request, "response")) as [http.IncomingMessage];
    await assert.rejects(collect(response), { code: "ECONNRESET" });
    const record = await rig.record();
    assert.deepEqual([record.status, record.flags], [200, ["UC"]]);
  });

  it("answers 504 when the upstream takes longer than the route allows, and gives the request up", async () => {
    const gaveUp = Promise.withResolvers<void>();
    await using backend = await serve((request) => request.on("close", () => gaveUp.resolve()));
    await using rig = await openRig({
      ingress: { routes: [{ match: { prefix: "/" }, to: { upstream: "backend" }, timeout: "30ms" }] },
      upstreams: { backend: { endpoints: [backend.address] } },
    });
    const answer = await rig.send({ path: "/" });
    assert.deepEqual([answer.status, answer.body], [504, "upstream request timeout\n"]);
    await gaveUp.promise;
    assert.deepEqual((await rig.record()).flags, ["UT"]);
  });

  it("resets the client when the time is up in the middle of an answer", async () => {
    await using backend = await serve((_request, response) => response.write("begun"));
    await using rig = await openRig({
      ingress: { routes: [{ match: { prefix: "/" }, to: { upstream: "backend" }, timeout: "100ms" }] },
      upstreams: { backend: { endpoints: [backend.address] } },
    });
    const request = http.get({ port: rig.port, path: "/", agent: false });
    const [response] = (await once(request, "response")) as [http.IncomingMessage];
    await assert.rejects(collect(response), { code: "ECONNRESET" });
  });

  it("repeats a request whose kept connection turns out to be closed, if it may be repeated", async () => {
    let requests = 0;
    await using backend = await serveRaw((socket) => {
      let served = 0;
      socket.on("data", (data: Buffer) => {
        requests += 1;
        served += 1;
        // The second request on a connection meets a close, as it would when the server's idle timer fires.
        if (served === 2) socket.destroy();
        else socket.write(`HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\n${data.toString("latin1", 0, 4).padEnd(4)}`);
      });
    });
    await using rig = await openRig({ ingress: toUpstream, upstreams: { backend: { endpoints: [backend.address] } } });
    assert.equal((await rig.send({ path: "/" })).status, 200);
    assert.equal((await rig.send({ path: "/" })).status, 200);
    assert.equal(requests, 3);
    assert.equal((await rig.send({ method: "POST", path: "/" })).status, 503);
    assert.equal(requests, 4);
  });

  it("gives up the work at the upstream when the client goes away", async () => {
    const arrived = Promise.withResolvers<void>();
    const gaveUp = Promise.withResolvers<void>();
    await using backend = await serve((request) => {
      arrived.resolve();
      request.on("close", () => gaveUp.resolve());
    });
    await using rig = await openRig({ ingress: toUpstream, upstreams: { backend: { endpoints: [backend.address] } } });
    const request = http.get({ port: rig.port, path: "/", agent: false });
    request.on("error", () => undefined);
    await arrived.promise;
    request.destroy();
    await gaveUp.promise;
    const record = await rig.record();
    assert.deepEqual([record.status, record.details, record.flags], [499, "downstream_disconnect", ["DC"]]);
    assert.equal(rig.ingress.active, 0);
  });

  it("gives up the request of a connection that goes away, and does not begin those that wait for their turn", async () => {
    const arrived = Promise.withResolvers<void>();
    let begun = 0;
    await using backend = await serve((request) => {
      begun += 1;
      request.resume();
      request.on("end", () => arrived.resolve());
    });
    await using rig = await openRig({ ingress: toUpstream, upstreams: { backend: { endpoints: [backend.address] } } });
    const socket = net.connect(rig.port, "127.0.0.1");
    for (let at = 0; at < 2; at += 1) socket.write("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi");
    await arrived.promise;
    socket.destroy();
    assert.equal((await rig.record()).status, 499);
    assert.equal(rig.ingress.active, 0);
    assert.deepEqual([begun, rig.records.length], [1, 1]);
  });

  it("gives up an upload when its client goes away in the middle", async () => {
    const broken = Promise.withResolvers<boolean>();
    const arrived = Promise.withResolvers<void>();
    await using backend = await serve((request) => {
      request.on("data", () => arrived.resolve());
      request.on("error", () => undefined);
      request.on("close", () => broken.resolve(request.complete));
    });
    await using rig = await openRig({ ingress: toUpstream, upstreams: { backend: { endpoints: [backend.address] } } });
    const socket = net.connect(rig.port, "127.0.0.1");
    socket.write("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nsome of it");
    await arrived.promise;
    socket.destroy();
    assert.equal(await broken.promise, false);
  });
});
