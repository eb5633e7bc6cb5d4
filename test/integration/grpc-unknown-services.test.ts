import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ServiceProxy } from "../../runtime/egress/service-proxy.ts";
import { Upstreams } from "../../runtime/egress/upstreams.ts";
import { http2Transport } from "../../runtime/grpc/http2-transport.ts";
import { createLog } from "../../runtime/telemetry/log.ts";
import { Metrics } from "../../runtime/telemetry/metrics.ts";
import { ask, connectTo, EchoClient, serveGrpc, status, statusOf } from "./ingress-http2-rig.ts";

const log = createLog({ level: "silent" });

async function openApi(options: { appId?: string; upstreams?: Record<string, string>; grpcApp?: string }) {
  const { appId = "me" } = options;
  await using opening = new AsyncDisposableStack();
  const metrics = new Metrics();
  const configured = Object.entries(options.upstreams ?? {}).map(([name, address]) => [
    name,
    { endpoints: [address], protocol: name === "web" ? ("http" as const) : ("grpc" as const) },
  ]);
  const upstreams = opening.use(
    new Upstreams({ upstreams: Object.fromEntries(configured), application: { grpc: options.grpcApp }, log }),
  );
  const listener = opening.use(
    await http2Transport.serve({
      addresses: ["127.0.0.1:0"],
      services: [],
      unknown: new ServiceProxy({ appId, upstreams, metrics }),
      maxMessageBytes: 1024,
      appId,
      log,
      metrics,
    }),
  );
  const owned = opening.move();
  return {
    address: listener.addresses[0] ?? "",
    metrics,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

describe("a gRPC service that the runtime does not have", () => {
  it("is asked of the application that the metadata name", async () => {
    await using backend = await serveGrpc();
    await using api = await openApi({ upstreams: { orders: backend.address } });
    using client = new EchoClient(api.address);
    const answer = await client.unary("hello", { "dapr-app-id": "orders", user: "ann" });
    assert.deepEqual([answer.code, answer.message], [status.OK, "hello"]);
    assert.deepEqual(answer.head?.get("got-user"), ["ann"]);
    assert.deepEqual(answer.trailers.get("took"), ["1ms"]);
    const failed = await client.unary("hello", { "dapr-app-id": "orders", fail: "9" });
    assert.equal(failed.code, status.FAILED_PRECONDITION);
    assert.match(await api.metrics.expose(), /outrigger_proxied_calls_total\{app="orders",code="200"\} 2/);
  });

  it("streams both ways, messages larger than the runtime's own may be included", async () => {
    await using backend = await serveGrpc();
    await using api = await openApi({ upstreams: { orders: backend.address } });
    using client = new EchoClient(api.address);
    const call = client.talk({ "dapr-app-id": "orders" });
    const ended = statusOf(call);
    let total = 0;
    call.on("data", (part: Buffer) => {
      total += part.length;
      if (total === 600_000) call.end();
    });
    for (let at = 0; at < 3; at += 1) call.write(Buffer.alloc(200_000));
    assert.equal((await ended).code, status.OK);
  });

  it("is asked of the own application under its own id", async () => {
    await using backend = await serveGrpc();
    await using api = await openApi({ grpcApp: backend.address });
    using client = new EchoClient(api.address);
    assert.equal((await client.unary("hello", { "dapr-app-id": "me" })).message, "hello");
  });

  it("passes through the sidecar of another application to that application", async () => {
    await using backend = await serveGrpc();
    await using far = await openApi({ appId: "orders", grpcApp: backend.address });
    await using near = await openApi({ upstreams: { orders: far.address } });
    using client = new EchoClient(near.address);
    const answer = await client.unary("hello", { "dapr-app-id": "orders" });
    assert.deepEqual([answer.code, answer.message], [status.OK, "hello"]);
    assert.deepEqual(answer.head?.get("got-dapr-caller-app-id"), ["me"]);
  });

  it("is UNIMPLEMENTED when nobody is named, and UNAVAILABLE when the named one is not there", async () => {
    await using api = await openApi({ upstreams: { orders: "127.0.0.1:1", web: "127.0.0.1:1" } });
    using client = new EchoClient(api.address);
    const answers = await Promise.all([
      client.unary("x"),
      client.unary("x", { "dapr-app-id": "nobody" }),
      client.unary("x", { "dapr-app-id": "me" }),
      client.unary("x", { "dapr-app-id": "web" }),
      client.unary("x", { "dapr-app-id": "orders" }),
    ]);
    assert.deepEqual(
      answers.map(({ code }) => code),
      [status.UNIMPLEMENTED, status.UNAVAILABLE, status.UNAVAILABLE, status.UNAVAILABLE, status.UNAVAILABLE],
    );
    assert.match(answers[0]?.details ?? "", /does not have the method \/test\.Echo\/Unary; .* 'dapr-app-id'/);
    assert.equal(answers[1]?.details, "there is no upstream 'nobody'; there are orders, web");
    assert.equal(answers[2]?.details, "the application has no gRPC address; set app.grpc");
    assert.equal(answers[3]?.details, "upstream 'web' speaks http; a gRPC call needs one that speaks grpc or http2");
    assert.equal(answers[4]?.details, "cannot connect to upstream 'orders'");
  });

  it("is not what a plain request over HTTP/2 asks for", async () => {
    await using api = await openApi({});
    await using client = connectTo(Number(api.address.split(":").at(-1)));
    const answer = await ask(client.session, { ":path": "/" });
    assert.equal(answer.head[":status"], 415);
  });
});
