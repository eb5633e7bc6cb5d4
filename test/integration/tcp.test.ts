import assert from "node:assert/strict";
import { once } from "node:events";
import type net from "node:net";
import { describe, it } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { eventually } from "../conformance/backend.ts";
import { deadAddress } from "./ingress-rig.ts";
import { openTcpRig, serveTcp, serveTcpEcho } from "./tcp-rig.ts";

const totalBytes = 64 * 1024 ** 2;
/** What the kernel's buffers of two loopback connections may hold, with room; without back-pressure it would be all. */
const mostUnderWay = 32 * 1024 ** 2;
const chunk = Buffer.alloc(64 * 1024, "x");

/** Writes as fast as it may, then ends; `written` counts. */
function pour(socket: net.Socket, written: { bytes: number }): void {
  const more = (): void => {
    while (written.bytes < totalBytes) {
      written.bytes += chunk.length;
      if (!socket.write(chunk)) return;
    }
    socket.end();
  };
  socket.on("drain", more);
  more();
}

/** Reads a little, then lets everybody else run for a while. */
async function sip(socket: net.Socket, written: { bytes: number }): Promise<{ lead: number; read: number }> {
  let read = 0;
  let lead = 0;
  for await (const part of socket) {
    read += part.length;
    for (let at = 0; at < 4; at += 1) await turn();
    lead = Math.max(lead, written.bytes - read);
  }
  return { lead, read };
}

describe("a TCP listener", () => {
  it("passes bytes both ways and carries each end through", async () => {
    const heard = Promise.withResolvers<string>();
    await using backend = await serveTcp((socket) => {
      let text = "";
      socket.on("data", (data: Buffer) => {
        text += data.toString();
      });
      socket.on("end", () => {
        heard.resolve(text);
        socket.end("all heard");
      });
    });
    await using rig = await openTcpRig({ endpoints: [backend.address] });
    using client = await rig.connect();
    client.socket.write("one ");
    client.socket.end("two");
    assert.equal(await heard.promise, "one two");
    await client.closed;
    assert.deepEqual([client.text, client.error], ["all heard", undefined]);
    await eventually("the connection is told of", () => rig.records.length === 1);
    const { durationMs, startedAtMs, peer, ...record } = rig.records[0] ?? assert.fail("there is a record");
    assert.deepEqual(record, {
      listener: "127.0.0.1:0",
      connectionId: 1,
      details: "via_upstream",
      bytesReceived: 7,
      bytesSent: 9,
      upstream: "backend",
      endpoint: backend.address,
      plugin: undefined,
    });
    assert.match(peer, /^127\.0\.0\.1:\d+$/);
    assert.ok(durationMs > 0 && startedAtMs > 0);
    const metrics = await rig.expose();
    assert.match(
      metrics,
      /outrigger_tcp_connections_total\{listener="127.0.0.1:0",upstream="backend",details="via_upstream"\} 1/,
    );
    assert.match(metrics, /outrigger_tcp_bytes_total\{listener="127.0.0.1:0",upstream="backend",direction="sent"\} 9/);
    assert.match(metrics, /outrigger_tcp_active_connections 0/);
  });

  it("lets a server that has said all go on listening", async () => {
    const heard = Promise.withResolvers<string>();
    await using backend = await serveTcp((socket) => {
      socket.end("greeting");
      socket.on("data", (data: Buffer) => heard.resolve(data.toString()));
    });
    await using rig = await openTcpRig({ endpoints: [backend.address] });
    using client = await rig.connect();
    await once(client.socket, "end");
    assert.equal(client.text, "greeting");
    client.socket.end("late words");
    assert.equal(await heard.promise, "late words");
    await client.closed;
  });

  it("holds back a client whose upstream reads slowly, and an upstream whose client does", async () => {
    for (const direction of ["up", "down"]) {
      const written = { bytes: 0 };
      const sipped = Promise.withResolvers<{ lead: number; read: number }>();
      await using backend = await serveTcp((socket) => {
        if (direction === "down") pour(socket, written);
        else sip(socket, written).then(sipped.resolve, sipped.reject);
      });
      await using rig = await openTcpRig({ endpoints: [backend.address] });
      using client = await rig.connect();
      if (direction === "up") pour(client.socket, written);
      else {
        client.socket.removeAllListeners("data").pause();
        sip(client.socket, written).then(sipped.resolve, sipped.reject);
      }
      const { lead, read } = await sipped.promise;
      assert.equal(read, totalBytes);
      assert.ok(lead < mostUnderWay, `${direction}: the writer was ${lead} bytes ahead`);
    }
  });

  it("tries the next endpoint when one refuses, and resets the client when all do", async () => {
    await using backend = await serveTcpEcho();
    const dead = await deadAddress();
    await using rig = await openTcpRig({ endpoints: [dead, backend.address] });
    using client = await rig.connect();
    client.socket.end("hello");
    await client.closed;
    assert.equal(client.text, "hello");

    await using refused = await openTcpRig({ endpoints: [dead] });
    await assert.rejects(refused.answer("hello"), /ECONNRESET|closed before/);
    await eventually("the connection is told of", () => refused.records.length === 1);
    assert.equal(refused.records[0]?.details, "upstream_connect_failed");
  });

  it("tells one side of the other's reset", async () => {
    await using backend = await serveTcp((socket) => {
      socket.on("data", () => socket.resetAndDestroy());
    });
    await using rig = await openTcpRig({ endpoints: [backend.address] });
    using client = await rig.connect();
    client.socket.write("hello");
    await client.closed;
    assert.equal(client.hasEnded, false);
    await eventually("the connection is told of", () => rig.records.length === 1);

    const broken = Promise.withResolvers<Error>();
    await using listening = await serveTcp((socket) => {
      socket.write("welcome");
      socket.on("error", broken.resolve);
      socket.resume();
    });
    await using second = await openTcpRig({ endpoints: [listening.address] });
    using rude = await second.connect();
    await rude.got("welcome");
    rude.socket.resetAndDestroy();
    assert.match((await broken.promise).message, /ECONNRESET/);
    await eventually("the connection is told of", () => second.records.length === 1);
    assert.deepEqual([rig.records[0]?.details, second.records[0]?.details], ["upstream_reset", "client_reset"]);
  });

  it("takes so many connections and no more, and ends those in which nothing moves", async () => {
    await using backend = await serveTcpEcho();
    await using rig = await openTcpRig({
      endpoints: [backend.address],
      listener: { maxConnections: 1, idleTimeout: "200ms" },
    });
    using first = await rig.connect();
    first.socket.write("hello");
    await first.got("hello");
    await assert.rejects(rig.answer("hello"), /ECONNRESET|closed before/);
    await eventually("it is told of", () => rig.records.some(({ details }) => details === "too_many_connections"));
    await first.closed;
    await eventually("it is told of", () => rig.records.some(({ details }) => details === "idle_timeout"));
    assert.equal(rig.tcp.active, 0);
  });

  it("drains: takes nothing new, lets what is there end, and ends what does not", async () => {
    await using backend = await serveTcpEcho();
    await using rig = await openTcpRig({ endpoints: [backend.address] });
    using client = await rig.connect();
    client.socket.write("before ");
    await client.got("before ");
    const drained = rig.tcp.drain(60_000);
    await assert.rejects(rig.connect(), /ECONNREFUSED/);
    client.socket.end("after");
    await client.closed;
    await drained;
    assert.equal(client.text, "before after");

    await using stubborn = await openTcpRig({ endpoints: [backend.address] });
    using idle = await stubborn.connect();
    idle.socket.write("hello");
    await idle.got("hello");
    await stubborn.tcp.drain(10);
    await idle.closed;
    assert.equal(stubborn.records[0]?.details, "shutdown");
  });
});
