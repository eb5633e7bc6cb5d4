import assert from "node:assert/strict";
import { once } from "node:events";
import http from "node:http";
import net from "node:net";
import { describe, it } from "node:test";
import { collect, openRig, Plugins, raw, serve, serveEcho } from "./ingress-rig.ts";

const to = (upstream: string, filters: string[] = []) => ({
  routes: [{ match: { prefix: "/" }, filters, to: { upstream } }],
});

describe("new routes", () => {
  it("are for requests that begin afterwards; a stream that began before ends on the old ones", async () => {
    const held = Promise.withResolvers<http.ServerResponse>();
    await using one = await serve((_request, response) => {
      response.write("one, ");
      held.resolve(response);
    });
    await using two = await serve((_request, response) => response.end("two"));
    const plugins = new Plugins().add("a", () => ({})).add("b", () => ({}));
    await using rig = await openRig({
      ingress: to("one", ["a"]),
      upstreams: { one: { endpoints: [one.address] }, two: { endpoints: [two.address] } },
      plugins,
    });
    const request = http.get({ port: rig.port, path: "/", agent: false });
    const [response] = (await once(request, "response")) as [http.IncomingMessage];
    await rig.ingress.update(rig.section(to("two", ["b"])));
    assert.equal((await rig.send({ path: "/" })).body, "two");
    assert.equal(plugins.uses, 2, "the old plugin is in use as long as its stream");
    (await held.promise).end("still");
    assert.equal((await collect(response)).body, "one, still");
    while (plugins.uses > 1) await new Promise((resolve) => setImmediate(resolve));
    assert.equal(rig.ingress.active, 0);
  });

  it("that are not acceptable change nothing", async () => {
    await using backend = await serveEcho();
    const plugins = new Plugins().add("a", () => ({}));
    await using rig = await openRig({
      ingress: to("backend", ["a"]),
      upstreams: { backend: { endpoints: [backend.address] } },
      plugins,
    });
    const regex = { routes: [{ match: { regex: "(" }, filters: ["a"], to: { upstream: "backend" } }] };
    await assert.rejects(rig.ingress.update(rig.section(regex)), /regex "\(" is not valid/);
    const weights = { routes: [{ match: { prefix: "/" }, to: [{ upstream: "backend", weight: 0 }] }] };
    await assert.rejects(rig.ingress.update(rig.section(weights)), /add up to 0/);
    const refused = {
      routes: [
        { match: { prefix: "/" }, filters: [{ plugin: "a", configuration: "refuse" }], to: { upstream: "backend" } },
      ],
    };
    await assert.rejects(rig.ingress.update(rig.section(refused)), /it was refused/);
    assert.equal(plugins.uses, 1);
    assert.equal((await rig.send({ path: "/" })).status, 200);
  });

  it("lose no request while they change under load", async () => {
    await using backend = await serveEcho();
    const plugins = new Plugins().add("a", () => ({})).add("b", () => ({}));
    await using rig = await openRig({
      ingress: to("backend", ["a"]),
      upstreams: { backend: { endpoints: [backend.address] } },
      plugins,
    });
    const agent = new http.Agent({ keepAlive: true, maxSockets: 8 });
    const statuses: Promise<number>[] = [];
    for (let at = 0; at < 200; at += 1) {
      statuses.push(rig.send({ method: "POST", path: "/", agent }, "x").then((answer) => answer.status));
      if (at % 20 === 0) await rig.ingress.update(rig.section(to("backend", [at % 40 === 0 ? "b" : "a"])));
    }
    assert.deepEqual(new Set(await Promise.all(statuses)), new Set([200]));
    agent.destroy();
    assert.deepEqual([plugins.opened, plugins.ended], [200, 200]);
  });
});

describe("upstreams", () => {
  it("are replaced for requests that begin afterwards", async () => {
    await using one = await serve((_request, response) => response.end("one"));
    await using two = await serve((_request, response) => response.end("two"));
    await using rig = await openRig({ ingress: to("backend"), upstreams: { backend: { endpoints: [one.address] } } });
    assert.equal((await rig.send({ path: "/" })).body, "one");
    await rig.upstreams.update({ backend: { endpoints: [two.address], protocol: "http" } });
    assert.equal((await rig.send({ path: "/" })).body, "two");
    await rig.upstreams.update({});
    const answer = await rig.send({ path: "/" });
    assert.deepEqual([answer.status, answer.body], [503, "upstream 'backend' is not configured; configured: none\n"]);
  });
});

describe("draining", () => {
  it("accepts nothing more, closes idle connections and lets what is in flight finish", async () => {
    const held = Promise.withResolvers<http.ServerResponse>();
    await using backend = await serve((request, response) => {
      if (request.url === "/quick") response.end("quick");
      else held.resolve(response);
    });
    await using rig = await openRig({
      ingress: to("backend"),
      upstreams: { backend: { endpoints: [backend.address] } },
    });
    const idle = net.connect(rig.port, "127.0.0.1");
    idle.write("GET /quick HTTP/1.1\r\nHost: a\r\n\r\n");
    await once(idle, "data");
    const agent = new http.Agent({ keepAlive: true });
    const request = http.get({ port: rig.port, path: "/slow", agent });
    const response = await held.promise;
    const drained = rig.ingress.drain(60_000);
    await once(idle, "close");
    const refused = net.connect(rig.port, "127.0.0.1");
    const [error] = (await once(refused, "error")) as [NodeJS.ErrnoException];
    assert.equal(error.code, "ECONNREFUSED");
    response.end("late");
    const [received] = (await once(request, "response")) as [http.IncomingMessage];
    const answer = await collect(received);
    assert.deepEqual([answer.status, answer.body, answer.headers.connection], [200, "late", "close"]);
    await drained;
    agent.destroy();
  });

  it("does not wait for the rest of a head, nor for a protocol to show", async () => {
    await using rig = await openRig({ ingress: { routes: [] } });
    const begun = ["GET / HTTP/1.1\r\nHo", "P", "PRI * HTTP/2.0\r\n\r\nSM"].map((text) => {
      const socket = net.connect(rig.port, "127.0.0.1");
      socket.on("error", () => undefined).resume();
      socket.write(text);
      return socket;
    });
    // What comes over another connection afterwards has been read after them.
    await rig.send({ path: "/" });
    const closed = begun.map((socket) => once(socket, "close"));
    await rig.ingress.drain(60_000);
    await Promise.all(closed);
  });

  it("ends what is left when its deadline passes", async () => {
    const arrived = Promise.withResolvers<void>();
    await using backend = await serve(() => arrived.resolve());
    await using rig = await openRig({
      ingress: to("backend"),
      upstreams: { backend: { endpoints: [backend.address] } },
    });
    const ended = raw(rig.port, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    await arrived.promise;
    await rig.ingress.drain(20);
    assert.equal(await ended, "");
    assert.equal(rig.ingress.active, 0);
  });

  it("is what closing does at once, and plugins are let go", async () => {
    const arrived = Promise.withResolvers<void>();
    await using backend = await serve(() => arrived.resolve());
    const plugins = new Plugins().add("a", () => ({}));
    const rig = await openRig({
      ingress: to("backend", ["a"]),
      upstreams: { backend: { endpoints: [backend.address] } },
      plugins,
    });
    const ended = raw(rig.port, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    await arrived.promise;
    await rig[Symbol.asyncDispose]();
    assert.equal(await ended, "");
    assert.deepEqual([plugins.uses, plugins.opened, plugins.ended], [0, 1, 1]);
  });

  it("is not needed to refuse an address in use, or routes that are not acceptable", async () => {
    await using rig = await openRig({ ingress: { routes: [] } });
    const plugins = new Plugins();
    await assert.rejects(
      openRig({ ingress: { http: rig.ingress.address, filters: ["a"] }, plugins }),
      /the address is in use/,
    );
    assert.equal(plugins.uses, 0);
  });
});
