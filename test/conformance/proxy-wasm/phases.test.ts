/** Which maps and buffers there are in which callback, and which hostcalls are not allowed outside callbacks. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { supportedVersions } from "../../../runtime/proxy-wasm/abi.ts";
import { encodePairs } from "../../../runtime/proxy-wasm/pairs.ts";
import { TestConnection } from "../../support/proxy-wasm-connection.ts";
import { cell, drop, hostcalls, out, type PlaceText, say } from "../../support/proxy-wasm-guest.ts";
import { grpcReply, startText, TestBody, TestFields, TestServices, TestStream } from "../../support/proxy-wasm-host.ts";

/** Logs a 1 for each map and then for each buffer that is there, a 0 for those that are not, after the name of the callback. */
const probe = `(func $probe (param $name i32) (param $size i32)
  ${drop("(call $proxy_log (i32.const 2) (local.get $name) (local.get $size))")}
  ${[0, 1, 2, 3, 4, 5, 6, 7].map((map) => bit(map, `(call $proxy_get_header_map_size (i32.const ${map}) ${cell})`)).join("\n")}
  ${[0, 1, 2, 3, 4, 5, 6, 7, 8].map((buffer) => bit(buffer + 9, `(call $proxy_get_buffer_status (i32.const ${buffer}) ${cell} (i32.const 12))`)).join("\n")}
  (i32.store8 (i32.const 608) (i32.const 32))
  ${drop("(call $proxy_log (i32.const 2) (i32.const 600) (i32.const 18))")})`;

function bit(at: number, call: string): string {
  return `(i32.store8 (i32.const ${600 + at}) (i32.add (i32.const 48) (i32.eqz ${call})))`;
}

const answering = ["vm_start", "configure", "new_connection", "downstream_data", "upstream_data", "done"];
const streamCallbacks = ["headers", "body", "trailers"].flatMap((part) => [`request_${part}`, `response_${part}`]);
const others = ["context_create", "tick", "log", "delete", "queue_ready", "http_call_response"];
const grpcCallbacks = ["initial_metadata", "", "trailing_metadata"].map((part) => `grpc_receive${part && `_${part}`}`);

/** A guest that probes in every callback; `first` is done before it. */
const probing = (first: (text: PlaceText) => Readonly<Record<string, string>> = () => ({})) => {
  return (text: PlaceText) => {
    const begins = first(text);
    const one = (name: string, answer: string) =>
      [`proxy_on_${name}`, `${begins[name] ?? ""} (call $probe ${text(name)}) ${answer}`] as const;
    const closes = ["downstream_connection_close", "upstream_connection_close"];
    const silent = [...others, ...grpcCallbacks, "grpc_close", ...closes].map((name) => one(name, ""));
    const on = [
      ...answering.map((name) => one(name, "(i32.const 1)")),
      ...streamCallbacks.map((name) => one(name, "(i32.const 0)")),
      ...silent,
    ];
    return { fields: probe, on: Object.fromEntries(on) };
  };
};

/** What was probed, by the name of the callback. */
const probed = (lines: readonly string[]): Record<string, string> =>
  Object.fromEntries(lines.flatMap((name, index) => (/^[a-z]/.test(name) ? [[name, lines[index + 1] ?? ""]] : [])));

const root = "00000000 000000110";

for (const version of supportedVersions) {
  const marker = `proxy_abi_version_${version.replaceAll(".", "_")}`;

  describe(`the maps and buffers of ABI ${version}`, () => {
    it("are those of the configuration in the root context", async () => {
      const first = (text: PlaceText) => ({
        configure: `${drop("(call $proxy_set_tick_period_milliseconds (i32.const 1))")}
          ${drop(`(call $proxy_register_shared_queue ${text("q")} ${cell})`)}
          ${drop(`(call $proxy_enqueue_shared_queue (i32.load ${cell}) ${text("item")})`)}`,
        tick: drop("(call $proxy_set_tick_period_milliseconds (i32.const 0))"),
      });
      const build = probing(first);
      await using guest = await startText((text) => ({ marker, ...build(text) }));
      await Promise.all([guest.services.logged("tick"), guest.services.logged("queue_ready")]);
      const names = ["context_create", "vm_start", "configure", "tick", "queue_ready"];
      assert.deepEqual(probed(guest.services.lines), Object.fromEntries(names.map((name) => [name, root])));
    });

    it("are those of the stream until it is deleted", async () => {
      const build = probing();
      await using guest = await startText((text) => ({ marker, ...build(text) }));
      guest.services.lines.length = 0;
      const stream = new TestStream();
      const filter = guest.instance.open(stream);
      filter.requestHeaders(false);
      stream.bodies.request = new TestBody("ask");
      filter.requestBody(false);
      delete stream.bodies.request;
      stream.maps["request-trailers"] = new TestFields();
      filter.requestTrailers();
      stream.maps["response-headers"] = new TestFields();
      filter.responseHeaders(false);
      stream.bodies.response = new TestBody("answer");
      filter.responseBody(false);
      delete stream.bodies.response;
      stream.maps["response-trailers"] = new TestFields();
      filter.responseTrailers();
      filter.end();
      assert.deepEqual(probed(guest.services.lines), {
        context_create: "10000000 000000110",
        request_headers: "10000000 000000110",
        request_body: "10000000 100000110",
        request_trailers: "11000000 000000110",
        response_headers: "11100000 000000110",
        response_body: "11100000 010000110",
        response_trailers: "11110000 000000110",
        done: "11110000 000000110",
        log: "11110000 000000110",
        delete: "11110000 000000110",
      });
    });

    it("are the data of a connection", async () => {
      const build = probing();
      await using guest = await startText((text) => ({ marker, ...build(text) }));
      guest.services.lines.length = 0;
      const host = new TestConnection();
      const filter = guest.instance.openConnection?.(host) ?? assert.fail("the engine takes connections");
      filter.newConnection();
      host.show("downstream", "ask");
      filter.downstreamData(false);
      delete host.buffers.downstream;
      host.show("upstream", "answer");
      filter.upstreamData(false);
      delete host.buffers.upstream;
      filter.upstreamClose("remote");
      filter.downstreamClose("local");
      filter.end();
      const names = ["context_create", "new_connection", "upstream_connection_close", "downstream_connection_close"];
      assert.deepEqual(probed(guest.services.lines), {
        ...Object.fromEntries([...names, "done", "log", "delete"].map((name) => [name, root])),
        downstream_data: "00000000 001000110",
        upstream_data: "00000000 000100110",
      });
    });

    it("are those of an answer while it is delivered", async () => {
      const services = new TestServices();
      services.upstreams.set("there", async () => ({
        headers: [[":status", "200"]],
        body: Buffer.from("a"),
        trailers: [],
      }));
      services.methods.set("/s.S/Call", async () => grpcReply({ text: "message" }));
      services.openStream = (_request, receiver) => {
        queueMicrotask(() => {
          receiver.initialMetadata([["a", "b"]]);
          receiver.closed(3, "enough", [["c", "d"]]);
        });
        return { send: () => true, end: () => {}, cancel: () => {}, pause: () => {}, resume: () => {} };
      };
      const request = encodePairs([":method", ":path", ":authority"].map((name) => [name, "x"] as const));
      const first = (text: PlaceText) => {
        const to = (method: string): string =>
          `${text("outrigger")} ${text("s.S")} ${text(method)} (i32.const 0) (i32.const 0)`;
        return {
          configure: `
            ${drop(`(call $proxy_http_call ${text("there")} ${text(Buffer.from(request).toString("latin1"))} ${"(i32.const 0)".repeat(5)} ${cell})`)}
            ${drop(`(call $proxy_grpc_call ${to("Call")} (i32.const 0) (i32.const 0) (i32.const 0) ${cell})`)}
            ${drop(`(call $proxy_grpc_stream ${to("Bidi")} ${cell})`)}`,
        };
      };
      const build = probing(first);
      await using guest = await startText((text) => ({ marker, ...build(text) }), { services });
      await Promise.all(["http_call_response", "grpc_receive", "grpc_close"].map((name) => services.logged(name)));
      const { http_call_response, grpc_receive_initial_metadata, grpc_receive_trailing_metadata, ...rest } = probed(
        guest.services.lines,
      );
      assert.deepEqual(
        [http_call_response, grpc_receive_initial_metadata, grpc_receive_trailing_metadata],
        ["00000011 000010110", "00001100 000000110", "00001100 000000110"],
      );
      assert.deepEqual([rest.grpc_receive, rest.grpc_close], ["00001100 000001110", "00001100 000000110"]);
    });
  });
}

describe("hostcalls outside callbacks", () => {
  const harmless = ["proxy_log", "proxy_get_log_level", "proxy_get_current_time_nanoseconds"];
  const calls = Object.entries(hostcalls).map(([name, count]) => ({
    name,
    call: `(call $${name} ${"(i32.const 0)".repeat(count)})`,
  }));
  const restricted = calls.filter(({ name }) => !harmless.includes(name));
  restricted.push(
    { name: "proxy_record_metric", call: "(call $proxy_record_metric (i32.const 0) (i64.const 0))" },
    { name: "proxy_increment_metric", call: "(call $proxy_increment_metric (i32.const 0) (i64.const 0))" },
  );
  const allowed = calls.filter(({ name }) => harmless.includes(name)).map(({ call }) => drop(call));

  it("end the guest whose allocator makes them", async () => {
    for (const { name, call } of restricted) {
      await using guest = await startText((text) => ({
        malloc: `(func (export "malloc") (param i32) (result i32) ${drop(call)} (i32.const 40000))`,
        on: {
          proxy_on_request_headers: `${drop(`(call $proxy_get_property ${text("plugin_name")} ${out})`)} (i32.const 0)`,
        },
      }));
      const stream = new TestStream();
      assert.equal(guest.instance.open(stream).requestHeaders(true), "pause", name);
      assert.match(String(stream.error?.message), /called the host from its allocator/, name);
    }
  });

  it("refuse the guest that makes them while it starts", async () => {
    for (const { name, call } of restricted)
      await assert.rejects(
        startText(() => ({ on: { _initialize: drop(call) } })),
        /stopped in _initialize: it called the host while it started/,
        name,
      );
  });

  it("are allowed when they are logs and clocks", async () => {
    await using guest = await startText((text) => ({
      malloc: `(func (export "malloc") (param i32) (result i32) ${allowed.join("\n")} (i32.const 40000))`,
      on: {
        _initialize: allowed.join("\n"),
        proxy_on_request_headers: `${say(`(call $proxy_get_property ${text("plugin_name")} ${out})`)} (i32.const 0)`,
      },
    }));
    guest.instance.open(new TestStream()).requestHeaders(true);
    assert.deepEqual([guest.services.lines.at(-1), guest.lost], ["0", []]);
  });
});
