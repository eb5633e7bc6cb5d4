/** Filters of an upstream: whoever makes a request to it, they are the last that see it. */
import assert from "node:assert/strict";
import { once } from "node:events";
import http from "node:http";
import { describe, it } from "node:test";
import type { Caller, StreamHost } from "../../runtime/plugin/contract.ts";
import { PluginError } from "../../runtime/plugin/plugin-error.ts";
import { eventually } from "../conformance/backend.ts";
import { bodyOf, bytes, reply, text, tracing } from "./ingress-filters-rig.ts";
import { deadAddress, type Echoed, type OpenFilter, openRig, Plugins, serve, serveEcho } from "./ingress-rig.ts";
import { from, marking, never, passed, question, routed, withUpstreamFilters } from "./upstream-filters-rig.ts";

describe("a routed request to an upstream with filters", () => {
  it("passes them behind those of the route, and its response before", async () => {
    const trace: string[] = [];
    await using scene = await withUpstreamFilters(
      { first: tracing("first", trace), second: tracing("second", trace) },
      { ingress: { filters: ["front"] }, others: { front: tracing("front", trace) } },
    );
    await scene.rig.send({ method: "POST" }, "hello");
    await scene.rig.record();
    const steps = trace.filter((step) => step.includes("headers"));
    assert.deepEqual(steps, [
      ...["front request headers", "first request headers", "second request headers"],
      ...["second response headers", "first response headers", "front response headers"],
    ]);
    assert.deepEqual(trace.filter((step) => step.endsWith(" end") && !step.includes("body")).sort(), [
      ...["first end", "front end", "second end"],
    ]);
  });

  it("is seen and changed in all its parts, and so is the response", async () => {
    await using server = await serve((request, response) => {
      let body = "";
      request.on("data", (chunk: Buffer) => {
        body += chunk;
      });
      request.on("end", () => {
        response.writeHead(200, { trailer: "x-sum" });
        response.write(`${request.headers["x-token"]} ${body} ${request.trailers["x-tail"]}`);
        response.addTrailers({ "x-sum": "7" });
        response.end();
      });
    });
    const plugins = new Plugins().add("all", (host) => ({
      requestHeaders: () => {
        host.headers("request-headers")?.set("x-token", "secret");
        return "continue";
      },
      requestBody: () => {
        const body = host.body("request");
        body?.splice(0, body.length, bytes(bodyOf(host, "request").toUpperCase()));
        return "continue";
      },
      requestTrailers: () => {
        host.headers("request-trailers")?.set("x-tail", "changed");
        return "continue";
      },
      responseHeaders: () => {
        host.headers("response-headers")?.set("x-answered", "yes");
        return "continue";
      },
      responseBody: () => {
        const body = host.body("response");
        body?.splice(body.length, 0, bytes("!"));
        return "continue";
      },
      responseTrailers: () => {
        host.headers("response-trailers")?.set("x-sum", "8");
        return "continue";
      },
    }));
    let seen = "";
    plugins.add("front", (host) => ({
      end: () => {
        seen = host.headers("request-headers")?.get("x-token") ?? "none";
      },
    }));
    await using rig = await openRig({
      ingress: { ...routed, filters: ["front"] },
      upstreams: { backend: { endpoints: [server.address], filters: ["all"] } },
      plugins,
    });
    const request = http.request({ port: rig.port, host: "127.0.0.1", method: "POST", agent: false });
    request.setHeader("trailer", "x-tail");
    request.write("shout");
    request.addTrailers({ "x-tail": "as sent" });
    request.end();
    const [response] = (await once(request, "response")) as [http.IncomingMessage];
    const chunks: Buffer[] = [];
    for await (const chunk of response) chunks.push(chunk);
    assert.equal(Buffer.concat(chunks).toString().replaceAll("!", ""), "secret SHOUT changed");
    assert.deepEqual([response.headers["x-answered"], response.trailers["x-sum"]], ["yes", "8"]);
    await rig.record();
    assert.equal(seen, "none", "what a filter of the upstream adds is not seen in front of it");
  });

  it("is held, and goes on", async () => {
    let held: StreamHost | undefined;
    await using scene = await withUpstreamFilters({
      holding: (host) => ({
        requestHeaders: () => {
          held = host;
          return "pause";
        },
      }),
    });
    const answer = scene.rig.send({ method: "POST" }, "waits");
    await eventually("the request is held", () => held !== undefined);
    held?.resume("request");
    assert.equal((JSON.parse((await answer).body) as Echoed).body, "waits");
    const record = await scene.rig.record();
    assert.deepEqual(
      [record.upstream, record.endpoint, record.details],
      ["backend", scene.backend.address, "via_upstream"],
    );
  });

  it("is answered by one of them as if the upstream did", async () => {
    await using scene = await withUpstreamFilters({
      shut: (host) => ({
        requestHeaders: () => {
          host.respond(reply(429, "not now", [["retry-after", "5"]]));
          return "pause";
        },
      }),
    });
    const answer = await scene.rig.send({ method: "POST" }, "a body");
    assert.deepEqual([answer.status, answer.body, answer.headers["retry-after"]], [429, "not now", "5"]);
    const record = await scene.rig.record();
    assert.deepEqual([record.status, record.details, record.upstream], [429, "via_upstream", "backend"]);
  });

  it("finds what it may know of the upstream", async () => {
    const seen: Record<string, unknown>[] = [];
    const look = (host: StreamHost) => {
      const names = ["listener_direction", "cluster_name", "route_name"];
      const paths = [
        ...names.map((name) => [name]),
        ["upstream", "address"],
        ["source", "address"],
        ["connection", "id"],
      ];
      seen.push(Object.fromEntries(paths.map((path) => [path.join("."), host.property(path)])));
      return "continue" as const;
    };
    await using scene = await withUpstreamFilters({
      looking: (host) => ({ requestHeaders: () => look(host), responseHeaders: () => look(host) }),
    });
    await scene.rig.send({});
    const nothing = { route_name: undefined, "source.address": undefined, "connection.id": undefined };
    const known = { listener_direction: 2n, cluster_name: "backend", ...nothing };
    assert.deepEqual(seen, [
      { ...known, "upstream.address": undefined },
      { ...known, "upstream.address": scene.backend.address },
    ]);
  });
});

describe("when something fails", () => {
  const breaking: OpenFilter = () => ({
    requestHeaders: () => {
      throw new PluginError("breaking", "1", "trap", "it broke");
    },
  });

  it("a filter that must be there ends the request, and says so in front", async () => {
    await using scene = await withUpstreamFilters({ breaking });
    const answer = await scene.rig.send({});
    assert.deepEqual([answer.status, answer.body], [503, "plugin 'breaking' cannot serve now\n"]);
    assert.equal((await scene.rig.record()).details, "plugin_trap");
    await assert.rejects(scene.rig.upstreams.httpCall("backend", question, never), {
      code: "UNAVAILABLE",
      message: "plugin 'breaking' cannot serve now",
    });
  });

  it("a filter that may be away is left out", async () => {
    await using scene = await withUpstreamFilters(
      { breaking },
      { upstream: { filters: [{ plugin: "breaking", fail: "open" }, "after"] }, others: { after: marking("after") } },
    );
    assert.deepEqual(passed((await scene.rig.send({})).body), ["after"]);
  });

  it("an upstream that cannot be connected to is told of as without filters", async () => {
    const dead = await deadAddress();
    await using scene = await withUpstreamFilters({ one: marking("one") }, { upstream: { endpoints: [dead] } });
    const answer = await scene.rig.send({});
    assert.deepEqual([answer.status, answer.body], [503, "cannot connect to upstream 'backend'\n"]);
    const record = await scene.rig.record();
    assert.deepEqual([record.details, record.flags], ["upstream_connect_failure{ECONNREFUSED}", ["UF"]]);
    await assert.rejects(scene.rig.upstreams.httpCall("backend", question, never), /cannot connect to upstream/);
  });

  it("a body that a filter holds back beyond the upstream's limit is refused", async () => {
    await using scene = await withUpstreamFilters(
      { gathering: () => ({ requestBody: (end) => (end ? "continue" : "buffer") }) },
      { upstream: { maxBufferBytes: "1Ki" } },
    );
    const answer = await scene.rig.send({ method: "POST" }, Buffer.alloc(200_000));
    assert.equal(answer.status, 413);
    assert.match(answer.body, /1024 bytes that a plugin may hold back \(upstreams\.backend\.maxBufferBytes\)/);
  });

  it("a client that leaves ends the streams of the filters", async () => {
    await using scene = await withUpstreamFilters({ holding: () => ({ requestHeaders: () => "pause" }) });
    const request = http.get({ port: scene.rig.port, host: "127.0.0.1", agent: false });
    request.on("error", () => undefined);
    await eventually("scene.plugins.opened is 1", () => scene.plugins.opened === 1);
    request.destroy();
    await eventually("scene.plugins.ended is 1", () => scene.plugins.ended === 1);
  });
});

describe("a request that a plugin makes to an upstream", () => {
  it("passes the filters, but none that it comes from", async () => {
    await using scene = await withUpstreamFilters({ first: marking("first"), second: marking("second") });
    const ask = async (caller?: Caller) =>
      passed(text((await scene.rig.upstreams.httpCall("backend", question, never, caller)).body));
    assert.deepEqual(await ask(), ["first", "second"]);
    assert.deepEqual(await ask(from("other")), ["first", "second"]);
    assert.deepEqual(await ask(from("first")), ["second"]);
    assert.deepEqual(await ask(from("second", from("first"))), []);
  });

  it("ends when filters of two upstreams ask each other's upstream", async () => {
    await using server = await serveEcho();
    let asked = 0;
    const plugins = new Plugins();
    const asking =
      (name: string, upstream: string): OpenFilter =>
      (host) => ({
        requestHeaders: () => {
          asked += 1;
          const done = () => host.resume("request");
          rig.upstreams.httpCall(upstream, question, never, from(name, host.caller)).then(done, done);
          return "pause";
        },
      });
    plugins.add("left", asking("left", "b")).add("right", asking("right", "a"));
    await using rig = await openRig({
      ingress: { routes: [{ match: { prefix: "/" }, to: { upstream: "a" } }] },
      upstreams: {
        a: { endpoints: [server.address], filters: ["left"] },
        b: { endpoints: [server.address], filters: ["right"] },
      },
      plugins,
    });
    assert.equal((await rig.send({})).status, 200);
    assert.equal(asked, 2, "left asks b, right asks a, and that passes left no more");
  });
});
