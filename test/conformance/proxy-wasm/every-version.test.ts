/** Every hostcall and every callback once for each version of the ABI: what is asked rightly, and what is asked wrongly. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { supportedVersions } from "../../../runtime/proxy-wasm/abi.ts";
import { encodePairs } from "../../../runtime/proxy-wasm/pairs.ts";
import { cell, drop, out, outside, type PlaceText, say } from "../../support/proxy-wasm-guest.ts";
import {
  grpcReply,
  type StartOptions,
  startText,
  TestBody,
  TestServices,
  TestStream,
} from "../../support/proxy-wasm-host.ts";

const bad = `${outside} (i32.const 1)`;
const none = "(i32.const 0) (i32.const 0)";
const i32 = (number: number): string => `(i32.const ${number})`;
const token = `(i32.load ${cell})`;
const ask = (name: string, ...parameters: string[]): string => say(`(call $${name} ${parameters.join(" ")})`);
const note = (text: PlaceText, line: string): string => drop(`(call $proxy_log (i32.const 2) ${text(line)})`);
const pairs = (...fields: [string, string][]): string => Buffer.from(encodePairs(fields)).toString("latin1");

const imports = `
  (import "env" "proxy_get_configuration" (func $proxy_get_configuration (param i32 i32) (result i32)))
  (import "env" "proxy_continue_request" (func $proxy_continue_request (result i32)))
  (import "env" "proxy_continue_response" (func $proxy_continue_response (result i32)))
  (import "env" "proxy_clear_route_cache" (func $proxy_clear_route_cache (result i32)))
  (import "env" "proxy_get_state" (func $proxy_get_state (param i32 i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_invoke_service" (func $proxy_invoke_service (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
  (import "env" "emscripten_notify_memory_growth" (func $emscripten_notify_memory_growth (param i32)))
  (import "env" "pthread_equal" (func $pthread_equal (param i32 i32) (result i32)))
  (import "env" "seed" (func $seed (result f64)))
  (import "env" "trace" (func $trace (param i32 i32 f64 f64 f64 f64 f64)))
  (import "env" "abort" (func $abort (param i32 i32 i32 i32)))`;

for (const version of supportedVersions) {
  const marker = `proxy_abi_version_${version.replaceAll(".", "_")}`;
  const start = (on: (text: PlaceText) => Record<string, string>, options?: StartOptions) =>
    startText((text) => ({ marker, imports, on: on(text) }), options);

  /** What the guest logs when it makes the calls in a stream's first callback. */
  async function answers(calls: (text: PlaceText) => string[], options: StartOptions = {}): Promise<string> {
    await using guest = await start(
      (text) => ({ proxy_on_request_headers: `${calls(text).join("\n")} (i32.const 0)` }),
      { configuration: "configured", ...options },
    );
    const stream = new TestStream([
      [":method", "GET"],
      ["x-a", "1"],
    ]);
    stream.bodies.request = new TestBody("body");
    const filter = guest.instance.open(stream);
    if (filter.requestHeaders(true) === "suspended") await stream.saw("settle");
    assert.deepEqual(guest.lost, []);
    return guest.services.lines.join(" ");
  }

  describe(`the hostcalls of ABI ${version}`, () => {
    it("read and change header maps", async () => {
      const missing = version === "0.1.0" ? 0 : 1;
      const said = await answers((text) => [
        ...[i32(0), i32(9)].map((map) => ask("proxy_get_header_map_size", map, cell)),
        ask("proxy_get_header_map_size", i32(0), outside),
        ...[i32(0), i32(8)].map((map) => ask("proxy_get_header_map_pairs", map, out)),
        ask("proxy_get_header_map_pairs", i32(0), outside, i32(0)),
        ...["x-a", "x-b"].map((name) => ask("proxy_get_header_map_value", i32(0), text(name), out)),
        ask("proxy_get_header_map_value", i32(6), text("x-a"), out),
        ask("proxy_get_header_map_value", i32(0), bad, out),
        ...["proxy_add_header_map_value", "proxy_replace_header_map_value"].flatMap((name) => [
          ask(name, i32(0), text("x-c"), text("2")),
          ask(name, i32(2), text("x-c"), text("2")),
          ask(name, i32(0), text("x-c"), bad),
        ]),
        ask("proxy_remove_header_map_value", i32(0), text("x-c")),
        ask("proxy_remove_header_map_value", i32(4), text("x-c")),
        ask("proxy_remove_header_map_value", i32(0), bad),
        ...[0, 3].map((map) => ask("proxy_set_header_map_pairs", i32(map), text(pairs(["x-d", "3"])))),
        ask("proxy_set_header_map_pairs", i32(0), bad),
      ]);
      assert.equal(said, `0 2 6 0 2 6 0 ${missing} 2 6 0 2 6 0 2 6 0 2 6 0 2 6`);
    });

    it("read and change buffers", async () => {
      const said = await answers((text) => [
        ...[7, 9, 1].map((buffer) => ask("proxy_get_buffer_bytes", i32(buffer), i32(0), i32(9), out)),
        ask("proxy_get_buffer_bytes", i32(7), i32(0), i32(9), outside, i32(0)),
        ...[0, 9, 1].map((buffer) => ask("proxy_get_buffer_status", i32(buffer), out)),
        ask("proxy_get_buffer_status", i32(0), outside, i32(0)),
        ...[0, 7, 1].map((buffer) => ask("proxy_set_buffer_bytes", i32(buffer), i32(0), i32(1), text("B"))),
        ask("proxy_set_buffer_bytes", i32(0), i32(0), i32(1), bad),
      ]);
      assert.equal(said, "0 2 1 6 0 2 1 6 0 2 1 6");
    });

    it("go on with streams, reset them and answer in their place", async () => {
      const respond = (status: number, body = none): string =>
        ask("proxy_send_local_response", i32(status), none, body, none, i32(-1));
      const said = await answers(() => [
        ...[1, 99, 2].map((id) => ask("proxy_set_effective_context", i32(id))),
        ask("proxy_done"),
        ...[1, 2].map((type) => ask("proxy_continue_stream", i32(type))),
        ...[ask("proxy_continue_request"), ask("proxy_continue_response"), ask("proxy_clear_route_cache")],
        ...[respond(403), respond(20), respond(403, bad)],
        ...[0, 3].map((type) => ask("proxy_close_stream", i32(type))),
        drop(`(call $proxy_set_effective_context ${i32(1)})`),
        ...[ask("proxy_continue_request"), ask("proxy_continue_response"), ask("proxy_clear_route_cache")],
      ]);
      assert.equal(said, "0 2 0 1 0 2 0 0 0 0 2 6 0 2 2 2 0");
    });

    it("finish a stream that was not done", async () => {
      await using guest = await start((text) => ({
        proxy_on_done: "(i32.const 0)",
        proxy_on_delete: note(text, "deleted"),
        proxy_on_request_body: `${drop(`(call $proxy_set_effective_context ${i32(2)})`)} ${ask("proxy_done")} (i32.const 0)`,
      }));
      const [first, second] = [guest.instance.open(new TestStream()), guest.instance.open(new TestStream())];
      first.requestHeaders(true);
      second.requestHeaders(false);
      first.end();
      second.requestBody(true);
      assert.deepEqual(guest.services.lines, ["0", "deleted"]);
    });

    it("read the configuration, and properties, and set them", async () => {
      const said = await answers((text) => [
        ask("proxy_get_configuration", out),
        ask("proxy_get_configuration", outside, i32(0)),
        ...["plugin_name", "no\0such"].map((path) => ask("proxy_get_property", text(path), out)),
        ask("proxy_get_property", bad, out),
        ask("proxy_set_property", text("tenant"), text("blue")),
        ask("proxy_set_property", text("tenant"), bad),
        drop(`(call $proxy_set_effective_context ${i32(1)})`),
        ask("proxy_set_property", text("tenant"), text("blue")),
      ]);
      assert.equal(said, "0 6 0 1 6 0 6 1");
    });

    it("share data and queues", async () => {
      const said = await answers((text) => {
        const set = (cas: number, value = text("v")) => ask("proxy_set_shared_data", text("k"), value, i32(cas));
        const get = (key: string) => ask("proxy_get_shared_data", key, out, cell);
        const resolve = (name: string) => ask("proxy_resolve_shared_queue", text(""), name, cell);
        return [
          ...[set(0), set(9), set(0, bad), get(text("k")), get(text("other")), get(bad)],
          ...[text("q"), bad].map((name) => ask("proxy_register_shared_queue", name, cell)),
          ...[resolve(text("q")), resolve(text("other")), resolve(bad)],
          ask("proxy_enqueue_shared_queue", token, text("item")),
          ask("proxy_enqueue_shared_queue", i32(77), text("item")),
          ask("proxy_enqueue_shared_queue", token, bad),
          ...[token, token, i32(77)].map((queue) => ask("proxy_dequeue_shared_queue", queue, out)),
          ask("proxy_dequeue_shared_queue", token, outside, i32(0)),
        ];
      });
      assert.equal(said, "0 8 6 0 1 6 0 6 0 1 6 0 1 6 0 7 1 6");
    });

    it("count, set and sample metrics", async () => {
      const said = await answers((text) => {
        const define = (type: number, name: string): string => ask("proxy_define_metric", i32(type), name, cell);
        const use = (id: string): string[] => [
          ask("proxy_record_metric", id, "(i64.const 4)"),
          ask("proxy_increment_metric", id, "(i64.const -1)"),
          ask("proxy_get_metric", id, i32(16)),
        ];
        return [
          ...[define(3, text("odd")), define(0, bad)],
          ...[0, 1, 2].flatMap((type) => [define(type, text(`of type ${type}`)), ...use(token)]),
          ...use(i32(99)),
          drop(`(call $proxy_define_metric ${i32(1)} ${text("of type 1")} ${cell})`),
          ask("proxy_get_metric", token, outside),
        ];
      });
      assert.equal(said, "2 6 0 0 2 0 0 0 0 0 0 0 2 2 1 1 1 6");
    });

    it("log, tell the time and call functions by name", async () => {
      const said = await answers((text) => [
        ...[text("line"), bad].map((message) => ask("proxy_log", i32(2), message)),
        ask("proxy_log", i32(6), text("line")),
        ...[cell, outside].map((place) => ask("proxy_get_log_level", place)),
        ...[i32(16), outside].map((place) => ask("proxy_get_current_time_nanoseconds", place)),
        ask("proxy_set_tick_period_milliseconds", i32(0)),
        ...[text("compress"), text("nothing"), bad].map((name) =>
          ask("proxy_call_foreign_function", name, text("argument"), out),
        ),
      ]);
      assert.equal(said, "line 0 6 2 0 6 0 6 0 0 1 6");
    });

    it("wait for what Layotto's modules ask, when the guest suspends", async () => {
      const services = new TestServices();
      services.state.set("store/key", "value");
      services.invoked.set("target", () => "answer");
      const calls = (text: PlaceText): string[] => [
        ...[text("store"), text("none"), bad].map((store) => ask("proxy_get_state", store, text("key"), out)),
        ...[text("target"), text("none"), bad].map((id) => ask("proxy_invoke_service", id, text("m"), text("p"), out)),
      ];
      assert.equal(await answers(calls, { services, suspends: true }), "0 10 6 0 10 6");
      assert.equal(await answers(calls), "12 12 12 12 12 12");
    });

    it("help compilers", async () => {
      const said = await answers(() => [
        `(call $emscripten_notify_memory_growth ${i32(0)})`,
        ...[1, 2].map((other) => ask("pthread_equal", i32(1), i32(other))),
        say("(f64.ge (call $seed) (f64.const 0))"),
        `(i32.store ${i32(696)} ${i32(4)}) (i32.store ${i32(700)} ${i32(0x6f0068)})
         (call $trace ${i32(700)} ${i32(0)} ${"(f64.const 0)".repeat(5)})
         (call $trace ${outside} ${i32(0)} ${"(f64.const 0)".repeat(5)})`,
      ]);
      assert.equal(said, "1 0 1 debug: ho debug: ");
      await using guest = await start(() => ({
        proxy_on_request_headers: `(call $abort ${outside} ${i32(0)} ${i32(3)} ${i32(4)}) (i32.const 0)`,
      }));
      guest.instance.open(new TestStream()).requestHeaders(true);
      assert.match(String(guest.lost[0]?.message), /aborted at :3:4/);
    });
  });

  describe(`calls of ABI ${version}`, () => {
    it("over HTTP are answered in a callback", async () => {
      const services = new TestServices();
      services.upstreams.set("auth", async () => ({
        headers: [[":status", "200"]],
        body: Buffer.from("yes"),
        trailers: [],
      }));
      const request = pairs([":method", "GET"], [":path", "/"], [":authority", "auth"]);
      await using guest = await start(
        (text) => {
          const call = (upstream: string, place = cell): string =>
            ask("proxy_http_call", upstream, text(request), none, none, i32(0), place);
          return {
            proxy_on_request_headers: `${call(text("auth"))} ${call(text("nobody"))} ${call(bad)} (i32.const 1)`,
            proxy_on_http_call_response: `${["headers", "size", "trailers"].map((one) => say(`(local.get $${one})`)).join(" ")} ${note(text, "end")}`,
          };
        },
        { services },
      );
      guest.instance.open(new TestStream()).requestHeaders(true);
      await services.logged("end");
      assert.equal(services.lines.join(" "), "0 2 6 1 3 0 end");
    });

    it("over gRPC are answered in callbacks, and so are streams", async () => {
      const services = new TestServices();
      services.methods.set("/s.S/Call", async () => grpcReply({ text: "message" }));
      services.openStream = (_request, receiver) => {
        queueMicrotask(() => {
          receiver.initialMetadata([["a", "b"]]);
          receiver.message(Buffer.from("message"));
        });
        const end = () => queueMicrotask(() => receiver.closed(3, "enough", [["c", "d"]]));
        return { send: () => true, end, cancel: () => {}, pause: () => {}, resume: () => {} };
      };
      await using guest = await start(
        (text) => {
          const to = (upstream: string, method: string): string => `${upstream} ${text("s.S")} ${text(method)} ${none}`;
          const call = (upstream: string): string =>
            ask("proxy_grpc_call", to(upstream, "Call"), text("m"), i32(0), i32(12));
          const open = (upstream: string): string => ask("proxy_grpc_stream", to(upstream, "Bidi"), cell);
          const send = (to: string, bytes: string): string => ask("proxy_grpc_send", to, bytes, i32(0));
          return {
            proxy_on_request_headers: `
              ${call(text("nobody"))} ${call(bad)} ${call(text("outrigger"))}
              ${ask("proxy_grpc_cancel", "(i32.load (i32.const 12))")} ${ask("proxy_grpc_cancel", i32(98))}
              ${open(text("nobody"))} ${open(bad)} ${open(text("outrigger"))}
              ${send(token, text("m"))} ${send(i32(98), text("m"))} ${send(i32(1), text("m"))} ${send(token, bad)}
              ${ask("proxy_grpc_close", i32(98))} ${call(text("outrigger"))} (i32.const 1)`,
            proxy_on_grpc_receive_initial_metadata: note(text, "initial"),
            proxy_on_grpc_receive: `${note(text, "received")}
              (if (i32.eq (local.get $token) ${token}) (then ${ask("proxy_grpc_close", token)}))`,
            proxy_on_grpc_receive_trailing_metadata: note(text, "trailing"),
            proxy_on_grpc_close: `${say("(local.get $code)")} ${ask("proxy_get_status", i32(16), out)}
              ${ask("proxy_get_status", outside, out)} ${note(text, "closed")}`,
          };
        },
        { services },
      );
      guest.instance.open(new TestStream()).requestHeaders(true);
      await services.logged("closed");
      assert.deepEqual(services.lines.slice(0, 14).join(" "), "4 6 0 0 1 4 6 0 0 1 2 6 1 0");
      assert.deepEqual(
        services.lines
          .slice(14)
          .filter((line) => line !== "received")
          .join(" "),
        "initial 0 trailing 3 0 6 closed",
      );
    });
  });
}
