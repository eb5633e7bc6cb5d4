import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { QueueConsumer } from "../../../runtime/plugin/sharing.ts";
import { cell, drop, out, outside, say, tell } from "../../support/proxy-wasm-guest.ts";
import { startText, TestServices, TestStream } from "../../support/proxy-wasm-host.ts";

const token = `(i32.load ${cell})`;
const register = (name: string): string => `(call $proxy_register_shared_queue ${name} ${cell})`;
const resolve = (vm: string, name: string): string => `(call $proxy_resolve_shared_queue ${vm} ${name} ${cell})`;
const enqueue = (item: string): string => `(call $proxy_enqueue_shared_queue ${token} ${item})`;
const dequeue = `(call $proxy_dequeue_shared_queue ${token} ${out})`;
/** Notes nothing. */
const nobody: QueueConsumer = { ready: () => undefined };

/** Runs the calls in a stream's first callback; `ready` runs in proxy_on_queue_ready. */
async function open(build: (text: (text: string) => string) => string[], ready = "", services = new TestServices()) {
  const guest = await startText(
    (text) => ({
      on: {
        proxy_on_request_headers: `${build(text).join("\n")} (i32.const 0)`,
        ...(ready === "" ? {} : { proxy_on_queue_ready: ready }),
      },
    }),
    { services },
  );
  guest.instance.open(new TestStream()).requestHeaders(true);
  assert.deepEqual(guest.lost, []);
  return guest;
}

describe("shared queues", () => {
  it("give items in order, then EMPTY", async () => {
    await using guest = await open((text) => [
      say(register(text("orders"))),
      say(enqueue(text("first"))),
      say(enqueue(text(""))),
      ...[say(dequeue), tell, say(dequeue), tell, say(dequeue)],
    ]);
    assert.deepEqual(guest.services.lines, ["0", "0", "0", "0", "first", "0", "", "7"]);
  });

  it("have one token for one name, found again by resolve, also with the own VM id", async () => {
    await using guest = await open((text) => [
      drop(register(text("orders"))),
      say(token),
      drop(register(text("orders"))),
      say(token),
      drop(register(text("other"))),
      say(token),
      say(resolve(text(""), text("orders"))),
      say(token),
      say(resolve(text("vm-1"), text("other"))),
      say(token),
    ]);
    assert.deepEqual(guest.services.lines, ["1", "1", "2", "0", "1", "0", "2"]);
  });

  it("of another VM are found by its id, and NOT_FOUND is the answer for those that nobody registered", async () => {
    const services = new TestServices();
    const other = services.queues.of({ name: "other", vmId: "vm-2" });
    const registered = other.register("logs", nobody);
    await using _ = await open(
      (text) => [
        say(resolve(text("vm-2"), text("logs"))),
        say(enqueue(text("line"))),
        say(resolve(text("vm-2"), text("none"))),
        say(resolve(text("vm-3"), text("logs"))),
        say(resolve(text(""), text("logs"))),
      ],
      "",
      services,
    );
    assert.deepEqual(services.lines, ["0", "0", "1", "1", "1"]);
    assert.equal(Buffer.from(other.dequeue(registered.token) as Uint8Array).toString(), "line");
  });

  it("answer NOT_FOUND for a token that nobody was given, and INVALID_MEMORY_ACCESS outside the memory", async () => {
    await using guest = await open((text) => [
      say(enqueue(text("x"))),
      say(dequeue),
      say(register(`${outside} (i32.const 1)`)),
      say(`(call $proxy_register_shared_queue ${text("a")} ${outside})`),
      say(resolve(`${outside} (i32.const 1)`, text("a"))),
      say(resolve(text(""), `${outside} (i32.const 1)`)),
      say(`(call $proxy_resolve_shared_queue ${text("")} ${text("a")} ${outside})`),
      drop(register(text("a"))),
      say(`(call $proxy_enqueue_shared_queue ${token} ${outside} (i32.const 1))`),
      drop(enqueue(text("kept"))),
      say(`(call $proxy_dequeue_shared_queue ${token} ${outside} (i32.const 0))`),
      say(dequeue),
      tell,
    ]);
    assert.deepEqual(guest.services.lines, ["1", "1", "6", "6", "6", "6", "6", "6", "6", "0", "kept"]);
  });

  it("answer INTERNAL_FAILURE when they are full", async () => {
    const services = new TestServices();
    const own = services.queues.of({ name: "guest", vmId: "vm-1" });
    const { token: full } = own.register("full", nobody);
    for (let count = 0; count < 10_000; count++) own.enqueue(full, Buffer.from("x"));
    await using _ = await open((text) => [drop(register(text("full"))), say(enqueue(text("x")))], "", services);
    assert.deepEqual(services.lines, ["10"]);
  });

  it("tell the guest that registered of each item, once it has been left", async () => {
    await using guest = await open(
      (text) => [
        drop(register(text("orders"))),
        drop(register(text("orders"))),
        drop(enqueue(text("a"))),
        drop(enqueue(text("b"))),
        say("(i32.const 99)"),
      ],
      `${say("(local.get $id)")} ${say("(local.get $token)")} ${drop(`(call $proxy_dequeue_shared_queue (local.get $token) ${out})`)} ${tell}`,
    );
    await guest.services.logged("b");
    assert.deepEqual(guest.services.lines, ["99", "1", "1", "a", "1", "1", "b"]);
  });

  it("tell a guest of what came while it started, and nobody once it is closed", async () => {
    const services = new TestServices();
    const ready = `${drop(`(call $proxy_dequeue_shared_queue (local.get $token) ${out})`)} ${tell}`;
    const guest = await startText(
      (text) => ({
        on: {
          proxy_on_vm_start: `${drop(register(text("orders")))} ${drop(enqueue(text("early")))} (i32.const 1)`,
          proxy_on_queue_ready: ready,
        },
      }),
      { services },
    );
    await services.logged("early");
    await guest[Symbol.asyncDispose]();
    const other = services.queues.of({ name: "other", vmId: "vm-1" });
    const { token: orders } = other.register("orders", nobody);
    other.enqueue(orders, Buffer.from("late"));
    await new Promise((resolve) => setImmediate(resolve));
    assert.deepEqual(services.lines, ["early"]);
    assert.equal(Buffer.from(other.dequeue(orders) as Uint8Array).toString(), "late");
  });

  it("tell a guest that suspends in its turn", async () => {
    const services = new TestServices();
    await using guest = await startText(
      (text) => ({
        on: {
          proxy_on_vm_start: `${drop(register(text("orders")))} (i32.const 1)`,
          proxy_on_queue_ready: `${drop(`(call $proxy_dequeue_shared_queue (local.get $token) ${out})`)} ${tell}`,
        },
      }),
      { services, suspends: true },
    );
    const own = services.queues.of({ name: "guest", vmId: "vm-1" });
    own.enqueue(1, Buffer.from("a"));
    await services.logged("a");
    assert.deepEqual(guest.lost, []);
  });

  it("end the guest that traps when it is told, and nobody else", async () => {
    const services = new TestServices();
    await using guest = await open(
      (text) => [drop(register(text("orders"))), drop(enqueue(text("a")))],
      "(unreachable)",
      services,
    );
    while (guest.lost.length === 0) await new Promise((resolve) => setImmediate(resolve));
    assert.match(guest.lost[0]?.message ?? "", /trapped in proxy_on_queue_ready/);
  });
});
