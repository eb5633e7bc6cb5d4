import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { GrpcRequest, HttpMessage } from "../../../runtime/plugin/outside-calls.ts";
import { encodePairs } from "../../../runtime/proxy-wasm/pairs.ts";
import { cell, drop, out, outside, type PlaceText, say, tell } from "../../support/proxy-wasm-guest.ts";
import { grpcReply, never, startText, TestServices, TestStream } from "../../support/proxy-wasm-host.ts";

const none = "(i32.const 0) (i32.const 0)";
const pairs = (fields: [string, string][]): string => Buffer.from(encodePairs(fields)).toString("latin1");
const request: [string, string][] = [
  [":method", "POST"],
  [":path", "/check"],
  [":authority", "auth"],
  ["X-Id", "7"],
];

interface HttpCall {
  readonly upstream?: string;
  readonly headers?: [string, string][];
  readonly body?: string;
  readonly trailers?: string;
  readonly timeoutMs?: number;
  readonly token?: string;
}

/** A call whose token lies at `cell` afterwards. */
function httpCall(text: PlaceText, call: HttpCall = {}): string {
  const { upstream = "auth", headers = request, body = none, trailers = none, timeoutMs = 0, token = cell } = call;
  return `(call $proxy_http_call ${text(upstream)} ${text(pairs(headers))} ${body} ${trailers} (i32.const ${timeoutMs}) ${token})`;
}

const told = (names: string[]): string => names.map((name) => say(`(local.get $${name})`)).join(" ");
const onResponse = `${told(["id", "headers", "size", "trailers"])}
  ${say(`(i32.eq (local.get $token) (i32.load ${cell}))`)}`;

/** A guest that calls in a stream's first callback, pausing it. */
function caller(build: (text: PlaceText) => { call: string; on?: Record<string, string> }, services: TestServices) {
  return startText(
    (text) => {
      const { call, on } = build(text);
      return { on: { proxy_on_request_headers: `${say(call)} (i32.const 1)`, ...on } };
    },
    { services },
  );
}

describe("proxy_http_call", () => {
  it("delivers the answer to the root context, which may go on with the stream", async () => {
    const services = new TestServices();
    const requests: HttpMessage[] = [];
    services.upstreams.set("auth", async (message) => {
      requests.push(message);
      return { headers: [[":status", "200"]], body: Buffer.from("welcome"), trailers: [["t", "1"]] };
    });
    await using guest = await caller(
      (text) => ({
        call: httpCall(text, { body: text("who"), trailers: text(pairs([["Sum", "x"]])) }),
        on: {
          proxy_on_http_call_response: `${onResponse}
            ${drop(`(call $proxy_get_header_map_value (i32.const 6) ${text(":status")} ${out})`)} ${tell}
            ${drop(`(call $proxy_get_header_map_value (i32.const 7) ${text("T")} ${out})`)} ${tell}
            ${drop(`(call $proxy_get_buffer_bytes (i32.const 4) (i32.const 0) (i32.const 100) ${out})`)} ${tell}
            ${say(`(call $proxy_add_header_map_value (i32.const 6) ${text("x")} ${text("1")})`)}
            ${say("(call $proxy_set_effective_context (i32.const 2))")}
            ${drop("(call $proxy_continue_stream (i32.const 0))")}`,
        },
      }),
      services,
    );
    const stream = new TestStream();
    assert.equal(guest.instance.open(stream).requestHeaders(false), "pause");
    await stream.saw("resume request");
    assert.deepEqual(services.lines, ["0", "1", "1", "7", "1", "1", "200", "1", "welcome", "2", "0"]);
    const [sent] = requests;
    assert.deepEqual(sent?.headers, [...request.slice(0, 3), ["x-id", "7"]]);
    assert.equal(Buffer.from(sent?.body ?? []).toString(), "who");
    assert.deepEqual(sent?.trailers, [["sum", "x"]]);
  });

  it("delivers nothing but zeros when it fails or its time is up", async () => {
    const services = new TestServices();
    const { answer, aborted } = never();
    services.upstreams.set("slow", answer);
    services.upstreams.set("broken", () => Promise.reject(new Error("connection refused")));
    services.upstreams.set("confused", () => {
      throw new Error("not even a promise");
    });
    await using guest = await caller(
      (text) => ({
        call: httpCall(text, { upstream: "slow", timeoutMs: 1 }),
        on: {
          proxy_on_request_body: `${drop(httpCall(text, { upstream: "broken" }))} (i32.const 1)`,
          proxy_on_request_trailers: `${drop(httpCall(text, { upstream: "confused" }))} (i32.const 1)`,
          proxy_on_http_call_response: `${onResponse}
            ${say(`(call $proxy_get_header_map_value (i32.const 6) ${text("x")} ${out})`)}
            ${say(`(call $proxy_get_buffer_bytes (i32.const 4) (i32.const 0) (i32.const 1) ${out})`)}
            ${say(`(call $proxy_get_header_map_pairs (i32.const 6) ${out})`)}
            ${drop(`(call $proxy_log (i32.const 2) ${text("answered")})`)}`,
        },
      }),
      services,
    );
    const filter = guest.instance.open(new TestStream());
    const expected = ["1", "0", "0", "0", "1", "2", "1", "0", "answered"];
    filter.requestHeaders(false);
    await services.logged("answered");
    await aborted;
    assert.deepEqual(services.lines, ["0", ...expected]);
    for (const again of [() => filter.requestBody(false), () => filter.requestTrailers()]) {
      services.lines.length = 0;
      again();
      await services.logged("answered");
      assert.deepEqual(services.lines, expected);
    }
  });

  it("refuses by status what it cannot send", async () => {
    const services = new TestServices();
    services.upstreams.set("auth", never().answer);
    await using guest = await startText(
      (text) => ({
        on: {
          proxy_on_vm_start: `
            ${say(httpCall(text, { upstream: "nobody" }))}
            ${say(httpCall(text, { headers: request.slice(1) }))}
            ${say(httpCall(text, { headers: [...request, ["x", "1\r\n"]] }))}
            ${say(httpCall(text, { timeoutMs: -1 }))}
            ${say(httpCall(text, { token: outside }))}
            ${say(httpCall(text, { body: `${outside} (i32.const 1)` }))}
            ${say(httpCall(text, { trailers: `${outside} (i32.const 1)` }))}
            (loop $more (br_if $more (i32.eqz ${httpCall(text)})))
            ${say(httpCall(text))} ${say(`(i32.load ${cell})`)} (i32.const 1)`,
        },
      }),
      { services },
    );
    assert.deepEqual(services.lines, ["2", "2", "2", "2", "6", "6", "6", "10", "0"]);
    assert.deepEqual(guest.lost, []);
  });

  it("tells the runtime how deep it is called, and stops at a depth", async () => {
    const services = new TestServices();
    const headers = Promise.withResolvers<HttpMessage>();
    services.upstreams.set("outrigger", async (message) => {
      headers.resolve(message);
      return { headers: [], body: Buffer.alloc(0), trailers: [] };
    });
    await using guest = await caller((text) => ({ call: httpCall(text, { upstream: "outrigger" }) }), services);
    guest.instance.open(new TestStream([["outrigger-depth", "3"]])).requestHeaders(true);
    assert.deepEqual((await headers.promise).headers.at(-1), ["outrigger-depth", "4"]);
    guest.instance.open(new TestStream([["outrigger-depth", "4"]])).requestHeaders(true);
    assert.deepEqual(services.lines, ["0", "10"]);
  });
});

describe("proxy_grpc_call", () => {
  const grpcCall = (text: PlaceText, upstream = "outrigger", timeoutMs = 0, method = "Get"): string =>
    `(call $proxy_grpc_call ${text(upstream)} ${text("pkg.Store")} ${text(method)} ${text(pairs([["Meta", "m"]]))}
      ${text("message")} (i32.const ${timeoutMs}) ${cell})`;

  it("delivers the message", async () => {
    const services = new TestServices();
    const requests: GrpcRequest[] = [];
    services.methods.set("/pkg.Store/Get", async (call) => {
      requests.push(call);
      return grpcReply({ text: "found", initialMetadata: [["i", "1"]], trailingMetadata: [["t", "2"]] });
    });
    await using guest = await caller(
      (text) => ({
        call: grpcCall(text),
        on: {
          proxy_on_grpc_receive: `${told(["id", "size"])} ${say(`(i32.eq (local.get $token) (i32.load ${cell}))`)}
            ${say("(i32.and (local.get $token) (i32.const 1))")}
            ${drop(`(call $proxy_get_buffer_bytes (i32.const 5) (i32.const 0) (local.get $size) ${out})`)} ${tell}
            ${drop(`(call $proxy_get_header_map_value (i32.const 4) ${text("i")} ${out})`)} ${tell}
            ${drop(`(call $proxy_get_header_map_value (i32.const 5) ${text("t")} ${out})`)} ${tell}
            ${say(`(call $proxy_grpc_cancel (local.get $token))`)}`,
          proxy_on_grpc_close: "unreachable",
        },
      }),
      services,
    );
    guest.instance.open(new TestStream([["outrigger-depth", "nonsense"]])).requestHeaders(true);
    await services.logged("2");
    assert.deepEqual(services.lines, ["0", "1", "5", "1", "1", "found", "1", "2", "1"]);
    assert.deepEqual(requests[0]?.metadata, [
      ["meta", "m"],
      ["outrigger-depth", "1"],
    ]);
    assert.equal(Buffer.from(requests[0]?.message ?? []).toString(), "message");
  });

  it("tells how it failed", async () => {
    const services = new TestServices();
    const { answer, aborted } = never();
    services.upstreams.set("grpc", () => Promise.reject(new Error("unused")));
    services.methods.set("/pkg.Store/Slow", answer);
    services.methods.set("/pkg.Store/Get", async () => grpcReply({ code: 5, details: "no such key: é" }));
    services.methods.set("/pkg.Store/Broken", () => Promise.reject(new Error("no connection")));
    await using guest = await caller(
      (text) => ({
        call: grpcCall(text, "grpc"),
        on: {
          proxy_on_request_body: `${drop(grpcCall(text, "grpc", 1, "Slow"))} (i32.const 1)`,
          proxy_on_request_trailers: `${drop(grpcCall(text, "grpc", 0, "Broken"))} (i32.const 1)`,
          proxy_on_grpc_close: `${told(["id", "code"])} ${say(`(call $proxy_get_status (i32.const 16) ${out})`)}
            ${say("(i32.load (i32.const 16))")} ${tell} ${drop(`(call $proxy_log (i32.const 2) ${text("closed")})`)}`,
        },
      }),
      services,
    );
    const filter = guest.instance.open(new TestStream());
    filter.requestHeaders(false);
    await services.logged("closed");
    assert.deepEqual(services.lines, ["0", "1", "5", "0", "5", "no such key: é", "closed"]);
    services.lines.length = 0;
    filter.requestBody(false);
    await services.logged("closed");
    await aborted;
    assert.deepEqual(services.lines, ["1", "4", "0", "4", "no answer within 1 ms", "closed"]);
    services.lines.length = 0;
    filter.requestTrailers();
    await services.logged("closed");
    assert.deepEqual(services.lines, ["1", "14", "0", "14", "no connection", "closed"]);
  });

  it("is cancelled, and answers nothing then", async () => {
    const services = new TestServices();
    const { answer, aborted } = never();
    const started = Promise.withResolvers<void>();
    services.methods.set("/pkg.Store/Get", (call, signal) => {
      started.resolve();
      return answer(call, signal);
    });
    await using guest = await caller(
      (text) => ({
        call: grpcCall(text),
        on: {
          proxy_on_request_body: `${say(`(call $proxy_grpc_cancel (i32.load ${cell}))`)}
            ${say(`(call $proxy_grpc_cancel (i32.load ${cell}))`)} ${say("(call $proxy_grpc_close (i32.const 2))")} (i32.const 0)`,
          proxy_on_grpc_close: "unreachable",
        },
      }),
      services,
    );
    const filter = guest.instance.open(new TestStream());
    filter.requestHeaders(false);
    await started.promise;
    filter.requestBody(true);
    await aborted;
    assert.deepEqual(services.lines, ["0", "0", "1", "1"]);
    assert.deepEqual(guest.lost, []);
  });

  it("takes the upstream as a name or as Envoy's message", async () => {
    const services = new TestServices();
    services.upstreams.set("backend", never().answer);
    const field = (number: number, text: string): string => String.fromCharCode(number * 8 + 2, text.length) + text;
    const names = [
      field(1, field(1, "backend")),
      field(3, "\x08\x01") + field(2, field(1, "backend")),
      field(1, field(1, "nobody")),
      "nobody",
      "\x0a\xff",
      "",
    ];
    await using _guest = await startText(
      (text) => ({
        on: { proxy_on_vm_start: `${names.map((name) => say(grpcCall(text, name))).join("\n")} (i32.const 1)` },
      }),
      { services },
    );
    assert.deepEqual(services.lines, ["0", "0", "4", "4", "4", "4"]);
  });

  it("checks every pointer", async () => {
    const services = new TestServices();
    const place = "(i32.const 0) (i32.const 1)";
    await using _guest = await startText(
      (text) => {
        const parts = [text("outrigger"), place, place, none, place];
        const calls = parts.map((_part, broken) => {
          const args = parts.map((part, at) => (at === broken ? `${outside} (i32.const 1)` : part)).join(" ");
          return say(`(call $proxy_grpc_call ${args} (i32.const 0) ${cell})`);
        });
        return {
          on: {
            proxy_on_vm_start: `${calls.join("\n")}
              ${say(`(call $proxy_grpc_call ${parts.join(" ")} (i32.const 0) ${outside})`)}
              ${say(`(call $proxy_get_status ${outside} ${out})`)} (i32.const 1)`,
          },
        };
      },
      { services },
    );
    assert.deepEqual(services.lines, ["6", "6", "6", "6", "6", "6", "6"]);
  });
});
