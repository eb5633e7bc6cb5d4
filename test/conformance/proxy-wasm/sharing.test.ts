/** Root contexts of several programs in one VM: who is called, with what, and what is each one's own. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { HttpMessage } from "../../../runtime/plugin/outside-calls.ts";
import { encodePairs } from "../../../runtime/proxy-wasm/pairs.ts";
import { cell, drop, out, type PlaceText, say, tell } from "../../support/proxy-wasm-guest.ts";
import { TestServices, TestStream } from "../../support/proxy-wasm-host.ts";
import { openShared, type SharedGuest } from "../../support/shared-guests.ts";

const versions = ["proxy_abi_version_0_1_0", "proxy_abi_version_0_2_0", "proxy_abi_version_0_2_1"];
const property = (text: PlaceText, name: string): string =>
  `${drop(`(call $proxy_get_property ${text(name)} ${out})`)} ${tell}`;
const log = (text: string): string => drop(`(call $proxy_log (i32.const 2) ${text})`);
const answers = (value: number): string => `(i32.const ${value})`;

/** A module that counts its requests in a global, and says how many there were. */
const counting = {
  fields: "(global $requests (mut i32) (i32.const 0))",
  count: `(global.set $requests (i32.add (global.get $requests) (i32.const 1))) ${say("(global.get $requests)")}`,
};

const request = ({ instance }: SharedGuest): TestStream => {
  const stream = new TestStream();
  const filter = instance.open(stream);
  filter.requestHeaders(true);
  filter.end();
  return stream;
};

describe("a second root context", () => {
  for (const marker of versions) {
    it(`is made, started and configured as the first was, in a guest that runs (${marker.slice(-5)})`, async () => {
      await using guests = await openShared((text) => ({
        marker,
        on: {
          _initialize: log(text("_initialize")),
          proxy_on_context_create: `${log(text("context"))} ${say("(local.get $id)")} ${say("(local.get $parent)")}
            ${property(text, "plugin_root_id")} ${property(text, "plugin_name")}`,
          proxy_on_vm_start: `${log(text("vm_start"))} ${say("(local.get $id)")} ${say("(local.get $size)")} ${answers(1)}`,
          proxy_on_configure: `${log(text("configure"))} ${say("(local.get $id)")}
            ${drop(`(call $proxy_get_buffer_bytes (i32.const 7) (i32.const 0) (local.get $size) ${out})`)} ${tell} ${answers(1)}`,
          proxy_on_request_headers: answers(0),
        },
      }));
      const options = { vmConfiguration: "vm" };
      const first = await guests.start("first", { ...options, rootId: "one", configuration: "of-first" });
      assert.deepEqual(
        first.services.lines.splice(0),
        "_initialize context 1 0 one first vm_start 1 2 configure 1 of-first".split(" "),
      );
      const second = await guests.start("second", { ...options, rootId: "two", configuration: "of-second" });
      // Started for the first time it was tried in a VM of its own, which is kept for its spare.
      assert.deepEqual(
        second.services.lines.splice(0),
        "_initialize context 1 0 two second vm_start 1 2 configure 1 of-second context 2 0 two second vm_start 2 2 configure 2 of-second".split(
          " ",
        ),
      );
      request(first);
      request(second);
      assert.deepEqual(first.services.lines, "context 3 1 one first".split(" "));
      assert.deepEqual(second.services.lines, "context 4 2 two second".split(" "));
    });
  }

  it("shares the guest's memory with the first", async () => {
    await using guests = await openShared(() => ({
      fields: counting.fields,
      on: { proxy_on_request_headers: `${counting.count} ${answers(0)}` },
    }));
    const [first, second] = [await guests.start("first"), await guests.start("second")];
    request(first);
    request(second);
    request(first);
    assert.deepEqual(first.services.lines, ["1", "3"]);
    assert.deepEqual(second.services.lines, ["2"]);
    assert.equal(first.instance.memory, second.instance.memory);
  });

  it("counts calls and fuel for itself", async () => {
    await using guests = await openShared(() => ({
      fields: counting.fields,
      on: { proxy_on_request_headers: `${counting.count} ${answers(0)}` },
    }));
    const [first, second] = [await guests.start("first"), await guests.start("second")];
    const before = { ...first.instance.counters };
    request(second);
    assert.deepEqual(first.instance.counters, before);
    assert.equal(second.instance.counters.calls, 1);
    assert.ok(second.instance.counters.fuel > 0);
  });

  it("has its metrics, its shared data and what it declares of properties for itself", async () => {
    await using guests = await openShared((text) => ({
      on: {
        proxy_on_request_headers: `${drop(`(call $proxy_define_metric (i32.const 0) ${text("seen")} ${cell})`)}
          ${drop(`(call $proxy_increment_metric (i32.load ${cell}) (i64.const 1))`)}
          ${say(`(call $proxy_get_shared_data ${text("key")} ${out} ${cell})`)}
          ${say(`(call $proxy_call_foreign_function ${text("declare_property")} ${text("\x0a\x01a\x10\x01")} (i32.const 0) (i32.const 0))`)}
          ${answers(0)}`,
      },
    }));
    const [first, second] = [await guests.start("first"), await guests.start("second")];
    first.services.sharedData.set("key", Buffer.from("value"), 0);
    request(second);
    request(first);
    assert.deepEqual(second.services.lines, ["1", "0"]);
    assert.deepEqual(first.services.lines, ["0", "0"]);
    for (const { services } of [first, second])
      assert.deepEqual(
        services.series.map(({ name, value }) => [name, value]),
        [["seen", 1]],
      );
  });

  it("can be made the effective one from the other's callback, and from its stream's", async () => {
    await using guests = await openShared((text) => ({
      on: {
        proxy_on_request_headers: `${say("(call $proxy_set_effective_context (i32.const 1))")}
          ${property(text, "plugin_name")}
          ${say("(call $proxy_set_effective_context (i32.const 2))")} ${property(text, "plugin_name")}
          ${say("(call $proxy_set_effective_context (i32.const 9))")}
          ${say("(call $proxy_set_effective_context (local.get $id))")} ${property(text, "plugin_name")} ${answers(0)}`,
      },
    }));
    const [first, second] = [await guests.start("first"), await guests.start("second")];
    request(second);
    assert.deepEqual(first.services.lines, ["0", "first"]);
    assert.deepEqual(second.services.lines, ["0", "second", "2", "0", "second"]);
    const { calls } = first.instance.counters;
    assert.equal(calls, 0);
  });
});

describe("what a root context waits for", () => {
  it("ticks at its own period", async () => {
    await using guests = await openShared(() => ({
      on: {
        proxy_on_configure: `${drop("(call $proxy_set_tick_period_milliseconds (i32.mul (local.get $size) (i32.const 10)))")} ${answers(1)}`,
        proxy_on_tick: say("(local.get $id)"),
      },
    }));
    const first = await guests.start("first", { configuration: "" });
    const second = await guests.start("second", { configuration: "x" });
    await second.services.logged("2");
    assert.deepEqual(first.services.lines, []);
  });

  it("is answered at the root context that called, whatever the order", async () => {
    const headers = Buffer.from(
      encodePairs([
        [":method", "GET"],
        [":path", "/"],
        [":authority", "auth"],
      ]),
    ).toString("latin1");
    const none = "(i32.const 0) (i32.const 0)";
    await using guests = await openShared((text) => ({
      on: {
        proxy_on_request_headers: `${say(`(call $proxy_http_call ${text("auth")} ${text(headers)} ${none} ${none} (i32.const 0) ${cell})`)}
          ${say(`(i32.load ${cell})`)} ${answers(1)}`,
        proxy_on_http_call_response: `${say("(local.get $id)")} ${say("(local.get $token)")}
          ${drop(`(call $proxy_get_buffer_bytes (i32.const 4) (i32.const 0) (local.get $size) ${out})`)} ${tell}`,
      },
    }));
    const gates = [Promise.withResolvers<HttpMessage>(), Promise.withResolvers<HttpMessage>()] as const;
    const servicesOf = (gate: PromiseWithResolvers<HttpMessage>): TestServices => {
      const services = new TestServices();
      services.upstreams.set("auth", () => gate.promise);
      return services;
    };
    const first = await guests.start("first", { services: servicesOf(gates[0]) });
    const second = await guests.start("second", { services: servicesOf(gates[1]) });
    for (const { instance } of [first, second]) instance.open(new TestStream()).requestHeaders(true);
    const [tokenOfFirst, tokenOfSecond] = [first.services.lines[1], second.services.lines[1]];
    assert.notEqual(tokenOfFirst, tokenOfSecond);
    gates[1].resolve({ headers: [], body: Buffer.from("for the second"), trailers: [] });
    await second.services.logged("for the second");
    gates[0].resolve({ headers: [], body: Buffer.from("for the first"), trailers: [] });
    await first.services.logged("for the first");
    assert.deepEqual(second.services.lines, ["0", tokenOfSecond, "2", tokenOfSecond, "for the second"]);
    assert.deepEqual(first.services.lines, ["0", tokenOfFirst, "1", tokenOfFirst, "for the first"]);
  });

  it("comes to an end with it, and not with another", async () => {
    await using guests = await openShared(() => ({
      on: {
        proxy_on_configure: `${drop("(call $proxy_set_tick_period_milliseconds (i32.const 10))")} ${answers(1)}`,
        proxy_on_tick: say("(local.get $id)"),
      },
    }));
    const [first, second] = [await guests.start("first"), await guests.start("second")];
    await first.instance.drain();
    const said = first.services.lines.length;
    second.services.lines.length = 0;
    await second.services.logged("2");
    second.services.lines.length = 0;
    await second.services.logged("2");
    assert.equal(first.services.lines.length, said);
  });

  it("is told of items in the queues that it registered", async () => {
    await using guests = await openShared((text) => ({
      on: {
        proxy_on_configure: `${drop(`(call $proxy_register_shared_queue ${text("jobs")} ${cell})`)} ${answers(1)}`,
        proxy_on_queue_ready: say("(local.get $id)"),
        proxy_on_request_headers: `${drop(`(call $proxy_enqueue_shared_queue (i32.load ${cell}) ${text("job")})`)} ${answers(0)}`,
      },
    }));
    const [first, second] = [await guests.start("first"), await guests.start("second")];
    request(second);
    await second.services.logged("2");
    request(first);
    await first.services.logged("1");
    assert.deepEqual([first.services.lines, second.services.lines], [["1"], ["2"]]);
  });
});

describe("a VM that is shared", () => {
  it("has no two root contexts of one program: a spare stands elsewhere, with the spares of others", async () => {
    await using guests = await openShared(() => ({
      fields: counting.fields,
      on: { proxy_on_request_headers: `${counting.count} ${answers(0)}` },
    }));
    const [first, second] = [await guests.start("first"), await guests.start("second")];
    const [spareOfFirst, spareOfSecond] = [await first.again(), await second.again()];
    const third = await guests.start("third");
    assert.equal(new Set([first, second, third].map(({ instance }) => instance.memory)).size, 1);
    assert.equal(new Set([spareOfFirst, spareOfSecond].map(({ instance }) => instance.memory)).size, 1);
    assert.notEqual(first.instance.memory, spareOfFirst.instance.memory);
  });

  it("is one when programs are started together", async () => {
    await using guests = await openShared(() => ({ on: {} }));
    const started = await Promise.all(["first", "second", "third"].map((name) => guests.start(name)));
    assert.equal(new Set(started.map(({ instance }) => instance.memory)).size, 1);
  });

  for (const [how, vmKey] of [
    ["share a VM", "key"],
    ["have VMs of their own", undefined],
  ] as const)
    it(`lets the event loop turn between starts of those that ${how}`, async () => {
      await using guests = await openShared(() => ({
        on: { proxy_on_configure: `${say("(local.get $id)")} ${answers(1)}` },
      }));
      const services = new TestServices();
      const perTurn: number[] = [];
      const names = Array.from({ length: 8 }, (_, index) => `guest-${index}`);
      let isOver = false;
      const turning = (async () => {
        while (!isOver) {
          perTurn.push(services.lines.splice(0).length);
          await new Promise((resolve) => setImmediate(resolve));
        }
      })();
      await Promise.all(names.map((name) => guests.start(name, { vmKey, services })));
      isOver = true;
      await turning;
      assert.equal(Math.max(...perTurn), 1, `configured in each turn: ${perTurn.join(" ")}`);
      assert.ok(perTurn.filter((count) => count === 1).length >= 7);
    });

  it("is one for programs of the same key only, and never for those that suspend", async () => {
    await using guests = await openShared(() => ({ on: {} }));
    const started = [
      await guests.start("first"),
      await guests.start("other", { vmKey: "other" }),
      await guests.start("own", { vmKey: undefined }),
      await guests.start("own", { vmKey: undefined }),
      await guests.start("waits", { suspends: true }),
      await guests.start("waits too", { suspends: true }),
    ];
    assert.equal(new Set(started.map(({ instance }) => instance.memory)).size, started.length);
  });

  it("goes with its last root context, which are finished one by one", async () => {
    await using guests = await openShared(() => ({
      on: {
        proxy_on_request_headers: answers(0),
        proxy_on_done: `${say("(local.get $id)")} ${answers(1)}`,
        proxy_on_delete: say("(i32.add (i32.const 100) (local.get $id))"),
      },
    }));
    const [first, second] = [await guests.start("first"), await guests.start("second")];
    const stream = second.instance.open(new TestStream());
    stream.requestHeaders(false);
    await first.instance.drain();
    assert.deepEqual(first.services.lines, ["1", "101"]);
    assert.throws(() => first.instance.open(new TestStream()), { fault: "closed", message: /'first' .* finished/ });
    assert.equal(stream.requestBody(true), "continue");
    stream.end();
    assert.deepEqual(second.services.lines, ["3", "103"]);
    const third = await guests.start("third");
    assert.equal(third.instance.memory, second.instance.memory);
    await third.instance.drain();
    await second.instance.drain();
    const fourth = await guests.start("fourth");
    assert.notEqual(fourth.instance.memory, second.instance.memory);
  });

  it("waits for each root context's proxy_done", async () => {
    await using guests = await openShared(() => ({
      on: {
        proxy_on_request_headers: `${drop("(call $proxy_set_effective_context (i32.const 2))")} ${say("(call $proxy_done)")}
          ${drop("(call $proxy_set_effective_context (i32.const 1))")} ${say("(call $proxy_done)")} ${answers(0)}`,
        proxy_on_done: "(i32.ne (local.get $id) (i32.const 2))",
        proxy_on_delete: say("(local.get $id)"),
      },
    }));
    const [first, second] = [await guests.start("first"), await guests.start("second")];
    const draining = second.instance.drain();
    await new Promise(setImmediate);
    assert.deepEqual(second.services.lines, []);
    first.instance.open(new TestStream()).requestHeaders(true);
    await draining;
    assert.deepEqual(second.services.lines, ["0", "2"]);
    assert.deepEqual(first.services.lines, ["1"]);
  });

  it("forgets the streams of a root context that is shut down, which fail", async () => {
    await using guests = await openShared(() => ({
      on: {
        proxy_on_request_headers: answers(1),
        proxy_on_done: `${say("(local.get $id)")} ${answers(0)}`,
        proxy_on_log: say("(i32.add (i32.const 200) (local.get $id))"),
        proxy_on_delete: say("(i32.add (i32.const 100) (local.get $id))"),
      },
    }));
    const [first, second] = [await guests.start("first"), await guests.start("second")];
    const [ofFirst, ofSecond] = [new TestStream(), new TestStream()];
    first.instance.open(ofFirst).requestHeaders(true);
    second.instance.open(ofSecond).requestHeaders(true);
    await second.instance[Symbol.asyncDispose]();
    assert.deepEqual(ofSecond.events, ["failed closed"]);
    assert.deepEqual(second.services.lines, ["4", "204", "104", "2", "102"]);
    assert.deepEqual([ofFirst.events, first.services.lines], [[], []]);
    assert.deepEqual([first.instance.streams, second.instance.streams], [1, 0]);
  });
});

describe("a program that cannot start in a VM that is shared", () => {
  /** Refuses, traps or loops as the configuration says. */
  const choosy = {
    on: {
      proxy_on_configure: `
        (if (i32.eq (local.get $size) (i32.const 6)) (then (return (i32.const 0))))
        (if (i32.eq (local.get $size) (i32.const 4)) (then (unreachable)))
        (if (i32.eq (local.get $size) (i32.const 5)) (then (loop $for_ever (br $for_ever))))
        ${answers(1)}`,
      proxy_on_request_headers: answers(1),
    },
  };

  for (const [what, configuration, fault] of [
    ["refuses its configuration", "refuse", "configuration"],
    ["traps", "trap", "trap"],
    ["runs for ever", "loops", "fuel"],
  ] as const) {
    it(`because it ${what} is found out where it harms nobody`, async () => {
      await using guests = await openShared(() => choosy);
      const first = await guests.start("first", { configuration: "", fuelPerCall: 10_000 });
      const stream = new TestStream();
      first.instance.open(stream).requestHeaders(true);
      for (let times = 0; times < 2; times++)
        await assert.rejects(guests.start("second", { configuration, fuelPerCall: 10_000 }), {
          fault,
          plugin: "second",
        });
      assert.deepEqual([first.lost, stream.events], [[], []]);
      const third = await guests.start("third", { configuration: "", fuelPerCall: 10_000 });
      assert.equal(third.instance.memory, first.instance.memory);
    });
  }

  /** Lets a first start pass, and does that at each later start in the same VM. */
  const grudging = (later: string) => ({
    fields: "(global $isUsed (mut i32) (i32.const 0))",
    on: {
      proxy_on_configure: `(if (global.get $isUsed) (then ${later})) ${answers(1)}`,
      proxy_on_request_headers: `(global.set $isUsed (i32.const 1)) ${answers(1)}`,
      proxy_on_delete: say("(local.get $id)"),
    },
  });

  it("and refuses there is deleted, and the others go on", async () => {
    await using guests = await openShared(() => grudging("(return (i32.const 0))"));
    const first = await guests.start("first");
    const stream = new TestStream();
    const filter = first.instance.open(stream);
    filter.requestHeaders(false);
    const services = new TestServices();
    await assert.rejects(guests.start("second", { services }), { fault: "configuration", plugin: "second" });
    assert.deepEqual(services.lines.slice(0, 1), ["3"]);
    filter.end();
    assert.deepEqual([first.lost, stream.events, first.services.lines], [[], [], ["2"]]);
  });

  it("and traps there brings it down for all, who are told by whom", async () => {
    await using guests = await openShared(() => grudging("(unreachable)"));
    const first = await guests.start("first");
    const stream = new TestStream();
    first.instance.open(stream).requestHeaders(false);
    await assert.rejects(guests.start("second"), { fault: "trap", plugin: "second" });
    assert.deepEqual(stream.events, ["failed shared"]);
    assert.equal(first.lost.length, 1);
    assert.match(
      first.lost[0]?.message ?? "",
      /^plugin 'first' 1\.0\.0 lost its VM, which it shares: plugin 'second' 1\.0\.0 trapped in proxy_on_configure/,
    );
    const third = await first.again();
    assert.notEqual(third.instance.memory, first.instance.memory);
  });

  it("starts by itself when it can only do so without others", async () => {
    await using guests = await openShared(() => ({
      fields: "(global $roots (mut i32) (i32.const 0))",
      on: {
        proxy_on_context_create: "(global.set $roots (i32.add (global.get $roots) (i32.const 1)))",
        proxy_on_configure: `
          (if (i32.and (i32.eq (local.get $size) (i32.const 5)) (i32.gt_u (global.get $roots) (i32.const 1))) (then (unreachable)))
          ${answers(1)}`,
      },
    }));
    const first = await guests.start("first", { configuration: "" });
    const spare = await first.again();
    const alone = await guests.start("alone");
    assert.deepEqual(
      spare.lost.map(({ fault }) => fault),
      ["shared"],
    );
    const spareOfAlone = await alone.again();
    const all = [first, await first.again(), alone, spareOfAlone];
    assert.equal(new Set(all.map(({ instance }) => instance.memory)).size, 4);
    assert.deepEqual([first.lost, alone.lost], [[], []]);
  });
});

describe("a crash in a VM that is shared", () => {
  const crashing = {
    on: {
      proxy_on_request_headers: answers(1),
      proxy_on_request_body: "(unreachable)",
      proxy_on_done: `${say("(local.get $id)")} ${answers(1)}`,
    },
  };

  it("ends the streams of all, and tells each why in its own name", async () => {
    await using guests = await openShared(() => crashing);
    const [first, second] = [await guests.start("first"), await guests.start("second")];
    const spare = await first.again();
    const [ofFirst, ofSecond] = [new TestStream(), new TestStream()];
    const filter = first.instance.open(ofFirst);
    filter.requestHeaders(false);
    second.instance.open(ofSecond).requestHeaders(true);
    assert.equal(filter.requestBody(true), "pause");
    assert.deepEqual([ofFirst.events, ofSecond.events], [["failed trap"], ["failed shared"]]);
    assert.deepEqual(
      [first, second, spare].map(({ lost }) => lost.map(({ plugin, fault }) => `${plugin} ${fault}`)),
      [["first trap"], ["second shared"], []],
    );
    assert.match(
      ofSecond.error?.message ?? "",
      /'second' .* shares: plugin 'first' .* trapped in proxy_on_request_body/,
    );
    assert.throws(() => second.instance.open(new TestStream()), { plugin: "second", fault: "shared" });
    const [again, beside] = [await second.again(), await guests.start("third")];
    assert.equal(again.instance.memory, spare.instance.memory);
    assert.equal(beside.instance.memory, spare.instance.memory);
  });

  it("lets nothing pass the stream of another that is called before it was told", async () => {
    await using guests = await openShared(() => crashing);
    const [first, second] = [await guests.start("first"), await guests.start("second")];
    const ofSecond = new TestStream();
    const behind = second.instance.open(ofSecond);
    behind.requestHeaders(false);
    let passed: string | undefined;
    class Chained extends TestStream {
      override failed(): void {
        passed = behind.requestBody(true);
      }
    }
    const filter = first.instance.open(new Chained());
    filter.requestHeaders(false);
    filter.requestBody(true);
    assert.equal(passed, "pause");
    assert.deepEqual(ofSecond.events, ["failed shared"]);
    assert.equal(behind.requestTrailers(), "continue");
  });

  it("is the last of its kind when one has caused three: it gets a VM to itself", async () => {
    await using guests = await openShared(() => crashing);
    let [first, second] = [await guests.start("first"), await guests.start("second")];
    for (let crashes = 1; crashes <= 3; crashes++) {
      assert.equal(first.instance.memory, second.instance.memory);
      const filter = second.instance.open(new TestStream());
      filter.requestHeaders(false);
      filter.requestBody(true);
      assert.deepEqual([first.lost.length, second.lost.length], [1, 1]);
      [first, second] = [await first.again(), await second.again()];
    }
    assert.notEqual(first.instance.memory, second.instance.memory);
    const third = await guests.start("third");
    assert.equal(first.instance.memory, third.instance.memory);
  });

  it("while a root context is shut down ends the others, and is told to them alone", async () => {
    await using guests = await openShared(() => ({ on: { proxy_on_delete: "(unreachable)" } }));
    const [first, second] = [await guests.start("first"), await guests.start("second")];
    await second.instance[Symbol.asyncDispose]();
    assert.deepEqual(
      first.lost.map(({ fault }) => fault),
      ["shared"],
    );
    assert.deepEqual(second.lost, []);
  });

  it("of one that has finished already leaves nothing of it to end", async () => {
    await using guests = await openShared(() => crashing);
    const [first, second] = [await guests.start("first"), await guests.start("second")];
    await second.instance.drain();
    const filter = first.instance.open(new TestStream());
    filter.requestHeaders(false);
    filter.requestBody(true);
    assert.equal(first.lost.length, 1);
    assert.deepEqual(second.lost, []);
  });
});
