import assert from "node:assert/strict";
import { once } from "node:events";
import http from "node:http";
import net from "node:net";
import { describe, it } from "node:test";
import type { FailPolicy, StreamHost } from "../../runtime/plugin/contract.ts";
import { PluginError } from "../../runtime/plugin/plugin-error.ts";
import { collect, type OpenFilter, openRig, Plugins, type Rig, serve, serveEcho } from "./ingress-rig.ts";

const trap = () => new PluginError("bad", "1.0.0", "trap", "plugin 'bad' 1.0.0 trapped: unreachable");

/** The filter `bad` with a policy, between `front` and `back` which note what they see of the response. */
async function withBad(
  fail: FailPolicy,
  open: OpenFilter,
  test: (rig: Rig, seen: string[], plugins: Plugins) => Promise<void>,
): Promise<void> {
  const seen: string[] = [];
  const plugins = new Plugins().add("bad", open, fail);
  for (const name of ["front", "back"]) {
    plugins.add(name, (host) => ({
      responseHeaders: () => {
        seen.push(`${name} ${host.headers("response-headers")?.get(":status")}`);
        return "continue";
      },
    }));
  }
  await using backend = await serveEcho();
  await using rig = await openRig({
    ingress: { routes: [{ match: { prefix: "/" }, filters: ["front", "bad", "back"], to: { upstream: "backend" } }] },
    upstreams: { backend: { endpoints: [backend.address] } },
    plugins,
  });
  await test(rig, seen, plugins);
}

const post = { method: "POST", path: "/" };
const body = (answer: { body: string }): string => JSON.parse(answer.body).body;

describe("a filter that fails", () => {
  it("closed in a callback makes the answer 503, through the filters in front of it", async () => {
    const open: OpenFilter = (host) => ({
      requestHeaders: () => {
        host.failed(trap());
        return "continue";
      },
    });
    for (const policy of ["closed", "reload"] as const) {
      await withBad(policy, open, async (rig, seen, plugins) => {
        const answer = await rig.send(post, "x");
        assert.deepEqual([answer.status, answer.body], [503, "plugin 'bad' cannot serve now\n"]);
        assert.deepEqual(seen, ["front 503"]);
        const record = await rig.record();
        assert.deepEqual([record.plugin, record.details], ["bad", "plugin_trap"]);
        assert.deepEqual([plugins.opened, plugins.ended], [2, 1], "a filter that failed is not told the end");
      });
    }
  });

  it("open goes on from where it was, with what was buffered", async () => {
    const hosts: StreamHost[] = [];
    const open: OpenFilter = (host) => ({
      requestBody: (end) => {
        if (end) setImmediate(() => host.failed(trap()));
        hosts.push(host);
        return "pause";
      },
    });
    await withBad("open", open, async (rig, seen) => {
      const answer = await rig.send(post, "buffered");
      assert.deepEqual([answer.status, body(answer)], [200, "buffered"]);
      assert.deepEqual(seen, ["back 200", "front 200"]);
      hosts[0]?.resume("request");
      hosts[0]?.respond({ status: 500, details: "", headers: [], body: new Uint8Array(0) });
    });
  });

  it("open in each callback lets everything pass", async () => {
    const callbacks = ["requestHeaders", "requestBody", "responseHeaders", "responseBody"] as const;
    for (const callback of callbacks) {
      for (const how of ["failed", "thrown", "suspended"] as const) {
        const open: OpenFilter = (host) => ({
          [callback]: () => {
            if (how === "thrown") throw new Error("boom");
            if (how === "failed") host.failed(trap());
            else setImmediate(() => host.failed(trap()));
            return how === "failed" ? "continue" : "suspended";
          },
        });
        await withBad("open", open, async (rig) => {
          const answer = await rig.send(post, "kept");
          assert.deepEqual([answer.status, body(answer)], [200, "kept"], `${how} in ${callback}`);
        });
      }
    }
  });

  it("open passes trailers on too", async () => {
    const open: OpenFilter = (host) => ({
      requestTrailers: () => {
        setImmediate(() => host.failed(trap()));
        return "pause";
      },
    });
    await withBad("open", open, async (rig) => {
      const request = http.request({ port: rig.port, agent: false, ...post });
      request.write("x");
      request.addTrailers({ "x-end": "1" });
      request.end();
      const [response] = (await once(request, "response")) as [http.IncomingMessage];
      assert.deepEqual(JSON.parse((await collect(response)).body).trailers, { "x-end": "1" });
    });
  });

  it("when it begins a stream follows its policy", async () => {
    const open: OpenFilter = () => {
      throw trap();
    };
    await withBad("closed", open, async (rig) => assert.equal((await rig.send(post, "x")).status, 503));
    await withBad("open", open, async (rig) => assert.equal(body(await rig.send(post, "x")), "x"));
  });

  it("closed on a response that is still held back makes it a 503", async () => {
    const open: OpenFilter = (host) => ({
      responseBody: () => {
        host.failed(trap());
        return "continue";
      },
    });
    await withBad("closed", open, async (rig, seen) => {
      const answer = await rig.send(post, "x");
      assert.equal(answer.status, 503);
      assert.deepEqual(seen, ["back 200", "front 200"]);
    });
  });

  it("closed resets a response whose head went out", async () => {
    const hosts: StreamHost[] = [];
    const plugins = new Plugins().add("bad", (host) => {
      hosts.push(host);
      return {};
    });
    await using backend = await serve((_request, response) => response.write("begun"));
    await using rig = await openRig({
      ingress: { routes: [{ match: { prefix: "/" }, filters: ["bad"], to: { upstream: "backend" } }] },
      upstreams: { backend: { endpoints: [backend.address] } },
      plugins,
    });
    const request = http.get({ port: rig.port, path: "/", agent: false });
    const [response] = (await once(request, "response")) as [http.IncomingMessage];
    await once(response, "data");
    hosts[0]?.failed(trap());
    await assert.rejects(collect(response), { code: "ECONNRESET" });
    assert.deepEqual([plugins.opened, plugins.ended], [1, 0]);
  });

  it("because it is not deployed follows the policy of its use, and readiness names it", async () => {
    await using backend = await serveEcho();
    await using rig = await openRig({
      ingress: {
        routes: [
          { match: { path: "/open" }, filters: [{ plugin: "gone", fail: "open" }], to: { upstream: "backend" } },
          { match: { prefix: "/" }, filters: ["gone"], to: { upstream: "backend" } },
        ],
      },
      upstreams: { backend: { endpoints: [backend.address] } },
    });
    assert.deepEqual(rig.ingress.readiness(), ["gone"]);
    assert.equal((await rig.send({ path: "/open" })).status, 200);
    assert.equal((await rig.send({ path: "/" })).status, 503);
    rig.plugins.add("gone", () => ({}));
    assert.deepEqual(rig.ingress.readiness(), []);
    assert.equal((await rig.send({ path: "/" })).status, 200);
  });
});

describe("a service", () => {
  const service = (open: OpenFilter) =>
    openRig({
      ingress: { routes: [{ match: { prefix: "/" }, to: { plugin: "shop" } }], maxBufferBytes: 1000 },
      plugins: new Plugins().add("shop", open, "open"),
    });

  it("answers with the headers and the body that it filled in, when it lets the request's end pass", async () => {
    await using rig = await service((host) => ({
      requestBody: (end) => {
        if (!end) return "pause";
        const asked = host.body("request");
        const name = asked === undefined ? "" : Buffer.from(asked.read(0, asked.length)).toString();
        host.headers("response-headers")?.set(":status", "201");
        host.headers("response-headers")?.set("content-type", "text/plain");
        host.headers("response-headers")?.set("transfer-encoding", "gzip");
        host.body("response")?.splice(0, 0, Buffer.from(`hello ${name}`));
        return "continue";
      },
    }));
    const answer = await rig.send(post, "world");
    assert.deepEqual([answer.status, answer.body], [201, "hello world"]);
    assert.deepEqual(
      [answer.headers["content-type"], answer.headers["content-length"], answer.headers["transfer-encoding"]],
      ["text/plain", "11", undefined],
    );
    const record = await rig.record();
    assert.deepEqual([record.plugin, record.details, record.bytesSent], ["shop", "via_plugin", 11]);
    assert.deepEqual([rig.plugins.opened, rig.plugins.ended], [1, 1]);
  });

  it("is told of a request without a body by its head alone, and answers 200 by itself", async () => {
    const ends: boolean[] = [];
    let responses = 0;
    await using rig = await service(() => ({
      requestHeaders: (end) => {
        ends.push(end);
        return "continue";
      },
      responseHeaders: () => {
        responses += 1;
        return "continue";
      },
    }));
    const answer = await rig.send({ path: "/" });
    assert.deepEqual([answer.status, answer.headers["content-length"], answer.body], [200, "0", ""]);
    assert.deepEqual([ends, responses], [[true], 0]);
  });

  it("answers by a local reply, which filters see and it does not", async () => {
    const seen: string[] = [];
    await using rig = await openRig({
      ingress: { filters: ["front"], routes: [{ match: { prefix: "/" }, to: { plugin: "shop" } }] },
      plugins: new Plugins()
        .add("front", (host) => ({
          responseHeaders: () => {
            seen.push(`front ${host.headers("response-headers")?.get(":status")}`);
            return "continue";
          },
        }))
        .add("shop", (host) => ({
          requestHeaders: () => {
            host.respond({ status: 404, details: "", headers: [], body: Buffer.from("no such thing") });
            return "pause";
          },
          responseHeaders: () => {
            seen.push("shop");
            return "continue";
          },
        })),
    });
    const answer = await rig.send({ path: "/" });
    assert.deepEqual([answer.status, answer.body, seen], [404, "no such thing", ["front 404"]]);
  });

  it("may wait for the host in the middle of a callback", async () => {
    await using rig = await service((host) => ({
      requestHeaders: () => {
        setImmediate(() => {
          host.body("response")?.splice(0, 0, Buffer.from("later"));
          host.settle("continue");
        });
        return "suspended";
      },
    }));
    assert.equal((await rig.send({ path: "/" })).body, "later");
  });

  it("that pauses and never goes on is ended by the timeout of its route", async () => {
    await using rig = await openRig({
      ingress: { routes: [{ match: { prefix: "/" }, to: { plugin: "shop" }, timeout: "20ms" }] },
      plugins: new Plugins().add("shop", () => ({ requestHeaders: () => "pause" })),
    });
    assert.equal((await rig.send({ path: "/" })).status, 504);
    assert.deepEqual([rig.plugins.opened, rig.plugins.ended], [1, 1]);
  });

  it("that fails answers 503, whatever its policy", async () => {
    await using rig = await service((host) => ({
      requestHeaders: () => {
        host.failed(trap());
        return "continue";
      },
    }));
    assert.equal((await rig.send({ path: "/" })).status, 503);
  });

  it("that is not deployed answers 503", async () => {
    await using rig = await openRig({ ingress: { routes: [{ match: { prefix: "/" }, to: { plugin: "none" } }] } });
    assert.equal((await rig.send({ path: "/" })).status, 503);
    assert.deepEqual(rig.ingress.readiness(), ["none"]);
  });

  it("that makes no sense of its response answers 500", async () => {
    await using rig = await service((host) => ({
      requestHeaders: () => {
        host.headers("response-headers")?.set(":status", "99");
        return "continue";
      },
    }));
    assert.equal((await rig.send({ path: "/" })).status, 500);
  });

  it("is refused more of a body than may be held back", async () => {
    await using rig = await service(() => ({ requestBody: () => "pause" }));
    assert.equal((await rig.send(post, "x".repeat(1001))).status, 413);
  });

  it("is chosen by the header id on a route that says so", async () => {
    await using rig = await openRig({
      ingress: { routes: [{ match: { prefix: "/" }, to: { pluginById: true } }] },
      plugins: new Plugins().add("id_1", (host) => ({
        requestHeaders: () => {
          host.body("response")?.splice(0, 0, Buffer.from("it is me"));
          return "continue";
        },
      })),
    });
    const ask = (id?: string) => rig.send({ path: "/", ...(id === undefined ? {} : { headers: { id } }) });
    assert.equal((await ask("id_1")).body, "it is me");
    assert.equal((await ask("id_1")).body, "it is me");
    assert.deepEqual(
      [(await ask("id_2")).status, (await ask("../id_1")).status, (await ask()).status],
      [404, 404, 400],
    );
    const uses = rig.plugins.uses;
    for (let at = 0; at < 20; at += 1) await ask(`made-up-${at}`);
    assert.equal(rig.plugins.uses, uses, "names that clients make up are not kept");
    rig.plugins.remove("id_1");
    assert.equal((await ask("id_1")).status, 404);
  });

  it("keeps the connection for the next request when it answers before the end of a short one", async () => {
    await using rig = await service((host) => ({
      requestHeaders: () => {
        host.respond({ status: 401, details: "", headers: [], body: new Uint8Array(0) });
        return "pause";
      },
    }));
    const socket = net.connect(rig.port, "127.0.0.1");
    const answers: string[] = [];
    for (let at = 0; at < 2; at += 1) {
      socket.write("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n");
      const [data] = (await once(socket, "data")) as [Buffer];
      answers.push(data.toString("latin1").slice(9, 12));
      socket.write("hello");
    }
    assert.deepEqual(answers, ["401", "401"]);
    socket.destroy();
  });
});
