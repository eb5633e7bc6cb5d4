import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { ConnectionFilter } from "../../../runtime/plugin/connection-filter.ts";
import { TestConnection } from "../../support/proxy-wasm-connection.ts";
import { drop, type GuestText, out, outside, type PlaceText, say, tell } from "../../support/proxy-wasm-guest.ts";
import {
  type Guest,
  grpcReply,
  never,
  type StartOptions,
  startText,
  TestServices,
  TestStream,
} from "../../support/proxy-wasm-host.ts";

const downstream = 2;
const upstream = 3;
const note = (text: PlaceText, line: string): string => drop(`(call $proxy_log (i32.const 2) ${text(line)})`);
const continueStream = (type: number): string => say(`(call $proxy_continue_stream (i32.const ${type}))`);
const closeStream = (type: number): string => say(`(call $proxy_close_stream (i32.const ${type}))`);
const getBytes = (buffer: number, start = 0, size = 100, result = out): string =>
  say(`(call $proxy_get_buffer_bytes (i32.const ${buffer}) (i32.const ${start}) (i32.const ${size}) ${result})`);
const setBytes = (buffer: number, start: number, size: number, value: string): string =>
  say(`(call $proxy_set_buffer_bytes (i32.const ${buffer}) (i32.const ${start}) (i32.const ${size}) ${value})`);
const sizeOf = (buffer: number): string =>
  `${say(`(call $proxy_get_buffer_status (i32.const ${buffer}) ${out})`)} ${say("(i32.load (i32.const 0))")}`;

/** A connection on a guest. */
function connect(guest: Guest): { readonly host: TestConnection; readonly filter: ConnectionFilter } {
  const host = new TestConnection();
  const filter = guest.instance.openConnection?.(host) ?? assert.fail("the engine takes connections");
  return { host, filter };
}

/** Every callback of a connection says its name and what it was called with. */
const telling = (options?: StartOptions) =>
  startText(
    (text) => ({
      on: {
        proxy_on_context_create: `${note(text, "create")} ${say("(local.get $id)")} ${say("(local.get $parent)")}`,
        proxy_on_new_connection: `${note(text, "new")} ${say("(local.get $id)")} (i32.const 0)`,
        proxy_on_downstream_data: `${note(text, "downstream")} ${say("(local.get $size)")} ${say("(local.get $end)")} (i32.const 0)`,
        proxy_on_upstream_data: `${note(text, "upstream")} ${say("(local.get $size)")} ${say("(local.get $end)")} (i32.const 0)`,
        proxy_on_downstream_connection_close: `${note(text, "downstream close")} ${say("(local.get $peer)")}`,
        proxy_on_upstream_connection_close: `${note(text, "upstream close")} ${say("(local.get $peer)")}`,
        proxy_on_done: `${note(text, "done")} (i32.const 1)`,
        proxy_on_log: note(text, "log"),
        proxy_on_delete: note(text, "delete"),
      },
    }),
    options,
  );

const whole = [
  ...["create", "2", "1", "new", "2"],
  ...["downstream", "4", "0", "upstream", "5", "1", "downstream", "0", "1"],
  ...["upstream close", "2", "downstream close", "1", "done", "log", "delete"],
];

describe("the callbacks of a TCP connection", () => {
  it("tell of it in order, with sizes, ends and peers", async () => {
    await using guest = await telling();
    const { host, filter } = connect(guest);
    assert.equal(guest.instance.streams, 1);
    assert.equal(filter.newConnection(), "continue");
    host.show("downstream", "ping");
    assert.equal(filter.downstreamData(false), "continue");
    host.show("upstream", "hello");
    assert.equal(filter.upstreamData(true), "continue");
    host.show("downstream", "");
    assert.equal(filter.downstreamData(true), "continue");
    filter.upstreamClose("remote");
    filter.downstreamClose("local");
    filter.end();
    filter.end();
    assert.deepEqual(guest.services.lines.slice(3), whole);
    assert.equal(guest.instance.streams, 0);
    assert.deepEqual(host.events, []);
  });

  it("come in the same order to a guest that suspends", async () => {
    await using guest = await telling({ suspends: true });
    const { host, filter } = connect(guest);
    const settled = async (action: string): Promise<void> => {
      assert.equal(action, "suspended");
      await host.saw("settle continue");
      host.events.length = 0;
    };
    await settled(filter.newConnection());
    host.show("downstream", "ping");
    await settled(filter.downstreamData(false));
    host.show("upstream", "hello");
    await settled(filter.upstreamData(true));
    host.show("downstream", "");
    await settled(filter.downstreamData(true));
    filter.upstreamClose("remote");
    filter.downstreamClose("local");
    filter.end();
    await guest.instance.drain();
    assert.deepEqual(guest.services.lines.slice(3, 3 + whole.length), whole);
    assert.deepEqual(host.events, []);
  });

  it("keep a guest from finishing until they have ended", async () => {
    await using guest = await telling();
    const { filter } = connect(guest);
    filter.newConnection();
    let hasFinished = false;
    const drained = guest.instance.drain().then(() => {
      hasFinished = true;
    });
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(hasFinished, false);
    assert.throws(() => guest.instance.openConnection?.(new TestConnection()), { fault: "closed" });
    filter.end();
    await drained;
  });

  it("may be missing", async () => {
    await using guest = await startText((text) => ({ on: { proxy_on_log: note(text, "log") } }));
    const { host, filter } = connect(guest);
    assert.equal(filter.newConnection(), "continue");
    assert.equal(filter.downstreamData(false), "continue");
    assert.equal(filter.upstreamData(true), "continue");
    filter.downstreamClose("remote");
    filter.upstreamClose("local");
    filter.end();
    assert.deepEqual(guest.services.lines, ["log"]);
    assert.deepEqual(host.events, []);
  });

  it("are not made for a connection of which the guest never heard", async () => {
    await using guest = await telling();
    const { filter } = connect(guest);
    filter.downstreamClose("remote");
    filter.end();
    assert.deepEqual(guest.services.lines, ["create", "1", "0"]);
  });

  it("pause when they do not answer 0", async () => {
    for (const answer of [1, 2, 77]) {
      await using guest = await startText(() => ({
        on: Object.fromEntries(
          ["new_connection", "downstream_data", "upstream_data"].map((name) => [
            `proxy_on_${name}`,
            `(i32.const ${answer})`,
          ]),
        ),
      }));
      const { filter } = connect(guest);
      assert.equal(filter.newConnection(), "pause");
      assert.equal(filter.downstreamData(false), "pause");
      assert.equal(filter.upstreamData(true), "pause");
    }
  });

  it("wait for proxy_done when proxy_on_done answers no", async () => {
    await using guest = await startText((text) => ({
      on: {
        proxy_on_done: `${note(text, "done")} (i32.const 0)`,
        proxy_on_delete: `${note(text, "delete")} ${say("(local.get $id)")}`,
        proxy_on_new_connection: `(if (i32.eq (local.get $id) (i32.const 3)) (then
          ${say("(call $proxy_set_effective_context (i32.const 2))")} ${say("(call $proxy_done)")} ${say("(call $proxy_done)")}))
          (i32.const 0)`,
      },
    }));
    const first = connect(guest).filter;
    first.newConnection();
    first.end();
    assert.deepEqual(guest.services.lines, ["done"]);
    connect(guest).filter.newConnection();
    assert.deepEqual(guest.services.lines, ["done", "0", "0", "1", "delete", "2"]);
  });
});

describe("the buffers of a TCP connection", () => {
  const inBoth = (body: string): GuestText => ({
    on: { proxy_on_downstream_data: `${body} (i32.const 0)`, proxy_on_upstream_data: `${body} (i32.const 0)` },
  });

  it("are read while they are shown, and clamped", async () => {
    await using guest = await startText(() =>
      inBoth(`${getBytes(downstream)} ${tell} ${getBytes(downstream, 1, 2)} ${tell} ${getBytes(downstream, 9)} ${sizeOf(downstream)}
        ${getBytes(upstream)} ${sizeOf(upstream)} ${getBytes(0)} ${getBytes(1)} ${getBytes(9)}
        ${getBytes(downstream, 0, 4, `${outside} (i32.const 4)`)} ${getBytes(downstream, -1, 2)}`),
    );
    const { host, filter } = connect(guest);
    host.show("downstream", "ping");
    filter.downstreamData(false);
    assert.deepEqual(guest.services.lines, [
      ...["0", "ping", "0", "in", "0", "0", "4"],
      ...["1", "1", "4", "1", "1", "2", "6", "2"],
    ]);
  });

  it("are changed at the front, in the middle and at the end", async () => {
    await using guest = await startText((text) =>
      inBoth(`${setBytes(upstream, 0, 0, text("<"))} ${setBytes(upstream, 99, 0, text(">"))} ${setBytes(upstream, 1, 2, text("-"))}
        ${setBytes(downstream, 0, 0, text("x"))} ${setBytes(0, 0, 0, text("x"))} ${setBytes(7, 0, 0, text("x"))}
        ${setBytes(upstream, 0, 0, `${outside} (i32.const 1)`)} ${sizeOf(upstream)}`),
    );
    const { host, filter } = connect(guest);
    const shown = host.show("upstream", "pong");
    filter.upstreamData(false);
    assert.equal(shown.text, "<-ng>");
    assert.deepEqual(guest.services.lines, ["0", "0", "0", "1", "1", "2", "6", "0", "5"]);
  });

  it("are replaced as a whole, and emptied", async () => {
    await using guest = await startText((text) => ({
      on: {
        proxy_on_downstream_data: `${setBytes(downstream, 0, 4, text("replaced"))} (i32.const 0)`,
        proxy_on_upstream_data: `${setBytes(upstream, 0, 100, text(""))} (i32.const 0)`,
      },
    }));
    const { host, filter } = connect(guest);
    const request = host.show("downstream", "ping");
    const answer = host.show("upstream", "pong");
    filter.downstreamData(false);
    filter.upstreamData(true);
    assert.deepEqual([request.text, answer.text], ["replaced", ""]);
  });

  it("are not there in the root context, or in a stream of HTTP", async () => {
    await using guest = await startText((text) => ({
      on: {
        proxy_on_vm_start: `${getBytes(downstream)} ${setBytes(upstream, 0, 0, text("x"))} (i32.const 1)`,
        proxy_on_request_headers: `${getBytes(downstream)} ${sizeOf(upstream)} (i32.const 0)`,
      },
    }));
    guest.instance.open(new TestStream()).requestHeaders(true);
    assert.deepEqual(guest.services.lines, ["1", "1", "1", "1", "0"]);
  });
});

describe("proxy_continue_stream of a TCP connection", () => {
  it("overrules the pause of the callback that it is called in", async () => {
    await using guest = await startText(() => ({
      on: {
        proxy_on_new_connection: `${continueStream(downstream)} (i32.const 1)`,
        proxy_on_downstream_data: `${continueStream(downstream)} (i32.const 1)`,
        proxy_on_upstream_data: `${continueStream(upstream)} (i32.const 1)`,
      },
    }));
    const { host, filter } = connect(guest);
    assert.equal(filter.newConnection(), "continue");
    assert.equal(filter.downstreamData(false), "continue");
    assert.equal(filter.upstreamData(false), "continue");
    assert.deepEqual(host.events, []);
  });

  it("resumes the other side, or another connection, after the callback", async () => {
    await using guest = await startText(() => ({
      on: {
        proxy_on_downstream_data: "(i32.const 1)",
        proxy_on_upstream_data: `${continueStream(downstream)} ${say("(call $proxy_set_effective_context (i32.const 2))")}
          ${continueStream(downstream)} ${continueStream(upstream)} (i32.const 1)`,
      },
    }));
    const paused = connect(guest);
    assert.equal(paused.filter.downstreamData(false), "pause");
    const { host, filter } = connect(guest);
    assert.equal(filter.upstreamData(false), "pause");
    assert.deepEqual(host.events, ["resume downstream"]);
    assert.deepEqual(paused.host.events, ["resume downstream", "resume upstream"]);
  });

  it("resumes when an answer has come", async () => {
    const services = new TestServices();
    services.upstreams.set("auth", async () => ({
      headers: [[":status", "200"]],
      body: new Uint8Array(),
      trailers: [],
    }));
    const head =
      "\x03\0\0\0\x07\0\0\0\x03\0\0\0\x05\0\0\0\x01\0\0\0\x0a\0\0\0\x01\0\0\0:method\0GET\0:path\0/\0:authority\0a\0";
    await using guest = await startText(
      (text) => ({
        on: {
          proxy_on_downstream_data: `${say(`(call $proxy_http_call ${text("auth")} ${text(head)} (i32.const 0) (i32.const 0)
            (i32.const 0) (i32.const 0) (i32.const 1000) (i32.const 8))`)} (i32.const 1)`,
          proxy_on_http_call_response: `${drop("(call $proxy_set_effective_context (i32.const 2))")} ${getBytes(downstream)} ${tell}
            ${continueStream(downstream)}`,
        },
      }),
      { services },
    );
    const { host, filter } = connect(guest);
    host.show("downstream", "ping");
    assert.equal(filter.downstreamData(false), "pause");
    await host.saw("resume downstream");
    assert.deepEqual(services.lines, ["0", "0", "ping", "0"]);
  });
});

describe("proxy_close_stream of a TCP connection", () => {
  it("closes it after the callback, which pauses whatever it returns", async () => {
    await using guest = await startText(() => ({
      on: {
        proxy_on_new_connection: `${closeStream(downstream)} (i32.const 0)`,
        proxy_on_upstream_data: `${closeStream(upstream)} (i32.const 0)`,
      },
    }));
    const first = connect(guest);
    assert.equal(first.filter.newConnection(), "pause");
    assert.deepEqual(first.host.events, ["close downstream"]);
    const second = connect(guest);
    assert.equal(second.filter.upstreamData(false), "pause");
    assert.deepEqual(second.host.events, ["close upstream"]);
  });

  it("does each thing once that a callback asks for often", async () => {
    const asked = [continueStream(upstream), closeStream(upstream), closeStream(downstream)];
    await using guest = await startText(() => ({
      on: { proxy_on_new_connection: `${[...asked, ...asked, ...asked].join(" ")} (i32.const 0)` },
    }));
    const { filter, host } = connect(guest);
    filter.newConnection();
    assert.deepEqual(host.events, ["resume upstream", "close upstream", "close downstream"]);
  });
});

describe("hostcalls that mean nothing on a TCP connection", () => {
  it("answer BAD_ARGUMENT, as those for TCP do elsewhere", async () => {
    await using guest = await startText((text) => ({
      on: {
        proxy_on_new_connection: `${continueStream(0)} ${continueStream(1)} ${closeStream(0)} ${continueStream(4)} ${closeStream(-1)}
          ${say(`(call $proxy_send_local_response (i32.const 403) ${"(i32.const 0)".repeat(6)} (i32.const -1))`)}
          ${say(`(call $proxy_get_header_map_value (i32.const 0) ${text(":path")} ${out})`)}
          ${say(`(call $proxy_get_header_map_size (i32.const 0) (i32.const 0))`)}
          ${say(`(call $proxy_get_header_map_pairs (i32.const 0) ${out})`)} (i32.const 0)`,
        proxy_on_request_headers: `${continueStream(downstream)} ${closeStream(upstream)} (i32.const 0)`,
        proxy_on_configure: `${continueStream(downstream)} ${closeStream(upstream)} (i32.const 1)`,
      },
    }));
    const { host, filter } = connect(guest);
    assert.equal(filter.newConnection(), "continue");
    const stream = new TestStream();
    assert.equal(guest.instance.open(stream).requestHeaders(true), "continue");
    assert.deepEqual(guest.services.lines, ["2", "2", ...Array(8).fill("2"), "0", "2", "2"]);
    assert.deepEqual([host.events, stream.events], [[], []]);
  });
});

describe("properties of a TCP connection", () => {
  it("are read and set by the guest, in its callbacks and while it logs", async () => {
    await using guest = await startText((text) => {
      const get = (path: string): string => `${say(`(call $proxy_get_property ${text(path)} ${out})`)} ${tell}`;
      return {
        on: {
          proxy_on_new_connection: `${get("source\0address")} ${say(`(call $proxy_set_property ${text("kind")} ${text("redis")})`)}
            (i32.const 0)`,
          proxy_on_log: `${get("kind")} ${say(`(call $proxy_get_property ${text("no")} ${out})`)}`,
        },
      };
    });
    const { host, filter } = connect(guest);
    host.properties.set("source.address", "10.0.0.1:999");
    filter.newConnection();
    filter.end();
    assert.deepEqual(guest.services.lines, ["0", "10.0.0.1:999", "0", "0", "redis", "1"]);
  });
});

describe("a guest that traps on a TCP connection", () => {
  const callbacks = {
    proxy_on_new_connection: (filter: ConnectionFilter) => filter.newConnection(),
    proxy_on_downstream_data: (filter: ConnectionFilter) => filter.downstreamData(false),
    proxy_on_upstream_data: (filter: ConnectionFilter) => filter.upstreamData(false),
    proxy_on_downstream_connection_close: (filter: ConnectionFilter) => filter.downstreamClose("remote"),
    proxy_on_upstream_connection_close: (filter: ConnectionFilter) => filter.upstreamClose("remote"),
  };
  for (const [name, call] of Object.entries(callbacks)) {
    for (const suspends of [false, true]) {
      it(`fails every connection when it is in ${name}${suspends ? " and suspends" : ""}`, async () => {
        const start = name === "proxy_on_new_connection" ? {} : { proxy_on_new_connection: "(i32.const 0)" };
        await using guest = await startText(() => ({ on: { ...start, [name]: "unreachable" } }), { suspends });
        const other = connect(guest);
        const { host, filter } = connect(guest);
        if (name !== "proxy_on_new_connection") {
          filter.newConnection();
          if (suspends) await host.saw("settle");
        }
        const action = call(filter);
        if (!suspends && action !== undefined) assert.equal(action, "pause");
        await Promise.all([host.saw("failed trap"), other.host.saw("failed trap")]);
        assert.match(host.error?.message ?? "", new RegExp(`plugin 'guest' 1\\.0\\.0 trapped in ${name}: `));
        assert.equal(guest.lost.length, 1);
        assert.equal(filter.downstreamData(false), "continue", "nothing of it is called afterwards");
        filter.downstreamClose("local");
        filter.end();
        assert.throws(() => guest.instance.openConnection?.(new TestConnection()), /trapped/);
      });
    }
  }

  it("loses its fuel as in any callback", async () => {
    await using guest = await startText(() => ({
      on: { proxy_on_downstream_data: "(loop $l (br $l)) (i32.const 0)" },
    }));
    const { host, filter } = connect(guest);
    assert.equal(filter.downstreamData(false), "pause");
    assert.deepEqual(host.events, ["failed fuel"]);
  });
});

describe("a guest that suspends on a TCP connection", () => {
  const method = "/pkg.Store/Get";
  const asking = (services: TestServices, deadlineMs = 10_000) =>
    startText(
      (text) => ({
        on: {
          proxy_on_downstream_data: `${say(`(call $proxy_call_foreign_function ${text(method)} ${text("key")} ${out})`)} ${tell}
            ${getBytes(downstream)} ${tell} (i32.const 0)`,
          proxy_on_downstream_connection_close: note(text, "closed"),
          proxy_on_log: note(text, "log"),
        },
      }),
      { services, suspends: true, deadlineMs },
    );

  it("waits in the middle of a callback, with the data at hand", async () => {
    const services = new TestServices();
    services.methods.set(method, async () => grpcReply({ text: "value" }));
    await using guest = await asking(services);
    const { host, filter } = connect(guest);
    host.show("downstream", "ping");
    assert.equal(filter.downstreamData(false), "suspended");
    // The connection is gone before the guest has its answer.
    filter.downstreamClose("remote");
    filter.end();
    await guest.instance.drain();
    assert.deepEqual(services.lines, ["0", "value", "0", "ping", "closed", "log"]);
    assert.deepEqual(host.events, []);
  });

  it("fails the connection that waits too long, and hears of its end", async () => {
    const services = new TestServices();
    const { answer, aborted } = never();
    services.methods.set(method, answer);
    await using guest = await asking(services, 20);
    const { host, filter } = connect(guest);
    filter.downstreamData(false);
    await host.saw("failed deadline");
    await guest[Symbol.asyncDispose]();
    await aborted;
  });
});

describe("ABI 0.1.0 and 0.2.0", () => {
  for (const version of ["0_1_0", "0_2_0"]) {
    it(`have the callbacks and buffers of TCP, too (${version})`, async () => {
      await using guest = await startText((text) => ({
        marker: `proxy_abi_version_${version}`,
        on: {
          proxy_on_new_connection: `${note(text, "new")} (i32.const 0)`,
          proxy_on_downstream_data: `${say("(local.get $end)")} ${getBytes(downstream)} ${tell} (i32.const 1)`,
          proxy_on_upstream_data: `${setBytes(upstream, 0, 4, text("PONG"))} ${sizeOf(upstream)} (i32.const 0)`,
          proxy_on_upstream_connection_close: say("(local.get $peer)"),
          proxy_on_downstream_connection_close: say("(local.get $peer)"),
        },
      }));
      const { host, filter } = connect(guest);
      assert.equal(filter.newConnection(), "continue");
      host.show("downstream", "ping");
      assert.equal(filter.downstreamData(true), "pause");
      const answer = host.show("upstream", "pong");
      assert.equal(filter.upstreamData(false), "continue");
      assert.equal(answer.text, "PONG");
      filter.upstreamClose("remote");
      filter.downstreamClose("local");
      filter.end();
      assert.deepEqual(guest.services.lines, ["new", "1", "0", "ping", "0", "0", "4", "2", "1"]);
    });
  }

  it("continue and close connections since 0.2.0", async () => {
    await using guest = await startText(() => ({
      marker: "proxy_abi_version_0_2_0",
      on: {
        proxy_on_downstream_data: `${continueStream(downstream)} ${continueStream(4)} (i32.const 1)`,
        proxy_on_upstream_data: `${closeStream(upstream)} ${closeStream(4)} (i32.const 0)`,
      },
    }));
    const { host, filter } = connect(guest);
    assert.equal(filter.downstreamData(false), "continue");
    assert.equal(filter.upstreamData(false), "pause");
    assert.deepEqual(guest.services.lines, ["0", "2", "0", "2"]);
    assert.deepEqual(host.events, ["close upstream"]);
  });
});
