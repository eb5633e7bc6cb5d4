import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Direction } from "../../../runtime/plugin/contract.ts";
import { encodePairs } from "../../../runtime/proxy-wasm/pairs.ts";
import { drop, outside, say } from "../../support/proxy-wasm-guest.ts";
import { startText, TestStream } from "../../support/proxy-wasm-host.ts";

const none = "(i32.const 0) (i32.const 0)";
const respond = (status: number, details = none, body = none, headers = none, grpcStatus = -1): string =>
  say(
    `(call $proxy_send_local_response (i32.const ${status}) ${details} ${body} ${headers} (i32.const ${grpcStatus}))`,
  );
const continueStream = (type: number): string => say(`(call $proxy_continue_stream (i32.const ${type}))`);
const quietly = (type: number): string => drop(`(call $proxy_continue_stream (i32.const ${type}))`);
/** Does it so often, counting down in a parameter of the callback. */
const times = (count: number, body: string): string =>
  `(local.set $end (i32.const ${count}))
   (loop $again ${body} (local.set $end (i32.sub (local.get $end) (i32.const 1))) (br_if $again (local.get $end)))`;

describe("proxy_send_local_response", () => {
  it("answers once, after the callback, which pauses whatever it returns", async () => {
    const headers = Buffer.from(encodePairs([["Retry-After", "1"]])).toString("latin1");
    await using guest = await startText((text) => ({
      on: {
        proxy_on_request_headers: `
          ${respond(429, text("rate_limited"), text("slow down"), text(headers), 8)} ${respond(500)} (i32.const 0)`,
        proxy_on_response_headers: "(i32.const 0)",
      },
    }));
    const stream = new TestStream();
    const filter = guest.instance.open(stream);
    assert.equal(filter.requestHeaders(true), "pause");
    assert.deepEqual(guest.services.lines, ["0", "0"]);
    const [reply, ...more] = stream.replies;
    assert.deepEqual(more, []);
    assert.deepEqual(
      { ...reply, body: Buffer.from(reply?.body ?? []).toString() },
      { status: 429, details: "rate_limited", headers: [["retry-after", "1"]], body: "slow down", grpcStatus: 8 },
    );
    assert.equal(filter.responseHeaders(false), "continue", "the response it made may pass through it");
  });

  it("leaves the gRPC status out when it is unset, and refuses what cannot be a response", async () => {
    await using guest = await startText((text) => ({
      on: {
        proxy_on_request_headers: `${respond(99)} ${respond(1000)}
          ${respond(200, none, none, text("\x01\0\0\0\x01\0\0\0\x01\0\0\0a\0\n\0"))}
          ${respond(200, `${outside} (i32.const 1)`)} ${respond(200, none, `${outside} (i32.const 1)`)}
          ${respond(200, none, none, `${outside} (i32.const 1)`)} ${respond(204)} (i32.const 0)`,
      },
    }));
    const stream = new TestStream();
    guest.instance.open(stream).requestHeaders(true);
    assert.deepEqual(guest.services.lines, ["2", "2", "2", "6", "6", "6", "0"]);
    assert.deepEqual(stream.replies, [{ status: 204, details: "", headers: [], body: new Uint8Array(0) }]);
  });

  it("shows nothing of a reply whose status is none, and says so in the plugin's log", async () => {
    await using guest = await startText((text) => ({
      on: { proxy_on_request_headers: `${respond(600, none, text("a secret"))} (i32.const 0)` },
    }));
    const stream = new TestStream();
    guest.instance.open(stream).requestHeaders(true);
    const sentence = `plugin 'guest' answered with the status 600, and 200 to 599 can be sent`;
    assert.deepEqual(guest.services.lines, [`warn: ${sentence} (the client got 500)`, "0"]);
    const [reply] = stream.replies;
    assert.deepEqual([reply?.status, Buffer.from(reply?.body ?? []).toString()], [500, `${sentence}\n`]);
  });

  it("has no stream to answer in the root context", async () => {
    await using guest = await startText(() => ({
      on: { proxy_on_vm_start: `${respond(200)} (i32.const 1)` },
    }));
    assert.deepEqual(guest.services.lines, ["2"]);
  });
});

describe("proxy_continue_stream", () => {
  it("overrules the pause of the callback that it is called in", async () => {
    await using guest = await startText(() => ({
      on: { proxy_on_request_headers: `${continueStream(0)} (i32.const 1)` },
    }));
    const stream = new TestStream();
    assert.equal(guest.instance.open(stream).requestHeaders(false), "continue");
    assert.deepEqual(stream.events, []);
  });

  it("resumes the other direction, or another stream, after the callback", async () => {
    await using guest = await startText(() => ({
      on: {
        proxy_on_request_headers: "(i32.const 1)",
        proxy_on_response_headers: `${continueStream(0)}
          ${say("(call $proxy_set_effective_context (i32.const 2))")} ${continueStream(0)} ${continueStream(1)} (i32.const 1)`,
      },
    }));
    const paused = new TestStream();
    assert.equal(guest.instance.open(paused).requestHeaders(false), "pause");
    const stream = new TestStream();
    const filter = guest.instance.open(stream);
    assert.equal(filter.requestHeaders(false), "pause");
    assert.equal(filter.responseHeaders(false), "pause");
    assert.deepEqual(stream.events, ["resume request"]);
    assert.deepEqual(paused.events, ["resume request", "resume response"]);
  });

  it("resumes once, however often the callback asks for it, and again in the next", async () => {
    await using guest = await startText(() => ({
      on: {
        proxy_on_response_headers: `${times(300, `${quietly(0)} ${quietly(1)} ${quietly(0)}`)} (i32.const 1)`,
        proxy_on_response_body: `${quietly(0)} ${quietly(0)} (i32.const 0)`,
      },
    }));
    const stream = new TestStream();
    const filter = guest.instance.open(stream);
    filter.requestHeaders(true);
    filter.responseHeaders(false);
    filter.responseBody(true);
    assert.deepEqual(stream.events, ["resume request", "resume request"]);
  });

  it("may make the data plane show more, when the guest has been left", async () => {
    await using guest = await startText(() => ({
      on: {
        proxy_on_request_headers: "(i32.const 1)",
        proxy_on_request_body: `${say("(local.get $id)")} ${say("(call $proxy_set_effective_context (i32.const 2))")}
          ${continueStream(0)} ${say("(local.get $id)")} (i32.const 0)`,
      },
    }));
    class Resuming extends TestStream {
      override resume(direction: Direction): void {
        super.resume(direction);
        if (this.events.length === 1) first.requestBody(true);
      }
    }
    const resuming = new Resuming();
    const first = guest.instance.open(resuming);
    first.requestHeaders(false);
    const second = guest.instance.open(new TestStream());
    second.requestHeaders(false);
    second.requestBody(true);
    assert.deepEqual(guest.services.lines, ["3", "0", "0", "3", "2", "0", "0", "2"]);
    assert.deepEqual(resuming.events, ["resume request"]);
  });

  it("answers by status for streams that are not HTTP, or not there", async () => {
    await using guest = await startText(() => ({
      on: {
        proxy_on_vm_start: `${continueStream(0)} (i32.const 1)`,
        proxy_on_request_headers: `${continueStream(2)} ${continueStream(3)} ${continueStream(4)} (i32.const 0)`,
      },
    }));
    guest.instance.open(new TestStream()).requestHeaders(true);
    assert.deepEqual(guest.services.lines, ["2", "2", "2", "2"]);
  });
});

describe("proxy_close_stream", () => {
  it("resets the stream after the callback", async () => {
    await using guest = await startText(() => ({
      on: {
        proxy_on_vm_start: `${say("(call $proxy_close_stream (i32.const 0))")} (i32.const 1)`,
        proxy_on_request_headers: `${say("(call $proxy_close_stream (i32.const 1))")}
          ${say("(call $proxy_close_stream (i32.const 2))")} ${say("(call $proxy_close_stream (i32.const 9))")} (i32.const 0)`,
      },
    }));
    const stream = new TestStream();
    assert.equal(guest.instance.open(stream).requestHeaders(true), "pause");
    assert.deepEqual(guest.services.lines, ["2", "0", "2", "2"]);
    assert.deepEqual(stream.events, ["reset"]);
  });

  it("resets once, however often the callback asks for it, in its order among what is put off", async () => {
    await using guest = await startText(() => ({
      on: {
        proxy_on_request_headers: `${quietly(1)}
          ${times(1_000, drop("(call $proxy_close_stream (i32.const 0))"))} ${quietly(1)} (i32.const 0)`,
      },
    }));
    const stream = new TestStream();
    assert.equal(guest.instance.open(stream).requestHeaders(true), "pause");
    assert.deepEqual(stream.events, ["resume response", "reset"]);
  });
});

describe("proxy_set_effective_context", () => {
  it("lasts until the outermost call ends, and refuses contexts that are not there", async () => {
    await using guest = await startText((text) => {
      const set = (id: number): string => say(`(call $proxy_set_effective_context (i32.const ${id}))`);
      const mark = drop(`(call $proxy_add_header_map_value (i32.const 0) ${text("x-mark")} ${text("1")})`);
      return {
        on: {
          proxy_on_request_headers: `(if (i32.eq (local.get $id) (i32.const 3))
              (then ${set(4)} ${set(0)} ${set(2)} ${mark} ${set(1)}
                ${say(`(call $proxy_add_header_map_value (i32.const 0) ${text("x")} ${text("1")})`)}))
            (i32.const 0)`,
          proxy_on_request_body: `${mark} (i32.const 0)`,
        },
      };
    });
    const [first, second, third] = [new TestStream(), new TestStream(), new TestStream()];
    guest.instance.open(first).requestHeaders(true);
    const filter = guest.instance.open(second);
    guest.instance.open(third);
    filter.requestHeaders(false);
    assert.deepEqual(guest.services.lines, ["2", "2", "0", "0", "2"]);
    assert.equal(first.maps["request-headers"]?.get("x-mark"), "1");
    assert.equal(second.maps["request-headers"]?.get("x-mark"), undefined);
    filter.requestBody(true);
    assert.equal(second.maps["request-headers"]?.get("x-mark"), "1");
  });
});

describe("proxy_done", () => {
  it("answers NOT_FOUND when nothing waits for it", async () => {
    await using guest = await startText(() => ({
      on: {
        proxy_on_vm_start: `${say("(call $proxy_done)")} (i32.const 1)`,
        proxy_on_request_headers: `${say("(call $proxy_done)")} (i32.const 0)`,
      },
    }));
    guest.instance.open(new TestStream()).requestHeaders(true);
    assert.deepEqual(guest.services.lines, ["1", "1"]);
  });
});
