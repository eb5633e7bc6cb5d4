import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { GrpcReply, GrpcRequest } from "../../../runtime/plugin/outside-calls.ts";
import { cell, drop, out, outside, type PlaceText, say, tell } from "../../support/proxy-wasm-guest.ts";
import { grpcReply, never, startText, TestServices, TestStream } from "../../support/proxy-wasm-host.ts";

const method = "/pkg.Store/Get";
const call = (text: PlaceText, name = method, result = out): string =>
  `(call $proxy_call_foreign_function ${text(name)} ${text("key")} ${result})`;

/** A method that answers when the test says so. */
function gate(services: TestServices) {
  const waiting: { request: GrpcRequest; answer: (reply: GrpcReply) => void }[] = [];
  const arrivals: (() => void)[] = [];
  services.methods.set(method, (request, signal) => {
    const { promise, resolve, reject } = Promise.withResolvers<GrpcReply>();
    signal.addEventListener("abort", () => reject(signal.reason));
    waiting.push({ request, answer: resolve });
    arrivals.shift()?.();
    return promise;
  });
  return {
    /** The next call, once it is there. */
    async next() {
      if (waiting.length === 0) await new Promise<void>((resolve) => arrivals.push(resolve));
      const first = waiting.shift();
      return first ?? assert.fail("a call arrived");
    },
    get waiting() {
      return waiting.length;
    },
  };
}

/** A guest that asks the runtime in each stream's first callback and logs what it is told. */
const asking = (services: TestServices, deadlineMs = 10_000) =>
  startText(
    (text) => ({
      on: {
        proxy_on_request_headers: `${say("(local.get $id)")} ${say(call(text))} ${tell} ${say("(local.get $id)")} (i32.const 1)`,
        proxy_on_delete: `${drop(`(call $proxy_log (i32.const 2) ${text("deleted")})`)} ${say("(local.get $id)")}`,
      },
    }),
    { services, suspends: true, deadlineMs },
  );

describe("a guest that suspends", () => {
  it("does not wait for callbacks that it does not have", async () => {
    await using guest = await startText(() => ({ on: { proxy_on_response_headers: "(i32.const 0)" } }), {
      suspends: true,
    });
    const stream = new TestStream();
    const filter = guest.instance.open(stream);
    assert.equal(filter.requestHeaders(false), "continue");
    assert.equal(filter.requestBody(true), "continue");
    assert.equal(filter.responseHeaders(true), "suspended");
    await stream.saw("settle continue");
    filter.end();
    await guest.instance.drain();
    assert.deepEqual(stream.events, ["settle continue"]);
  });

  it("waits for a method of the runtime in the middle of a callback", async () => {
    const services = new TestServices();
    const calls = gate(services);
    await using guest = await asking(services);
    const stream = new TestStream([["outrigger-depth", "1"]]);
    const filter = guest.instance.open(stream);
    assert.equal(filter.requestHeaders(true), "suspended");
    assert.equal(guest.instance.pending, 1);
    const { request, answer } = await calls.next();
    assert.deepEqual(
      { ...request, message: Buffer.from(request.message).toString() },
      {
        service: "pkg.Store",
        method: "Get",
        metadata: [["outrigger-depth", "2"]],
        message: "key",
      },
    );
    assert.deepEqual(stream.events, []);
    answer(grpcReply({ text: "value" }));
    await stream.saw("settle pause");
    assert.deepEqual(services.lines, ["2", "0", "value", "2"]);
    filter.end();
    await guest.instance.drain();
    assert.deepEqual(services.lines.slice(4), ["deleted", "2", "deleted", "1"]);
    assert.equal(guest.instance.pending, 0);
  });

  it("calls no deeper for having made its root context the effective one", async () => {
    const services = new TestServices();
    const calls = gate(services);
    await using guest = await startText(
      (text) => ({
        on: {
          proxy_on_request_headers: `${drop("(call $proxy_set_effective_context (i32.const 1))")} ${say(call(text))} (i32.const 1)`,
        },
      }),
      { services, suspends: true },
    );
    const stream = new TestStream([["outrigger-depth", "1"]]);
    guest.instance.open(stream).requestHeaders(true);
    const { request, answer } = await calls.next();
    assert.deepEqual(request.metadata, [["outrigger-depth", "2"]]);
    answer(grpcReply({ text: "value" }));
    await stream.saw("settle pause");
  });

  it("is entered by one stream at a time, in order", async () => {
    const services = new TestServices();
    const calls = gate(services);
    await using guest = await asking(services);
    const streams = [new TestStream(), new TestStream(), new TestStream()];
    for (const stream of streams) guest.instance.open(stream).requestHeaders(true);
    assert.equal(guest.instance.pending, 3);
    for (const stream of streams) {
      const { answer } = await calls.next();
      assert.equal(calls.waiting, 0);
      answer(grpcReply({ text: "x" }));
      await stream.saw("settle pause");
    }
    assert.deepEqual(services.lines, ["2", "0", "x", "2", "3", "0", "x", "3", "4", "0", "x", "4"]);
  });

  it("replies and resumes before the callback is settled", async () => {
    await using guest = await startText(
      () => ({
        on: {
          proxy_on_request_headers: `${drop("(call $proxy_continue_stream (i32.const 1))")}
            ${drop(`(call $proxy_send_local_response (i32.const 403) ${"(i32.const 0)".repeat(6)} (i32.const -1))`)} (i32.const 0)`,
        },
      }),
      { suspends: true },
    );
    const stream = new TestStream();
    guest.instance.open(stream).requestHeaders(true);
    await stream.saw("settle pause");
    assert.deepEqual(stream.events, ["resume response", "respond 403", "settle pause"]);
  });

  it("may wait while it starts", async () => {
    const services = new TestServices();
    services.methods.set(method, async () => grpcReply({ text: "settings" }));
    await using _guest = await startText(
      (text) => ({ on: { proxy_on_configure: `${say(call(text))} ${tell} (i32.const 1)` } }),
      { services, suspends: true },
    );
    assert.deepEqual(services.lines, ["0", "settings"]);
  });

  it("gets its ticks and answers in turns too", async () => {
    const services = new TestServices();
    const calls = gate(services);
    await using guest = await startText(
      (text) => ({
        on: {
          proxy_on_vm_start: `${drop("(call $proxy_set_tick_period_milliseconds (i32.const 1))")} (i32.const 1)`,
          proxy_on_tick: `${drop("(call $proxy_set_tick_period_milliseconds (i32.const 0))")} ${say(call(text))} ${tell}
            ${drop(`(call $proxy_grpc_call ${text("outrigger")} ${text("pkg.Store")} ${text("Get")}
              (i32.const 0) (i32.const 0) ${text("later")} (i32.const 0) ${cell})`)}`,
          proxy_on_grpc_receive: drop(`(call $proxy_log (i32.const 2) ${text("received")})`),
        },
      }),
      { services, suspends: true },
    );
    (await calls.next()).answer(grpcReply({ text: "tick" }));
    (await calls.next()).answer(grpcReply({ text: "grpc" }));
    await services.logged("received");
    assert.deepEqual(services.lines, ["0", "tick", "received"]);
    assert.deepEqual(guest.lost, []);
  });

  it("is told when a stream ended while it waited, and the rest of that stream is not shown", async () => {
    const services = new TestServices();
    const calls = gate(services);
    await using guest = await asking(services);
    const stream = new TestStream();
    const filter = guest.instance.open(stream);
    const other = new TestStream();
    const queued = guest.instance.open(other);
    filter.requestHeaders(true);
    queued.requestHeaders(true);
    queued.end();
    const { answer } = await calls.next();
    filter.end();
    answer(grpcReply({ text: "late" }));
    await guest.instance.drain();
    assert.deepEqual(services.lines, ["2", "0", "late", "2", "deleted", "2", "deleted", "1"]);
    assert.deepEqual([...stream.events, ...other.events], []);
  });
});

describe("what a method of the runtime answers", () => {
  it("is a status, with code and sentence for proxy_get_status", async () => {
    const expected: [code: number, status: number][] = [
      [3, 2],
      [5, 1],
      [7, 10],
      [10, 8],
      [11, 2],
      [12, 12],
      [14, 10],
    ];
    for (const [code, status] of expected) {
      const services = new TestServices();
      services.methods.set(method, async () => grpcReply({ code, details: `failed with ${code}` }));
      await using guest = await startText(
        (text) => ({
          on: {
            proxy_on_request_headers: `${say(call(text))} ${drop(`(call $proxy_get_status ${cell} ${out})`)}
              ${say(`(i32.load ${cell})`)} ${tell} (i32.const 0)`,
          },
        }),
        { services, suspends: true },
      );
      const stream = new TestStream();
      guest.instance.open(stream).requestHeaders(true);
      await stream.saw("settle continue");
      assert.deepEqual(services.lines, [String(status), String(code), `failed with ${code}`]);
    }
  });

  it("may be ignored, and errors have a status", async () => {
    const services = new TestServices();
    services.methods.set(method, async () => grpcReply({ text: "x" }));
    services.methods.set("/pkg.Store/Broken", () => Promise.reject(new Error("lost it")));
    await using guest = await startText(
      (text) => ({
        on: {
          proxy_on_request_headers: `
            ${say(call(text, method, "(i32.const 0) (i32.const 0)"))}
            ${say(call(text, method, `${outside} (i32.const 4)`))}
            ${say(call(text, "/pkg.Store/Unknown"))} ${say(call(text, "no_such"))} ${say(call(text, "/pkg.Store/Broken"))}
            ${say(`(call $proxy_call_foreign_function ${outside} (i32.const 1) ${text("x")} ${out})`)}
            ${say(`(call $proxy_call_foreign_function ${text("x")} ${outside} (i32.const 1) ${out})`)} (i32.const 0)`,
        },
      }),
      { services, suspends: true },
    );
    const stream = new TestStream();
    guest.instance.open(stream).requestHeaders(true);
    await stream.saw("settle continue");
    assert.deepEqual(services.lines, ["0", "6", "1", "1", "10", "6", "6"]);
  });

  it("is refused when plugins called each other too deep", async () => {
    const services = new TestServices();
    services.methods.set(method, async () => grpcReply({ text: "x" }));
    await using guest = await asking(services);
    const stream = new TestStream([["outrigger-depth", "4"]]);
    guest.instance.open(stream).requestHeaders(true);
    await stream.saw("settle pause");
    assert.equal(services.lines[1], "10");
  });

  it("is UNIMPLEMENTED for a guest that does not suspend, with advice", async () => {
    const services = new TestServices();
    services.methods.set(method, async () => grpcReply({ text: "x" }));
    await using guest = await startText(
      (text) => ({
        on: {
          proxy_on_request_headers: `${say(call(text))} ${drop(`(call $proxy_get_status ${cell} ${out})`)} ${tell}
            ${say(call(text, "no_such"))} (i32.const 0)`,
        },
      }),
      { services },
    );
    guest.instance.open(new TestStream()).requestHeaders(true);
    assert.deepEqual([services.lines[0], services.lines[2]], ["12", "1"]);
    assert.match(services.lines[1] ?? "", /suspends: true/);
  });
});

describe("a deadline", () => {
  it("that passes while the guest waits for the host takes the instance with it", async () => {
    const services = new TestServices();
    const { answer, aborted } = never();
    services.methods.set(method, answer);
    await using guest = await asking(services, 5);
    const stream = new TestStream();
    const other = new TestStream();
    guest.instance.open(other);
    const filter = guest.instance.open(stream);
    filter.requestHeaders(true);
    await stream.saw("failed deadline");
    await aborted;
    assert.deepEqual(other.events, ["failed deadline"]);
    assert.match(String(stream.error?.message), /still waiting in proxy_on_request_headers when its time was up/);
    assert.equal(guest.lost.length, 1);
    assert.deepEqual(services.lines, ["3"], "the guest did not go on");
    filter.end();
    assert.equal(guest.instance.pending, 0);
  });

  it("stops a guest that catches what it is stopped with", async () => {
    const services = new TestServices();
    const { answer } = never();
    services.methods.set(method, answer);
    await using guest = await startText(
      (text) => ({
        on: {
          proxy_on_request_headers: `(loop $on (try (do ${drop(call(text))}) (catch_all ${say("(i32.const 9)")})) (br $on)) (i32.const 0)`,
        },
      }),
      { services, suspends: true, deadlineMs: 5 },
    );
    const stream = new TestStream();
    guest.instance.open(stream).requestHeaders(true);
    await stream.saw("failed deadline");
    await guest.instance.drain();
    assert.deepEqual(services.lines, []);
  });

  it("that passes in the queue fails its own stream only", async (context) => {
    context.mock.timers.enable({ apis: ["setTimeout"] });
    let now = 0;
    context.mock.method(performance, "now", () => now);
    const pass = (milliseconds: number): void => {
      now += milliseconds;
      context.mock.timers.tick(milliseconds);
    };
    const services = new TestServices();
    const calls = gate(services);
    await using guest = await asking(services, 100);
    const [first, second, third] = [new TestStream(), new TestStream(), new TestStream()];
    guest.instance.open(first).requestHeaders(true);
    guest.instance.open(second).requestHeaders(true);
    const late = guest.instance.open(third);
    late.requestHeaders(true);
    const firstCall = await calls.next();
    pass(60);
    firstCall.answer(grpcReply({ text: "1" }));
    await first.saw("settle pause");
    const secondCall = await calls.next();
    pass(60);
    assert.deepEqual(third.events, ["failed deadline"]);
    assert.match(String(third.error?.message), /did not answer within 100 ms, its wait included/);
    assert.deepEqual(second.events, ["failed deadline"], "it waited too long as well, but the guest may finish it");
    assert.deepEqual(guest.lost, []);
    secondCall.answer(grpcReply({ text: "2" }));
    const fourth = new TestStream();
    guest.instance.open(fourth).requestHeaders(true);
    (await calls.next()).answer(grpcReply({ text: "4" }));
    await fourth.saw("settle pause");
    assert.deepEqual(services.lines, "2 0 1 2 3 0 2 3 deleted 3 5 0 4 5".split(" "));
    assert.deepEqual(second.events, ["failed deadline"]);
    assert.equal(late.responseHeaders(true), "continue");
  });
});

describe("a guest that suspends and fails", () => {
  it("takes the streams that wait with it", async () => {
    const services = new TestServices();
    const calls = gate(services);
    await using guest = await startText(
      (text) => ({ on: { proxy_on_request_headers: `${drop(call(text))} unreachable` } }),
      { services, suspends: true },
    );
    const [first, second] = [new TestStream(), new TestStream()];
    guest.instance.open(first).requestHeaders(true);
    guest.instance.open(second).requestHeaders(true);
    (await calls.next()).answer(grpcReply({ text: "x" }));
    await first.saw("failed trap");
    assert.deepEqual(second.events, ["failed trap"]);
    assert.equal(guest.lost.length, 1);
    assert.equal(calls.waiting, 0);
  });

  it("runs out of fuel like any other", async () => {
    await using guest = await startText(
      () => ({ on: { proxy_on_request_headers: "(loop $on (br $on)) (i32.const 0)" } }),
      { suspends: true },
    );
    const stream = new TestStream();
    guest.instance.open(stream).requestHeaders(true);
    await stream.saw("failed fuel");
    assert.match(String(stream.error?.message), /used up its 1000000 units of fuel in proxy_on_request_headers/);
  });

  it("cannot wait in its allocator", async () => {
    const services = new TestServices();
    services.methods.set(method, async () => grpcReply({ text: "x" }));
    await using guest = await startText(
      (text) => ({
        malloc: `(func (export "malloc") (param i32) (result i32) ${drop(call(text))} (i32.const 40000))`,
        on: { proxy_on_request_headers: `${drop(call(text))} (i32.const 0)` },
      }),
      { services, suspends: true },
    );
    const stream = new TestStream();
    guest.instance.open(stream).requestHeaders(true);
    await stream.saw("failed");
    assert.match(String(stream.error?.message), /in proxy_on_request_headers/);
    assert.equal(guest.lost.length, 1);
  });

  it("is stopped in the middle of its wait when it is disposed", async () => {
    const services = new TestServices();
    const { answer, aborted } = never();
    const started = Promise.withResolvers<void>();
    services.methods.set(method, (request, signal) => {
      started.resolve();
      return answer(request, signal);
    });
    const guest = await asking(services);
    const stream = new TestStream();
    guest.instance.open(stream).requestHeaders(true);
    await started.promise;
    await guest[Symbol.asyncDispose]();
    await aborted;
    assert.deepEqual(stream.events, ["failed closed"]);
    assert.deepEqual(services.lines, ["2"]);
    assert.deepEqual(guest.lost, []);
  });
});
