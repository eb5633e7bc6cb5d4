import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { PluginError } from "../../../runtime/plugin/plugin-error.ts";
import { encodePairs } from "../../../runtime/proxy-wasm/pairs.ts";
import { drop, type PlaceText, say } from "../../support/proxy-wasm-guest.ts";
import { type Guest, never, startText, TestStream } from "../../support/proxy-wasm-host.ts";

/** A guest that does this when a request has a body, and counts requests without one. */
const guestThat = (body: string, fields = "", imports = ""): Promise<Guest> =>
  startText((text) => ({
    imports,
    fields: `${fields} (func $bystand ${drop(`(call $proxy_log (i32.const 2) ${text("served")})`)})`,
    on: {
      proxy_on_request_headers: `(if (local.get $end) (then (call $bystand))) (i32.const 0)`,
      proxy_on_request_body: body,
    },
  }));

/** Runs the guest into its fault, with a bystander in the same instance, and checks what the fault does to both. */
async function fault(guest: Guest): Promise<string> {
  await using _ = guest;
  const bystander = new TestStream();
  const innocent = guest.instance.open(bystander);
  innocent.requestHeaders(true);
  const stream = new TestStream();
  const guilty = guest.instance.open(stream);
  assert.equal(guilty.requestHeaders(false), "continue");
  assert.equal(guilty.requestBody(true), "pause");
  const [error] = guest.lost;
  assert.ok(error !== undefined);
  assert.equal(guest.lost.length, 1, "lost is told once");
  assert.deepEqual(stream.events, [`failed ${error.fault}`]);
  assert.deepEqual(bystander.events, [`failed ${error.fault}`]);
  assert.equal(stream.error, error);
  assert.equal(guest.instance.streams, 0);
  const { calls } = guest.instance.counters;
  assert.equal(guilty.responseHeaders(true), "continue");
  guilty.end();
  innocent.end();
  assert.equal(guest.instance.counters.calls, calls, "nothing enters it again");
  assert.throws(() => guest.instance.open(new TestStream()), error);
  return error.message;
}

describe("a guest that fails takes its instance with it", () => {
  it("by a trap", async () => {
    assert.match(
      await fault(await guestThat("unreachable")),
      /^plugin 'guest' 1\.0\.0 trapped in proxy_on_request_body: unreachable, in function \d+ at 0x[\da-f]+$/,
    );
    assert.match(await fault(await guestThat("(i32.load (i32.const -8))")), /memory access out of bounds/);
    assert.match(await fault(await guestThat("(i32.div_s (i32.const 1) (i32.const 0))")), /divide by zero/);
  });

  it("with the first line of what it had cried out", async () => {
    const crying = (level: number, place: string): string => drop(`(call $proxy_log (i32.const ${level}) ${place})`);
    const guest = await startText((text) => ({
      on: {
        proxy_on_request_headers: `${crying(4, text("long ago"))} (i32.const 0)`,
        proxy_on_request_body: `${crying(3, text("careful"))} ${crying(5, text("panic: no price\nin a.go"))}
          ${crying(4, text("more"))} unreachable`,
      },
    }));
    assert.match(
      await fault(guest),
      /^plugin 'guest' 1\.0\.0 trapped in proxy_on_request_body: unreachable, after it logged 'panic: no price', in function \d+/,
    );
  });

  it("by a loop without end", async () => {
    assert.match(
      await fault(await guestThat("(loop $on (br $on)) (i32.const 0)")),
      /^plugin 'guest' 1\.0\.0 used up its 1000000 units of fuel in proxy_on_request_body, in function \d+ at 0x[\da-f]+$/,
    );
  });

  it("by a loop of hostcalls", async () => {
    const message = await fault(
      await guestThat(
        `(loop $on ${drop("(call $proxy_get_current_time_nanoseconds (i32.const 0))")} (br $on)) (i32.const 0)`,
      ),
    );
    assert.match(message, /used up its 1000000 units of fuel/);
  });

  it("by one hostcall over more bytes than it may pay for", async () => {
    const message = await fault(
      await guestThat(`(drop (memory.grow (i32.const 100)))
        ${drop("(call $proxy_set_shared_data (i32.const 0) (i32.const 1) (i32.const 0) (i32.const 6000000) (i32.const 0))")}
        (i32.const 0)`),
    );
    assert.match(message, /used up its 1000000 units of fuel/);
  });

  it("by endless recursion", async () => {
    const message = await fault(await guestThat("(call $deeper (i32.const 0))", recursion));
    assert.match(message, /overflowed its stack|used up/);
  });

  it("by an exception that it does not catch", async () => {
    const message = await fault(await guestThat("(throw $oops)", "(tag $oops)"));
    assert.match(message, /trapped in proxy_on_request_body: an exception of the guest was not caught/);
  });

  it("by proc_exit, even when it catches everything", async () => {
    const exit = `(import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))`;
    assert.equal(
      await fault(await guestThat("(call $exit (i32.const 3)) (i32.const 0)", "", exit)),
      "plugin 'guest' 1.0.0 was stopped in proxy_on_request_body: it exited with code 3",
    );
    const stubborn = `(loop $on (try (do (call $exit (i32.const 4))) (catch_all)) (br $on)) (i32.const 0)`;
    assert.match(await fault(await guestThat(stubborn, "", exit)), /exited with code 4/);
    const quick = `(try (do (call $exit (i32.const 5))) (catch_all)) (i32.const 0)`;
    assert.match(await fault(await guestThat(quick, "", exit)), /exited with code 5/);
  });

  it("by running out of fuel in a hostcall, even when it catches everything", async () => {
    const stubborn = `(loop $on (try (do ${drop("(call $proxy_get_current_time_nanoseconds (i32.const 0))")}) (catch_all)) (br $on)) (i32.const 0)`;
    assert.match(await fault(await guestThat(stubborn)), /used up its 1000000 units of fuel/);
  });

  it("by AssemblyScript's abort", async () => {
    const message = await fault(
      await guestThat(
        `(call $abort (i32.const 604) (i32.const 0) (i32.const 12) (i32.const 7)) (i32.const 0)`,
        `(data (i32.const 600) "\\04\\00\\00\\00h\\00i\\00")`,
        `(import "env" "abort" (func $abort (param i32 i32 i32 i32)))`,
      ),
    );
    assert.match(message, /it aborted at :12:7: hi$/);
  });
});

const recursion = `(func $deeper (param i32) (result i32)
  (call $deeper (i32.add (local.get 0) (i32.const 1))) (drop) (call $deeper (local.get 0)))`;

describe("a guest pays for what its calls cost the host", () => {
  /** How often the host was reached before a callback's fuel, about a millisecond, was used up. */
  async function reached(build: (text: PlaceText) => string, count: (guest: Guest, stream: TestStream) => number) {
    await using guest = await startText((text) => ({
      on: { proxy_on_request_headers: `(loop $on ${drop(build(text))} (br $on)) (i32.const 0)` },
    }));
    const stream = new TestStream(Array.from({ length: 50 }, (_, index) => [`header-${index}`, "value"]));
    stream.properties.set("request.headers", stream.maps["request-headers"]?.entries() ?? []);
    const before = count(guest, stream);
    guest.instance.open(stream).requestHeaders(true);
    assert.deepEqual(stream.events, ["failed fuel"]);
    return count(guest, stream) - before;
  }

  it("for lines of its log by their length", async () => {
    const lines = await reached(
      () => "(call $proxy_log (i32.const 2) (i32.const 65536) (i32.const 16000))",
      ({ services }) => services.lines.length,
    );
    assert.ok(lines > 0 && lines < 10, `${lines} lines of 16,000 characters`);
  });

  it("for metrics and shared data that are refused", async () => {
    let refused = 0;
    const metrics = await reached(
      (text) => `(call $proxy_define_metric (i32.const 0) ${text("")} (i32.const 8))`,
      ({ services }) => {
        const { define } = services.metrics;
        services.metrics.define = (type, name) => {
          refused++;
          return define(type, name);
        };
        return refused;
      },
    );
    assert.ok(metrics > 0 && metrics < 60, `${metrics} metrics`);
    refused = 0;
    const data = await reached(
      (text) => `(call $proxy_set_shared_data ${text("key")} (i32.const 65536) (i32.const 1001) (i32.const 0))`,
      ({ services }) => {
        const { set } = services.sharedData;
        services.sharedData.set = (key, value, cas) => {
          refused++;
          return set(key, value, cas);
        };
        return refused;
      },
    );
    assert.ok(data > 0 && data < 60, `${data} values`);
  });

  const call = (text: PlaceText, name: string, rest: string): string =>
    `(call $${name} ${text("outrigger")} ${text("test.Raw")} ${text("Call")} ${text("")} ${rest} (i32.const 8))`;
  const beginnings: Readonly<Record<string, (text: PlaceText) => string>> = {
    proxy_grpc_call: (text) => call(text, "proxy_grpc_call", `${text("")} (i32.const 1000)`),
    proxy_grpc_stream: (text) => call(text, "proxy_grpc_stream", ""),
    proxy_http_call: (text) => {
      const head: [string, string][] = [
        [":method", "GET"],
        [":path", "/"],
        [":authority", "a"],
      ];
      const fields = text(Buffer.from(encodePairs(head)).toString("latin1"));
      return `(call $proxy_http_call ${text("outrigger")} ${fields} ${text("")} ${text("")} (i32.const 1000) (i32.const 8))`;
    },
  };
  for (const [name, begin] of Object.entries(beginnings))
    it(`for what begins by ${name}, and is refused when too much is under way`, async () => {
      let asked = 0;
      const begun = await reached(begin, ({ services }) => {
        const { hasUpstream } = services;
        services.hasUpstream = (upstream) => {
          asked++;
          return hasUpstream.call(services, upstream);
        };
        return asked;
      });
      assert.ok(begun > 128 && begun < 200, `${begun} calls`);
    });

  it("for messages to a gRPC stream", async () => {
    await using guest = await startText((text) => ({
      on: {
        proxy_on_request_headers: `${drop(call(text, "proxy_grpc_stream", ""))}
          ${drop(`(call $proxy_grpc_send (i32.load (i32.const 8)) ${text("")} (i32.const 0))`).repeat(100)} (i32.const 0)`,
      },
    }));
    guest.instance.open(new TestStream()).requestHeaders(true);
    assert.ok(guest.instance.counters.fuel >= 100 * 2_500, `${guest.instance.counters.fuel} units of fuel`);
    assert.deepEqual(guest.lost, []);
  });

  it("for properties that are maps by their pairs", async () => {
    let asked = 0;
    const properties = await reached(
      (text) => `(call $proxy_get_property ${text("request\0headers")} (i32.const 0) (i32.const 4))`,
      (_guest, stream) => {
        const { property } = stream;
        stream.property = (path) => {
          asked++;
          return property.call(stream, path);
        };
        return asked;
      },
    );
    assert.ok(properties > 0 && properties < 60, `${properties} properties`);
  });
});

describe("a guest that starts", () => {
  it("has a second's fuel for all of it, however much a callback may use", async () => {
    const starting = startText(
      (text) => {
        // Costs a guest far more than the host.
        const refused = drop(`(call $proxy_define_metric (i32.const 0) ${text("")} (i32.const 8))`);
        return {
          fields: "(global $count (mut i32) (i32.const 0))",
          on: {
            proxy_on_vm_start: `(loop $on ${refused} (global.set $count (i32.add (global.get $count) (i32.const 1)))
              (br_if $on (i32.lt_u (global.get $count) (i32.const 20000)))) (i32.const 1)`,
            proxy_on_configure: `(loop $on ${refused} (br $on)) (i32.const 0)`,
          },
        };
      },
      { fuelPerCall: 1_000_000_000 },
    );
    await assert.rejects(starting, ({ fault, message }: PluginError) => {
      const [, units] = /used up its (\d+) units of fuel in proxy_on_configure/.exec(message) ?? [];
      assert.equal(fault, "fuel");
      assert.ok(Number(units) > 400_000_000 && Number(units) < 700_000_000, message);
      return true;
    });
  });
});

describe("a guest that fails", () => {
  it("leaves other instances as they are", async () => {
    await using other = await guestThat("(loop $on (br $on)) (i32.const 0)");
    await fault(await guestThat("(loop $on (br $on)) (i32.const 0)"));
    other.instance.open(new TestStream()).requestHeaders(true);
    assert.deepEqual(other.services.lines, ["served"]);
    assert.deepEqual(other.lost, []);
  });

  it("has its calls cancelled", async () => {
    const { answer, aborted } = never();
    await using guest = await startText((text) => ({
      on: {
        proxy_on_request_headers: `
          ${say(`(call $proxy_http_call ${text("slow")} ${text("\x03\0\0\0\x07\0\0\0\x03\0\0\0\x05\0\0\0\x01\0\0\0\x0a\0\0\0\x01\0\0\0:method\0GET\0:path\0/\0:authority\0a\0")}
            (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 8))`)} (i32.const 1)`,
        proxy_on_request_body: "unreachable",
      },
    }));
    const started = Promise.withResolvers<void>();
    guest.services.upstreams.set("slow", (request, signal) => {
      started.resolve();
      return answer(request, signal);
    });
    const filter = guest.instance.open(new TestStream());
    filter.requestHeaders(false);
    assert.deepEqual(guest.services.lines, ["0"]);
    await started.promise;
    filter.requestBody(true);
    await aborted;
    assert.equal(guest.lost.length, 1);
  });

  it("on its tick tells its streams", async () => {
    await using guest = await startText(() => ({
      on: {
        proxy_on_vm_start: `${drop("(call $proxy_set_tick_period_milliseconds (i32.const 1))")} (i32.const 1)`,
        proxy_on_tick: "unreachable",
      },
    }));
    const stream = new TestStream();
    guest.instance.open(stream);
    await stream.saw("failed trap");
    assert.match(String(stream.error?.message), /trapped in proxy_on_tick/);
  });
});
