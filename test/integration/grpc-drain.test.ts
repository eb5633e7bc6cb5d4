import assert from "node:assert/strict";
import { once } from "node:events";
import net from "node:net";
import { describe, it } from "node:test";
import { status } from "@grpc/grpc-js";
import { HealthCheckResponse_ServingStatus, HealthService } from "../../proto/gen/grpc/health/v1/health.ts";
import { openHealth } from "../../runtime/grpc/health.ts";
import { parseHostPort } from "../../runtime/listen.ts";
import { ask, chat, serveEcho, statusOf } from "../support/grpc-echo.ts";
import { serviceClient } from "../support/service-client.ts";

const never = <T>(): Promise<T> => new Promise(() => undefined);

/** A handler that waits to be let go, and when it was called. */
function gate() {
  const { promise: arrived, resolve: arrive } = Promise.withResolvers<void>();
  const { promise: released, resolve: release } = Promise.withResolvers<void>();
  const unary = async (request: Buffer): Promise<Buffer> => {
    if (request.toString() !== "slow") return request;
    arrive();
    await released;
    return request;
  };
  return { arrived, release, unary };
}

describe("a draining server", () => {
  it("is not done before its calls in flight are, and sends new ones away from old connections too", async () => {
    const { arrived, release, unary } = gate();
    await using server = await serveEcho({ handlers: { unary } });
    const answer = ask(server.client, "slow");
    await arrived;
    let isDrained = false;
    const drained = server.listener.drain(60_000).then(() => {
      isDrained = true;
    });
    // What was on its way when the first GOAWAY left is still served.
    let late = await ask(server.client, "late");
    while (late.code === status.OK) late = await ask(server.client, "late");
    assert.equal(late.code, status.UNAVAILABLE);
    assert.equal(isDrained, false);
    release();
    assert.deepEqual(await answer, { code: 0, details: "", data: "slow" });
    await drained;
    assert.match(await server.metrics.expose(), /^outrigger_grpc_connections 0$/m);
  });

  it("tells streams that have no end of their own, and ends those that do not end themselves", async () => {
    const health = openHealth([]);
    const opened = Promise.withResolvers<void>();
    const handlers = {
      async chat({ requests, draining }: { requests: AsyncIterable<Buffer>; draining: AbortSignal }) {
        opened.resolve();
        await Promise.race([Array.fromAsync(requests), once(draining, "abort")]);
        draining.throwIfAborted();
      },
    };
    await using server = await serveEcho({ handlers, services: [health.service] });
    const { stream, ended } = chat(server.client);
    stream.resume();
    await opened.promise;
    const client = serviceClient(HealthService, server.address);
    const watch = client.watch({ service: "" });
    const watchEnded = statusOf(watch);
    const [first] = await once(watch, "data");
    assert.equal(first.status, HealthCheckResponse_ServingStatus.NOT_SERVING);
    await server.listener.drain(60_000);
    assert.deepEqual([await ended, await watchEnded], [status.UNAVAILABLE, status.UNAVAILABLE]);
    client.close();
  });

  it("cuts off at the deadline what does not end", async () => {
    const arrived = Promise.withResolvers<void>();
    const handlers = {
      unary: () => {
        arrived.resolve();
        return never<Buffer>();
      },
      chat: () => never<void>(),
    };
    await using server = await serveEcho({ handlers });
    const { stream, ended } = chat(server.client);
    stream.resume();
    const answer = ask(server.client, "");
    await arrived.promise;
    await server.listener.drain(50);
    assert.notEqual((await answer).code, status.OK);
    assert.notEqual(await ended, status.OK);
  });

  it("is not held up by connections that never speak, or speak something else", async () => {
    await using server = await serveEcho({ handlers: { unary: async (request) => request } });
    const { host, port } = parseHostPort(server.address);
    const silent = net.connect(port, host);
    const http1 = net.connect(port, host);
    const garbage = net.connect(port, host);
    await Promise.all([silent, http1, garbage].map((socket) => once(socket, "connect")));
    for (const socket of [silent, http1, garbage]) socket.on("error", () => undefined).resume();
    const closed = [http1, garbage].map((socket) => once(socket, "close"));
    http1.write("GET / HTTP/1.1\r\nhost: localhost\r\n\r\n");
    garbage.write(Buffer.alloc(1024, 0xff));
    await Promise.all(closed);
    assert.equal((await ask(server.client, "still here")).data, "still here");
    const silentClosed = once(silent, "close");
    await server.listener.drain(60_000);
    await silentClosed;
  });

  it("opens nothing when one of its addresses cannot be had", async () => {
    await using taken = net.createServer().listen(0, "127.0.0.1");
    await once(taken, "listening");
    const address = taken.address();
    assert.ok(address !== null && typeof address === "object");
    const addresses = ["127.0.0.1:0", `127.0.0.1:${address.port}`];
    await assert.rejects(
      serveEcho({ handlers: {}, addresses }),
      /cannot listen on 127\.0\.0\.1:\d+: the address is in use/,
    );
  });
});
