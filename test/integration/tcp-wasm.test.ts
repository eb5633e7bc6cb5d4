/** Proxy-Wasm guests on real TCP connections. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { proxyWasmEngine } from "../../runtime/proxy-wasm/engine.ts";
import { eventually } from "../conformance/backend.ts";
import { drop, type GuestText, out, type PlaceText } from "../support/proxy-wasm-guest.ts";
import { randomOf } from "../support/random.ts";
import { openTcpRig, serveTcp, serveTcpEcho } from "./tcp-rig.ts";

const downstream = 2;
const upstream = 3;
const goOn = "(i32.const 0)";
const hold = "(i32.const 1)";
const set = (buffer: number, start: number, size: number, value: string): string =>
  drop(`(call $proxy_set_buffer_bytes (i32.const ${buffer}) (i32.const ${start}) (i32.const ${size}) ${value})`);
const append = (buffer: number, value: string): string => set(buffer, 0x7fffffff, 0, value);
const prepend = (buffer: number, value: string): string => set(buffer, 0, 0, value);
const continueStream = (type: number): string => drop(`(call $proxy_continue_stream (i32.const ${type}))`);
const closeStream = (type: number): string => drop(`(call $proxy_close_stream (i32.const ${type}))`);

/** Writes marks around whatever it is shown. */
const marking = (text: PlaceText): GuestText => ({
  on: {
    proxy_on_downstream_data: `(if (local.get $size) (then ${prepend(downstream, text("<"))} ${append(downstream, text(">"))})) ${goOn}`,
    proxy_on_upstream_data: `(if (local.get $size) (then ${prepend(upstream, text("["))} ${append(upstream, text("]"))})) ${goOn}`,
  },
});

/** Lets data of clients pass when its last octet is a line's end, and shouts the first octet of what it held. */
const byLine = (text: PlaceText): GuestText => ({
  on: {
    proxy_on_downstream_data: `
      (if (i32.eqz (local.get $size)) (then (return ${goOn})))
      ${drop(`(call $proxy_get_buffer_bytes (i32.const ${downstream}) (i32.sub (local.get $size) (i32.const 1)) (i32.const 1) ${out})`)}
      (if (i32.ne (i32.load8_u (i32.load (i32.const 0))) (i32.const 10)) (then (return ${hold})))
      ${set(downstream, 0, 1, text("!"))} ${goOn}`,
  },
});

const trapping = (callback: string) => (): GuestText => ({ on: { [callback]: "unreachable" } });

describe("a Proxy-Wasm guest on TCP connections", () => {
  it("rewrites bytes both ways, the last filter first on the way back", async () => {
    await using backend = await serveTcpEcho();
    const second = (text: PlaceText): GuestText => ({
      on: {
        proxy_on_downstream_data: `(if (local.get $size) (then ${append(downstream, text("2"))})) ${goOn}`,
        proxy_on_upstream_data: `(if (local.get $size) (then ${append(upstream, text("2"))})) ${goOn}`,
      },
    });
    await using rig = await openTcpRig({
      endpoints: [backend.address],
      listener: { filters: ["marking", { plugin: "second" }] },
      plugins: { marking, second },
    });
    assert.equal(await rig.answer("hello"), "[<hello>22]");
    assert.deepEqual(rig.tcp.readiness(), []);
    await eventually("it is told of", () => rig.records.length === 1);
    assert.equal(rig.records[0]?.details, "via_upstream");
  });

  it("is tried on a share of them, and taken back by its crash", async () => {
    await using backend = await serveTcpEcho();
    const rollout = { canary: { percent: 100, hashBy: "source" }, window: "1h" };
    await using rig = await openTcpRig({
      endpoints: [backend.address],
      listener: { filters: ["tried"] },
      plugins: { tried: marking },
      manifest: { rollout },
    });
    using begun = await rig.connect();
    begun.socket.write("hello");
    await begun.got("[<hello>]");
    await rig.deploy("tried", () => ({ on: {} }));
    assert.equal(await rig.answer("hello"), "hello", "the new version leaves it as it is");
    await rig.deploy("tried", trapping("proxy_on_downstream_data"));
    await assert.rejects(rig.answer("hello"));
    assert.equal(await rig.answer("hello"), "[<hello>]");
    await eventually("it is rolled back", async () =>
      /rollout_steps_total\{plugin="tried",action="rollback",by="itself"\} 1/.test(await rig.expose()),
    );
    begun.socket.end("bye");
    await begun.closed;
    assert.match(begun.text, /\[<bye>\]$/);
  });

  it("holds data until a delimiter has come, and is shown all of it", async () => {
    await using backend = await serveTcpEcho();
    await using rig = await openTcpRig({
      endpoints: [backend.address],
      listener: { filters: ["by-line"] },
      plugins: { "by-line": byLine },
    });
    using client = await rig.connect();
    for (const part of ["one ", "two ", "three\n"]) {
      client.socket.write(part);
      await new Promise((resolve) => setImmediate(resolve));
    }
    await client.got("\n");
    assert.equal(client.text, "!ne two three\n");
    client.socket.end("four\n");
    await client.closed;
    assert.equal(client.text, "!ne two three\n!our\n");
  });

  it("may hold so much and no more", async () => {
    await using backend = await serveTcpEcho();
    await using rig = await openTcpRig({
      endpoints: [backend.address],
      ingress: { maxBufferBytes: "100Ki" },
      listener: { filters: ["by-line"] },
      plugins: { "by-line": byLine },
    });
    using client = await rig.connect();
    client.socket.write("x".repeat(2 * 1024 ** 2));
    await client.closed;
    await eventually("it is told of", () => rig.records.length === 1);
    assert.deepEqual([rig.records[0]?.details, rig.records[0]?.plugin], ["downstream_data_too_large", "by-line"]);
  });

  it("keeps the upstream from being connected until the client's data is to its liking", async () => {
    await using backend = await serveTcpEcho();
    const sniffing = (): GuestText => ({
      on: {
        proxy_on_new_connection: hold,
        proxy_on_downstream_data: `(if (i32.or (local.get $end) (i32.ge_u (local.get $size) (i32.const 4))) (then (return ${goOn}))) ${hold}`,
      },
    });
    await using rig = await openTcpRig({
      endpoints: [backend.address],
      listener: { filters: ["sniffing"] },
      plugins: { sniffing },
    });
    using client = await rig.connect();
    client.socket.write("he");
    await eventually("the guest was shown it", () => rig.tcp.active === 1);
    assert.equal(backend.sockets.length, 0);
    client.socket.end("llo");
    await client.closed;
    assert.equal(client.text, "hello");
  });

  it("goes on by itself on a tick, with a connection that it paused", async () => {
    await using backend = await serveTcpEcho();
    const late = (): GuestText => ({
      on: {
        proxy_on_vm_start: `${drop("(call $proxy_set_tick_period_milliseconds (i32.const 5))")} (i32.const 1)`,
        proxy_on_new_connection: hold,
        proxy_on_upstream_data: hold,
        proxy_on_tick: `${drop("(call $proxy_set_effective_context (i32.const 2))")}
          ${continueStream(downstream)} ${continueStream(upstream)}`,
      },
    });
    await using rig = await openTcpRig({
      endpoints: [backend.address],
      listener: { filters: ["late"] },
      plugins: { late },
    });
    assert.equal(await rig.answer("hello"), "hello");
  });

  it("closes connections from either side, once what passed has been sent", async () => {
    await using backend = await serveTcpEcho();
    const closing = (): GuestText => ({
      on: {
        proxy_on_downstream_data: `(if (i32.eq (local.get $size) (i32.const 3)) (then ${closeStream(downstream)})) ${goOn}`,
        proxy_on_upstream_data: `(if (i32.eq (local.get $size) (i32.const 5)) (then ${closeStream(upstream)})) ${goOn}`,
      },
    });
    await using rig = await openTcpRig({
      endpoints: [backend.address],
      listener: { filters: ["closing"] },
      plugins: { closing },
    });
    for (const last of ["bye", "adieu"]) {
      using client = await rig.connect();
      client.socket.write("hi");
      await client.got("hi");
      client.socket.write(last);
      await eventually("the connection ends", () => client.hasEnded);
      assert.deepEqual([client.text, client.hasEnded], ["hi", true]);
    }
    await eventually("both are told of", () => rig.records.length === 2);
    assert.deepEqual(
      rig.records.map(({ details, plugin }) => [details, plugin]),
      [
        ["plugin_close", "closing"],
        ["plugin_close", "closing"],
      ],
    );
  });

  it("does not wait for ever for a client that reads nothing before it closes", async () => {
    let written = 0;
    await using backend = await serveTcp((socket) => {
      const more = (): void => {
        do written += 65_536;
        while (socket.write(Buffer.alloc(65_536)));
      };
      socket.on("drain", more);
      more();
    });
    const closing = (): GuestText => ({ on: { proxy_on_downstream_data: `${closeStream(downstream)} ${goOn}` } });
    await using rig = await openTcpRig({
      endpoints: [backend.address],
      listener: { filters: ["closing"], idleTimeout: "0s" },
      plugins: { closing },
      lingerMs: 100,
    });
    using client = await rig.connect();
    client.socket.pause();
    let before = -1;
    await eventually("the upstream is held back", () => {
      const isStill = written > 0 && written === before;
      before = written;
      return isStill;
    });
    client.socket.write("bye");
    await eventually("it is told of", () => rig.records.length === 1);
    assert.equal(rig.records[0]?.details, "plugin_close");
  });

  it("reads where the connection comes from and goes to", async () => {
    await using backend = await serveTcpEcho();
    const telling = (text: PlaceText): GuestText => {
      const put = (path: string): string => `
        ${drop(`(call $proxy_get_property ${text(path)} ${out})`)}
        ${append(upstream, "(i32.load (i32.const 0)) (i32.load (i32.const 4))")} ${append(upstream, text(" "))}`;
      return {
        on: {
          proxy_on_new_connection: `${drop(`(call $proxy_set_property ${text("kind")} ${text("echo")})`)} ${goOn}`,
          proxy_on_upstream_data: `(if (local.get $size) (then ${append(upstream, text(" "))}
            ${put("source\0address")} ${put("destination\0address")} ${put("upstream\0address")} ${put("cluster_name")}
            ${put("filter_state\0wasm.kind")} ${put("kind")} ${put("connection\0id")})) ${goOn}`,
        },
      };
    };
    await using rig = await openTcpRig({
      endpoints: [backend.address],
      listener: { filters: ["telling"] },
      plugins: { telling },
    });
    const [said, source, ...rest] = (await rig.answer("hi")).split(" ");
    assert.equal(said, "hi");
    assert.match(source ?? "", /^127\.0\.0\.1:\d+$/);
    const id = "\x01\0\0\0\0\0\0\0";
    assert.deepEqual(rest, [rig.tcp.addresses[0], backend.address, "backend", "echo", "echo", id, ""]);
  });

  for (const callback of ["proxy_on_new_connection", "proxy_on_downstream_data", "proxy_on_upstream_data"]) {
    for (const suspends of [false, true]) {
      it(`is left out or ends the connection when it traps in ${callback}${suspends ? " and suspends" : ""}`, async () => {
        await using backend = await serveTcpEcho();
        for (const fail of ["open", "closed", "reload"]) {
          await using rig = await openTcpRig({
            endpoints: [backend.address],
            listener: { filters: [{ plugin: "trapping", fail }, "marking"] },
            plugins: { trapping: trapping(callback), marking },
            manifest: { suspends },
          });
          if (fail === "open") assert.equal(await rig.answer("hello"), "[<hello>]");
          else await assert.rejects(rig.answer("hello"), /ECONNRESET|closed before/);
          await eventually("it is told of", () => rig.records.length === 1);
          assert.equal(rig.records[0]?.details, fail === "open" ? "via_upstream" : "plugin_trap");
        }
      });
    }
  }

  it("loses nothing that it held when it traps and is left out", async () => {
    await using backend = await serveTcpEcho();
    const holding = (): GuestText => ({
      on: {
        proxy_on_downstream_data: `(if (i32.ge_u (local.get $size) (i32.const 6)) (then unreachable)) ${hold}`,
        proxy_on_upstream_connection_close: "unreachable",
      },
    });
    await using rig = await openTcpRig({
      endpoints: [backend.address],
      listener: { filters: [{ plugin: "holding", fail: "open" }, "marking"] },
      plugins: { holding, marking },
    });
    using client = await rig.connect();
    client.socket.write("one");
    await eventually("the guest holds it", () => rig.tcp.active === 1);
    client.socket.write("two");
    await client.got("]");
    client.socket.end();
    await client.closed;
    assert.equal(client.text, "[<onetwo>]");
  });

  it("may trap when a connection closes, which harms no other", async () => {
    await using backend = await serveTcpEcho();
    for (const fail of ["open", "closed"]) {
      await using rig = await openTcpRig({
        endpoints: [backend.address],
        listener: { filters: [{ plugin: "trapping", fail }] },
        plugins: { trapping: trapping("proxy_on_upstream_connection_close") },
      });
      assert.equal(await rig.answer("hello"), "hello");
      await eventually("it is told of", () => rig.records.length === 1);
      assert.equal(await rig.answer("again"), "again", "another instance took over");
    }
  });

  it("waits for the runtime in the middle of a callback while data piles up", async () => {
    await using backend = await serveTcpEcho();
    const gate = Promise.withResolvers<void>();
    const asking = (text: PlaceText): GuestText => ({
      on: {
        proxy_on_downstream_data: `${drop(`(call $proxy_call_foreign_function ${text("/pkg.Store/Get")} ${text("key")} ${out})`)}
          ${append(downstream, "(i32.load (i32.const 0)) (i32.load (i32.const 4))")} ${goOn}`,
      },
    });
    const engine = proxyWasmEngine();
    await using rig = await openTcpRig({
      endpoints: [backend.address],
      listener: { filters: ["asking"] },
      plugins: { asking },
      manifest: { suspends: true },
      services: {
        engines: [
          {
            ...engine,
            start: (program, services, lost) =>
              engine.start(
                program,
                {
                  ...services,
                  hasMethod: () => true,
                  grpcCall: async () => {
                    await gate.promise;
                    const message = Buffer.from(".");
                    return { code: 0, details: "", initialMetadata: [], trailingMetadata: [], message };
                  },
                },
                lost,
              ),
          },
        ],
      },
    });
    using client = await rig.connect();
    const sent = "x".repeat(500_000);
    client.socket.end(sent);
    await eventually("the guest was shown the first of it", () => rig.tcp.active === 1);
    gate.resolve();
    await client.closed;
    assert.equal(client.text.replaceAll(".", ""), sent);
    assert.ok(client.text.split(".").length > 2, "the guest was shown it in parts, and had an answer each time");
  });

  it("takes a connection that waited for an instance, and fails one that waited too long", async () => {
    await using backend = await serveTcpEcho();
    await using rig = await openTcpRig({
      endpoints: [backend.address],
      listener: { filters: ["marking"] },
      plugins: { marking },
      manifest: { isolation: "stream", limits: { instances: 1, deadline: "5s" } },
    });
    using first = await rig.connect();
    first.socket.write("one");
    await first.got("]");
    using second = await rig.connect();
    second.socket.end("two");
    await eventually("both are there", () => rig.tcp.active === 2);
    assert.equal(second.text, "");
    first.socket.end();
    await second.closed;
    assert.deepEqual([first.text, second.text], ["[<one>]", "[<two>]"]);

    await using hurried = await openTcpRig({
      endpoints: [backend.address],
      listener: { filters: ["marking"] },
      plugins: { marking },
      manifest: { isolation: "stream", limits: { instances: 1, deadline: "100ms" } },
    });
    using third = await hurried.connect();
    third.socket.write("three");
    await third.got("]");
    await assert.rejects(hurried.answer("four"), /ECONNRESET|closed before/);
    await eventually("it is told of", () => hurried.records.length === 1);
    assert.equal(hurried.records[0]?.details, "plugin_deadline");
  });

  it("is replaced under connections that end on the version they began on", async () => {
    await using backend = await serveTcpEcho();
    await using rig = await openTcpRig({
      endpoints: [backend.address],
      listener: { filters: ["marking"] },
      plugins: { marking },
    });
    using old = await rig.connect();
    old.socket.write("old");
    await old.got("]");
    await rig.deploy("marking", (text) => ({
      on: {
        proxy_on_upstream_data: `(if (local.get $size) (then ${append(upstream, text("!"))})) ${goOn}`,
      },
    }));
    assert.equal(await rig.answer("new"), "new!");
    old.socket.end("old");
    await old.closed;
    assert.equal(old.text, "[<old>][<old>]");
  });

  for (const suspends of [false, true]) {
    it(`leaves nothing behind of clients and upstreams that break off anywhere${suspends ? ", suspending" : ""}`, async () => {
      const { below } = randomOf(suspends ? 11 : 7);
      const random = (): number => below(1000) / 1000;
      await using backend = await serveTcp((socket) => {
        const way = random();
        if (way < 0.2) socket.resetAndDestroy();
        else if (way < 0.4) socket.end("enough");
        else socket.pipe(socket);
      });
      await using rig = await openTcpRig({
        endpoints: [backend.address],
        ingress: { maxBufferBytes: "20Ki" },
        // Nobody ends connections whose client is gone before the end of its line.
        listener: { filters: ["by-line", "marking", { plugin: "closing", fail: "open" }], idleTimeout: "1s" },
        plugins: {
          "by-line": byLine,
          marking,
          closing: () => ({
            on: {
              proxy_on_upstream_data: `(if (i32.gt_u (local.get $size) (i32.const 40000)) (then ${closeStream(upstream)})) ${goOn}`,
            },
          }),
        },
        manifest: { suspends },
      });
      const one = async (): Promise<void> => {
        using client = await rig.connect();
        for (let left = Math.floor(random() * 4); left > 0; left -= 1) {
          client.socket.write("x".repeat(Math.floor(random() * 30_000)) + (random() < 0.7 ? "\n" : ""));
          if (random() < 0.5) await new Promise((resolve) => setImmediate(resolve));
        }
        const way = random();
        if (way < 0.3) client.socket.resetAndDestroy();
        else if (way < 0.5) client.socket.destroy();
        else client.socket.end("last\n");
        if (way >= 0.5) await Promise.race([client.closed, client.ended]);
      };
      const count = 150;
      const refused = (await Promise.allSettled(Array.from({ length: count }, one))).filter(
        ({ status }) => status === "rejected",
      );
      assert.equal(refused.length, 0);
      await eventually("all are told of", () => rig.records.length === count);
      assert.equal(rig.tcp.active, 0);
      const details = new Set(rig.records.map((record) => record.details));
      assert.ok(details.size > 1, "they ended in different ways");
      assert.match(await rig.expose(), /outrigger_tcp_active_connections 0/);
    });
  }

  it("reads slowly when its client does", async () => {
    const total = 32 * 1024 ** 2;
    let written = 0;
    await using backend = await serveTcp((socket) => {
      const more = (): void => {
        while (written < total) {
          written += 65_536;
          if (!socket.write(Buffer.alloc(65_536))) return;
        }
        socket.end();
      };
      socket.on("drain", more);
      more();
    });
    const passing = (): GuestText => ({ on: { proxy_on_upstream_data: goOn } });
    await using rig = await openTcpRig({
      endpoints: [backend.address],
      listener: { filters: ["passing"] },
      plugins: { passing },
    });
    using client = await rig.connect();
    let [read, lead] = [0, 0];
    client.socket.removeAllListeners("data").pause();
    for await (const part of client.socket) {
      read += part.length;
      for (let at = 0; at < 4; at += 1) await new Promise((resolve) => setImmediate(resolve));
      lead = Math.max(lead, written - read);
    }
    assert.equal(read, total);
    assert.ok(lead < total / 2, `the upstream was ${lead} bytes ahead`);
  });

  it("is changed by a reload for connections that begin afterwards", async () => {
    await using backend = await serveTcpEcho();
    await using rig = await openTcpRig({ endpoints: [backend.address], plugins: { marking } });
    using old = await rig.connect();
    old.socket.write("old ");
    await old.got("old ");
    await rig.tcp.update(rig.section({ filters: ["marking"] }));
    assert.equal(await rig.answer("new"), "[<new>]");
    await rig.tcp.update(rig.section({ filters: ["absent"] }));
    assert.deepEqual(rig.tcp.readiness(), ["absent"]);
    await assert.rejects(rig.answer("none"), /ECONNRESET|closed before/);
    old.socket.end("still here");
    await old.closed;
    assert.equal(old.text, "old still here");
    await rig.tcp.update(rig.section({ to: { upstream: "nowhere" } }));
    await assert.rejects(rig.answer("none"), /ECONNRESET|closed before/);
    await eventually("all are told of", () => rig.records.length === 4);
    assert.deepEqual(
      rig.records.map(({ details }) => details),
      ["via_upstream", "plugin_missing", "via_upstream", "no_healthy_upstream"],
    );
  });
});
