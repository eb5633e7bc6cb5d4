/** Calls of gRPC through the filters of their upstream: routed, passed on for their metadata, and made by the sidecar. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { configurationSchema } from "../../runtime/config/schema.ts";
import { ServiceProxy } from "../../runtime/egress/service-proxy.ts";
import { Upstreams } from "../../runtime/egress/upstreams.ts";
import { GrpcChannels } from "../../runtime/grpc/client.ts";
import { http2Transport } from "../../runtime/grpc/http2-transport.ts";
import type { Caller } from "../../runtime/plugin/contract.ts";
import { PluginError } from "../../runtime/plugin/plugin-error.ts";
import { createLog } from "../../runtime/telemetry/log.ts";
import { Metrics } from "../../runtime/telemetry/metrics.ts";
import { bytes, reply, text } from "./ingress-filters-rig.ts";
import { EchoClient, serveGrpc, status, statusOf } from "./ingress-http2-rig.ts";
import { openRig, Plugins } from "./ingress-rig.ts";

const log = createLog({ level: "silent" });
const never = new AbortController().signal;
const echo = { service: "test.Echo", method: "Unary", metadata: [], message: bytes("hello") } as const;

/** Puts `user: filter` on each call, adds to its trailers, and refuses those of `user: mallory`. */
const guarding = () =>
  new Plugins().add("guarding", (host) => ({
    requestHeaders: () => {
      const headers = host.headers("request-headers");
      if (headers?.get("user") === "mallory") {
        host.respond(reply(403, "not you"));
        return "pause";
      }
      headers?.set("user", "filter");
      return "continue";
    },
    responseTrailers: () => {
      host.headers("response-trailers")?.set("took", "a filter longer");
      return "continue";
    },
  }));

async function openUpstreams(address: string, protocol: "http" | "grpc" = "grpc", plugins = guarding()) {
  await using opening = new AsyncDisposableStack();
  const settings = { orders: { endpoints: [address], protocol, filters: ["guarding"] } };
  const upstreams = opening.use(
    new Upstreams({ upstreams: configurationSchema.parse({ upstreams: settings }).upstreams, log }),
  );
  opening.use(await upstreams.filterWith(plugins));
  const channels = opening.use(new GrpcChannels(1024 ** 2));
  const owned = opening.move();
  const call = (caller?: Caller, timeoutMs?: number, request: Parameters<GrpcChannels["call"]>[1] = echo) => {
    const { address: at = "", through } = upstreams.grpc("orders", caller);
    return channels.call(at, request, { signal: never, timeoutMs, through });
  };
  return { upstreams, channels, call, plugins, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

describe("a call of gRPC to an upstream with filters", () => {
  it("passes them on its route", async () => {
    await using backend = await serveGrpc();
    await using rig = await openRig({
      ingress: { routes: [{ match: { prefix: "/" }, to: { upstream: "orders" } }] },
      upstreams: { orders: { endpoints: [backend.address], protocol: "grpc", filters: ["guarding"] } },
      plugins: guarding(),
    });
    using client = new EchoClient(`127.0.0.1:${rig.port}`);
    const answer = await client.unary("hello", { user: "ann" });
    assert.deepEqual([answer.code, answer.message], [status.OK, "hello"]);
    assert.deepEqual(answer.head?.get("got-user"), ["filter"]);
    assert.deepEqual(answer.trailers.get("took"), ["a filter longer"]);
    const refused = await client.unary("hello", { user: "mallory" });
    assert.deepEqual([refused.code, refused.details], [status.PERMISSION_DENIED, "not you"]);
  });

  it("passes them when its metadata name the upstream, streams included", async () => {
    await using backend = await serveGrpc();
    await using open = await openUpstreams(backend.address);
    await using api = await http2Transport.serve({
      addresses: ["127.0.0.1:0"],
      services: [],
      unknown: new ServiceProxy({ appId: "me", upstreams: open.upstreams, metrics: new Metrics() }),
      maxMessageBytes: 1024,
      appId: "me",
      log,
      metrics: new Metrics(),
    });
    using client = new EchoClient(api.addresses[0] ?? "");
    const answer = await client.unary("hello", { "dapr-app-id": "orders" });
    assert.deepEqual([answer.code, answer.message], [status.OK, "hello"]);
    assert.deepEqual(answer.head?.get("got-user"), ["filter"]);
    assert.deepEqual(answer.trailers.get("took"), ["a filter longer"]);
    const refused = await client.unary("hello", { "dapr-app-id": "orders", user: "mallory" });
    assert.deepEqual([refused.code, refused.details], [status.PERMISSION_DENIED, "not you"]);
    const talk = client.talk({ "dapr-app-id": "orders" });
    const ended = statusOf(talk);
    let total = 0;
    talk.on("data", (part: Buffer) => {
      total += part.length;
      if (total === 600_000) talk.end();
    });
    for (let at = 0; at < 3; at += 1) talk.write(Buffer.alloc(200_000));
    assert.equal((await ended).code, status.OK);
    open.plugins.remove("guarding");
    const missing = await client.unary("hello", { "dapr-app-id": "orders" });
    assert.deepEqual([missing.code, missing.details], [status.UNAVAILABLE, "plugin 'guarding' cannot serve now"]);
  });

  it("passes them when the sidecar makes it, unless it comes from that plugin", async () => {
    await using backend = await serveGrpc();
    await using open = await openUpstreams(backend.address);
    const answer = await open.call();
    assert.deepEqual([answer.code, text(answer.message ?? bytes("nothing"))], [status.OK, "hello"]);
    assert.deepEqual(answer.initialMetadata.find(([name]) => name === "got-user")?.[1], "filter");
    assert.deepEqual(answer.trailingMetadata.find(([name]) => name === "took")?.[1], "a filter longer");
    const own = await open.call({ plugin: "guarding", caller: undefined });
    assert.equal(
      own.initialMetadata.find(([name]) => name === "got-user"),
      undefined,
    );
    const refused = await open.call(undefined, 5_000, { ...echo, metadata: [["user", "mallory"]] });
    assert.deepEqual([refused.code, refused.details], [status.PERMISSION_DENIED, "not you"]);
    const failed = await open.call(undefined, 5_000, { ...echo, metadata: [["fail", "9"]] });
    assert.equal(failed.code, status.FAILED_PRECONDITION);
  });

  it("streams through them when the sidecar opens it", async () => {
    await using backend = await serveGrpc();
    await using open = await openUpstreams(backend.address);
    const { address = "", through } = open.upstreams.grpc("orders");
    const { promise, resolve } = Promise.withResolvers<{ code: number; received: number; took: string | undefined }>();
    let received = 0;
    const stream = open.channels.stream(
      address,
      { service: "test.Echo", method: "Talk", metadata: [] },
      {
        initialMetadata: () => undefined,
        message: (message) => {
          received += message.length;
          if (received === 3) stream.end();
        },
        drained: () => undefined,
        closed: (code, _details, trailers) =>
          resolve({ code, received, took: trailers.find(([name]) => name === "took")?.[1] }),
      },
      through,
    );
    for (const part of ["a", "b", "c"]) stream.send(bytes(part), false);
    assert.deepEqual(await promise, { code: status.OK, received: 3, took: "a filter longer" });
  });

  it("ends at its deadline though a filter holds it, and the filter's stream with it", async () => {
    await using backend = await serveGrpc();
    const plugins = new Plugins().add("guarding", () => ({ requestHeaders: () => "pause" }));
    await using open = await openUpstreams(backend.address, "grpc", plugins);
    assert.equal((await open.call(undefined, 50)).code, status.DEADLINE_EXCEEDED);
    assert.deepEqual([plugins.opened, plugins.ended], [1, 1]);
  });

  it("ends at its deadline though many other addresses are called meanwhile", async () => {
    await using backend = await serveGrpc();
    const plugins = new Plugins().add("guarding", () => ({ requestHeaders: () => "pause" }));
    await using open = await openUpstreams(backend.address, "grpc", plugins);
    const held = open.call(undefined, 300);
    const nowhere = { request: () => undefined };
    for (let port = 1; port <= 300; port += 1)
      await open.channels.call(`127.0.0.1:${port}`, echo, { signal: never, through: nowhere });
    assert.equal((await held).code, status.DEADLINE_EXCEEDED);
  });

  it("is unavailable when a filter fails in the middle of its answer", async () => {
    await using backend = await serveGrpc();
    const plugins = new Plugins().add("guarding", () => ({
      responseTrailers: () => {
        throw new PluginError("guarding", "1", "trap", "it broke");
      },
    }));
    await using open = await openUpstreams(backend.address, "grpc", plugins);
    const answer = await open.call();
    assert.deepEqual([answer.code, answer.details], [status.UNAVAILABLE, "plugin 'guarding' cannot serve now"]);
    assert.notDeepEqual(answer.initialMetadata, [], "its head had come");
  });

  it("is refused when the upstream speaks HTTP/1.1", async () => {
    await using open = await openUpstreams("127.0.0.1:1", "http");
    const answer = await open.call();
    const why = "upstream 'orders' speaks http; a gRPC call through its filters needs one that speaks grpc or http2";
    assert.deepEqual([answer.code, answer.details], [status.UNAVAILABLE, why]);
  });

  it("tells that its upstream cannot be connected to", async () => {
    await using open = await openUpstreams("127.0.0.1:1");
    const answer = await open.call();
    assert.deepEqual([answer.code, answer.details], [status.UNAVAILABLE, "cannot connect to upstream 'orders'"]);
  });
});
