/** Every callback for each version of the ABI: that it comes, that it may trap, pause, and answer in place of what lies behind. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { StreamFilter } from "../../../runtime/plugin/contract.ts";
import { supportedVersions } from "../../../runtime/proxy-wasm/abi.ts";
import { encodePairs } from "../../../runtime/proxy-wasm/pairs.ts";
import { TestConnection } from "../../support/proxy-wasm-connection.ts";
import { cell, drop, type PlaceText, say } from "../../support/proxy-wasm-guest.ts";
import {
  type Guest,
  grpcReply,
  type StartOptions,
  startText,
  TestBody,
  TestFields,
  TestServices,
  TestStream,
} from "../../support/proxy-wasm-host.ts";

const none = "(i32.const 0) (i32.const 0)";
const proceed = "(i32.const 0)";
const agree = "(i32.const 1)";
const pause = "(i32.const 1)";
const note = (text: PlaceText, line: string): string => drop(`(call $proxy_log (i32.const 2) ${text(line)})`);
const respond = drop(`(call $proxy_send_local_response (i32.const 403) ${none} ${none} ${none} (i32.const -1))`);
const tick = drop("(call $proxy_set_tick_period_milliseconds (i32.const 1))");
const noMoreTicks = drop("(call $proxy_set_tick_period_milliseconds (i32.const 0))");

/** A stream that has everything, and the phases of its messages by their callbacks. */
function exchange(guest: Guest): { readonly stream: TestStream; readonly filter: StreamFilter } {
  const stream = new TestStream();
  for (const map of ["request-trailers", "response-headers", "response-trailers"] as const)
    stream.maps[map] = new TestFields([["a", "b"]]);
  stream.bodies.request = new TestBody("ask");
  stream.bodies.response = new TestBody("answer");
  return { stream, filter: guest.instance.open(stream) };
}

const phases = {
  proxy_on_request_headers: (filter: StreamFilter) => filter.requestHeaders(false),
  proxy_on_request_body: (filter: StreamFilter) => filter.requestBody(false),
  proxy_on_request_trailers: (filter: StreamFilter) => filter.requestTrailers(),
  proxy_on_response_headers: (filter: StreamFilter) => filter.responseHeaders(false),
  proxy_on_response_body: (filter: StreamFilter) => filter.responseBody(false),
  proxy_on_response_trailers: (filter: StreamFilter) => filter.responseTrailers(),
} as const;

for (const version of supportedVersions) {
  const marker = `proxy_abi_version_${version.replaceAll(".", "_")}`;
  const start = (on: (text: PlaceText) => Record<string, string>, options?: StartOptions) =>
    startText((text) => ({ marker, on: on(text) }), options);

  describe(`the callbacks of ABI ${version}`, () => {
    it("start a reactor, with main or what stands for it, and a command", async () => {
      const noting = (answers: readonly string[], names: readonly string[]) => (text: PlaceText) =>
        Object.fromEntries(
          names.map((name) => [name, `${note(text, name)} ${answers.includes(name) ? agree : ""}`] as const),
        );
      const answering = ["main", "__main_void", "proxy_on_vm_start", "proxy_on_configure"];
      const whole = [
        ...["_initialize", "main", "proxy_get_id", "proxy_on_context_create"],
        ...["proxy_on_vm_start", "proxy_on_configure"],
      ];
      for (const names of [whole, ["_initialize", "__main_void"], ["_start"]]) {
        await using guest = await start(noting(answering, names));
        assert.deepEqual(guest.services.lines, names);
      }
    });

    it("allocate by the name of the ABI", async () => {
      const malloc = `(func (export "proxy_on_memory_allocate") (param i32) (result i32) (i32.const 4096))`;
      const get = say(
        "(call $proxy_get_buffer_bytes (i32.const 7) (i32.const 0) (i32.const 9) (i32.const 0) (i32.const 4))",
      );
      const on = { proxy_on_configure: `${get} (call $tell) ${agree}` };
      await using guest = await startText(() => ({ marker, malloc, on }), { configuration: "settings" });
      assert.deepEqual(guest.services.lines, ["0", "settings"]);
    });

    it("follow a stream to its end", async () => {
      await using guest = await start((text) => ({
        proxy_on_context_create: `${note(text, "create")} ${say("(local.get $parent)")}`,
        ...Object.fromEntries(Object.keys(phases).map((name) => [name, `${note(text, name)} ${proceed}`])),
        proxy_on_done: `${note(text, "done")} ${agree}`,
        proxy_on_log: note(text, "log"),
        proxy_on_delete: note(text, "delete"),
      }));
      guest.services.lines.length = 0;
      const { filter } = exchange(guest);
      for (const show of Object.values(phases)) assert.equal(show(filter), "continue");
      filter.end();
      assert.deepEqual(guest.services.lines, ["create", "1", ...Object.keys(phases), "done", "log", "delete"]);
    });

    it("follow a connection to its end", async () => {
      const names = ["proxy_on_new_connection", "proxy_on_downstream_data", "proxy_on_upstream_data"];
      const closes = ["proxy_on_upstream_connection_close", "proxy_on_downstream_connection_close"];
      await using guest = await start((text) => ({
        ...Object.fromEntries(names.map((name) => [name, `${note(text, name)} ${proceed}`])),
        ...Object.fromEntries(closes.map((name) => [name, note(text, name)])),
      }));
      const host = new TestConnection();
      const filter = guest.instance.openConnection?.(host) ?? assert.fail("the engine takes connections");
      filter.newConnection();
      host.show("downstream", "ask");
      filter.downstreamData(false);
      host.show("upstream", "answer");
      filter.upstreamData(true);
      filter.upstreamClose("remote");
      filter.downstreamClose("local");
      filter.end();
      assert.deepEqual(guest.services.lines, [...names, ...closes]);
    });

    it("tick, and tell of a queue", async () => {
      await using guest = await start((text) => ({
        proxy_on_configure: `${tick} ${drop(`(call $proxy_register_shared_queue ${text("q")} ${cell})`)} ${agree}`,
        proxy_on_tick: `${noMoreTicks} ${note(text, "tick")}
          ${drop(`(call $proxy_enqueue_shared_queue (i32.load ${cell}) ${text("item")})`)}`,
        proxy_on_queue_ready: note(text, "ready"),
      }));
      await guest.services.logged("ready");
      assert.deepEqual(guest.services.lines, ["tick", "ready"]);
    });

    for (const [name, show] of Object.entries(phases)) {
      const before = Object.entries(phases).slice(0, Object.keys(phases).indexOf(name));
      const reach = (filter: StreamFilter) => {
        for (const [, earlier] of before) earlier(filter);
        return show(filter);
      };

      it(`may pause in ${name}, and go on later`, async () => {
        const direction = name.includes("request") ? "request" : "response";
        const type = `(i32.const ${direction === "request" ? 0 : 1})`;
        await using guest = await start((text) => ({
          [name]: `${tick} ${pause}`,
          proxy_on_tick: `${noMoreTicks} ${drop("(call $proxy_set_effective_context (i32.const 2))")}
            ${say(`(call $proxy_continue_stream ${type})`)} ${note(text, "went on")}`,
        }));
        const { stream, filter } = exchange(guest);
        assert.equal(reach(filter), "pause");
        await stream.saw("resume");
        assert.deepEqual([stream.events, guest.services.lines], [[`resume ${direction}`], ["0", "went on"]]);
      });

      it(`may answer by itself in ${name}`, async () => {
        await using guest = await start(() => ({ [name]: `${respond} ${proceed}` }));
        const { stream, filter } = exchange(guest);
        assert.equal(reach(filter), "pause");
        assert.deepEqual(stream.events, ["respond 403"]);
      });

      it(`may trap in ${name}`, async () => {
        await using guest = await start(() => ({ [name]: "unreachable" }));
        const { stream, filter } = exchange(guest);
        assert.equal(reach(filter), "pause");
        assert.deepEqual(stream.events, ["failed trap"]);
        assert.match(String(guest.lost[0]?.message), new RegExp(`in ${name}`));
        assert.equal(show(filter), "continue");
        filter.end();
      });
    }

    it("may trap at the end of a stream, which is over all the same", async () => {
      for (const name of ["proxy_on_done", "proxy_on_log", "proxy_on_delete"]) {
        await using guest = await start(() => ({ [name]: "unreachable" }));
        const { filter } = exchange(guest);
        filter.requestHeaders(true);
        filter.end();
        assert.match(String(guest.lost[0]?.message), new RegExp(`in ${name}`));
        assert.equal(guest.instance.streams, 0);
      }
    });
  });

  describe(`the answers of ABI ${version}`, () => {
    const request = Buffer.from(
      encodePairs([
        [":method", "GET"],
        [":path", "/"],
        [":authority", "there"],
      ]),
    ).toString("latin1");
    const http = (text: PlaceText): string =>
      say(`(call $proxy_http_call ${text("there")} ${text(request)} ${none} ${none} (i32.const 0) ${cell})`);
    const grpc = (text: PlaceText): string =>
      say(
        `(call $proxy_grpc_call ${text("outrigger")} ${text("s.S")} ${text("Call")} ${none} ${none} (i32.const 0) ${cell})`,
      );

    /** An upstream and a method that answer when the test lets them. */
    function later(): { readonly services: TestServices; readonly letGo: () => void } {
      const services = new TestServices();
      const { promise, resolve } = Promise.withResolvers<void>();
      const answer = {
        headers: [[":status", "200"]] as const,
        body: Buffer.from("late"),
        trailers: [["t", "1"]] as const,
      };
      services.upstreams.set("there", () => promise.then(() => answer));
      services.methods.set("/s.S/Call", () => promise.then(() => grpcReply({ text: "late" })));
      return { services, letGo: resolve };
    }

    it("come after the stream is gone, and find nothing to go on with", async () => {
      const { services, letGo } = later();
      const setBack = `${say("(call $proxy_set_effective_context (i32.const 2))")}
        ${say("(call $proxy_continue_stream (i32.const 0))")}`;
      await using guest = await start(
        (text) => ({
          proxy_on_request_headers: `${http(text)} ${grpc(text)} ${pause}`,
          proxy_on_http_call_response: `${setBack} ${note(text, "http")}`,
          proxy_on_grpc_receive: `${setBack} ${note(text, "grpc")}`,
        }),
        { services },
      );
      const { stream, filter } = exchange(guest);
      filter.requestHeaders(true);
      filter.end();
      letGo();
      await Promise.all([services.logged("http"), services.logged("grpc")]);
      assert.deepEqual(
        services.lines.filter((line) => /^\d/.test(line)),
        ["0", "0", "2", "2", "2", "2"],
      );
      assert.deepEqual(stream.events, []);
      assert.deepEqual(guest.lost, []);
    });

    it("come for calls side by side, and for calls made by answers", async () => {
      const { services, letGo } = later();
      await using guest = await start(
        (text) => ({
          proxy_on_request_headers: `${http(text)} ${http(text)} ${http(text)} ${pause}`,
          proxy_on_http_call_response: `${note(text, "answer")} ${say("(local.get $trailers)")}
            (if (i32.lt_u (local.get $token) (i32.const 7)) (then ${http(text)}) (else ${note(text, "last")}))`,
        }),
        { services },
      );
      exchange(guest).filter.requestHeaders(true);
      letGo();
      await services.logged("last");
      assert.ok(services.lines.filter((line) => line === "answer").length >= 4);
      assert.deepEqual(guest.lost, []);
    });

    it("may trap, which fails the stream that waits", async () => {
      const callbacks = { proxy_on_http_call_response: http, proxy_on_grpc_receive: grpc, proxy_on_grpc_close: grpc };
      for (const [name, call] of Object.entries(callbacks)) {
        const { services, letGo } = later();
        if (name === "proxy_on_grpc_close") services.methods.clear();
        await using guest = await start(
          (text) => ({ proxy_on_request_headers: `${call(text)} ${pause}`, [name]: "unreachable" }),
          { services },
        );
        const { stream, filter } = exchange(guest);
        filter.requestHeaders(true);
        letGo();
        await stream.saw("failed");
        assert.match(String(stream.error?.message), new RegExp(`in ${name}`));
      }
    });
  });
}
