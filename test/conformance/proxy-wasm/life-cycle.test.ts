import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { PluginError } from "../../../runtime/plugin/plugin-error.ts";
import { SandboxCompiler } from "../../../runtime/plugin/sandbox/compiler.ts";
import { proxyWasmEngine } from "../../../runtime/proxy-wasm/engine.ts";
import { drop, out, say, tell } from "../../support/proxy-wasm-guest.ts";
import { startGuest, startText, TestStream } from "../../support/proxy-wasm-host.ts";
import { assemble } from "../../support/wat.ts";

const log = (text: string): string => drop(`(call $proxy_log (i32.const 2) ${text})`);
async function detect(fields: string): Promise<string | undefined> {
  await using compiler = new SandboxCompiler();
  const limits = { memoryBytes: 65_536, tableEntries: 1, startFuel: 1_000 };
  return proxyWasmEngine().detect(await compiler.compile(await assemble("guest", `(module ${fields})`), limits));
}

/** The error that a module ends its start with. */
async function refusal(starting: Promise<AsyncDisposable>): Promise<PluginError> {
  try {
    await using _guest = await starting;
  } catch (error) {
    if (error instanceof PluginError) return error;
    throw error;
  }
  return assert.fail("the guest started");
}

describe("the version of the ABI", () => {
  it("is told by the first marker that this host speaks", async () => {
    assert.equal(await detect(`(func (export "proxy_abi_version_0_2_0"))`), "proxy-wasm 0.2.0");
    assert.equal(await detect(`(func (export "proxy_abi_version_0_2_1"))`), "proxy-wasm 0.2.1");
    assert.equal(await detect(`(func (export "proxy_abi_version_0_1_0"))`), "proxy-wasm 0.1.0");
    assert.equal(
      await detect(`(func (export "proxy_abi_version_0_1_0")) (func (export "proxy_abi_version_0_2_0"))`),
      "proxy-wasm 0.1.0",
    );
    assert.equal(
      await detect(`(func (export "proxy_abi_version_0_9_0")) (func (export "proxy_abi_version_0_2_1"))`),
      "proxy-wasm 0.2.1",
    );
    assert.equal(await detect(`(memory (export "proxy_abi_version_0_2_1") 1)`), undefined);
    assert.equal(await detect(`(func (export "proxy_on_request_headers"))`), undefined);
  });

  it("of another world is refused by name", async () => {
    const error = await refusal(startText(() => ({ marker: "proxy_abi_version_0_9_0", on: {} })));
    assert.equal(error.fault, "refused");
    assert.equal(
      error.message,
      "plugin 'guest' 1.0.0 speaks Proxy-Wasm 0.9.0 only; this host speaks 0.1.0, 0.2.0, 0.2.1",
    );
  });

  it("0.2.0 runs", async () => {
    await using guest = await startText(() => ({
      marker: "proxy_abi_version_0_2_0",
      on: { proxy_on_request_headers: "(i32.const 1)" },
    }));
    assert.equal(guest.instance.open(new TestStream()).requestHeaders(true), "pause");
  });
});

describe("a module that cannot run", () => {
  it("is refused with all that it imports in vain", async () => {
    const error = await refusal(
      startText(() => ({
        imports: `(import "env" "proxy_redis_call" (func)) (import "wasi_snapshot_preview1" "fd_mystery" (func))
          (import "other" "thing" (func)) (import "env" "answer" (global i32))`,
        on: {},
      })),
    );
    assert.equal(error.fault, "refused");
    assert.match(
      error.message,
      /imports what this host does not have: env\.proxy_redis_call, wasi_snapshot_preview1\.fd_mystery, other\.thing, env\.answer$/,
    );
  });

  it("is told how functions that only may be called can be stubs", async () => {
    const imports = `(import "env" "proxy_redis_call" (func $redis (param i32) (result i32)))`;
    const error = await refusal(startText(() => ({ imports, on: {} })));
    assert.match(error.message, /env\.proxy_redis_call; 'unknownImports: stub' in its manifest lets them answer/);
    await using guest = await startText(
      () => ({
        imports,
        on: {
          proxy_on_vm_start: `${say("(call $redis (i32.const 1))")} ${say("(call $redis (i32.const 2))")} (i32.const 1)`,
        },
      }),
      { stubsUnknownImports: true },
    );
    const told = "warn: this host has no function env.proxy_redis_call; it answers UNIMPLEMENTED";
    assert.deepEqual(guest.services.lines, [told, "12", "12"]);
  });

  it("is not helped by stubs when it imports what is no function of env", async () => {
    const imports = `(import "other" "thing" (func)) (import "env" "answer" (global i32))`;
    const error = await refusal(startText(() => ({ imports, on: {} }), { stubsUnknownImports: true }));
    assert.match(error.message, /does not have: other\.thing, env\.answer$/);
  });

  it("is refused without a memory or an allocator", async () => {
    const marker = `(func (export "proxy_abi_version_0_2_1"))`;
    const noMemory = await refusal(startGuest(await assemble("guest", `(module ${marker})`)));
    assert.match(noMemory.message, /exports no memory/);
    const noAllocator = await refusal(
      startGuest(await assemble("guest", `(module ${marker} (memory (export "memory") 1))`)),
    );
    assert.match(noAllocator.message, /exports no allocator/);
    assert.equal(noAllocator.fault, "refused");
  });
});

describe("starting", () => {
  it("calls _initialize and main, makes the root context, starts and configures", async () => {
    await using guest = await startText(
      (text) => ({
        on: {
          _initialize: log(text("_initialize")),
          main: `${log(text("main"))} (i32.const 0)`,
          __main_void: "unreachable",
          _start: "unreachable",
          proxy_on_context_create: `${log(text("context"))} ${say("(local.get $id)")} ${say("(local.get $parent)")}
            ${drop(`(call $proxy_get_property ${text("plugin_root_id")} ${out})`)} ${tell}`,
          proxy_on_vm_start: `${log(text("vm_start"))} ${say("(local.get $id)")} ${say("(local.get $size)")}
            ${drop(`(call $proxy_get_buffer_bytes (i32.const 6) (i32.const 0) (local.get $size) ${out})`)} ${tell} (i32.const 1)`,
          proxy_on_configure: `${log(text("configure"))} ${say("(local.get $size)")}
            ${drop(`(call $proxy_get_buffer_bytes (i32.const 7) (i32.const 0) (local.get $size) ${out})`)} ${tell} (i32.const 1)`,
        },
      }),
      { configuration: '{"rate":5}', vmConfiguration: "of-the-vm", rootId: "limits" },
    );
    assert.deepEqual(guest.services.lines, [
      ..."_initialize main context 1 0 limits vm_start 1 9 of-the-vm configure 10".split(" "),
      '{"rate":5}',
    ]);
  });

  it("calls __main_void when there is no main, and _start when there is no _initialize", async () => {
    await using reactor = await startText((text) => ({
      on: { _initialize: log(text("_initialize")), __main_void: `${log(text("main"))} (i32.const 0)` },
    }));
    assert.deepEqual(reactor.services.lines, ["_initialize", "main"]);
    await using command = await startText((text) => ({ on: { main: "unreachable", _start: log(text("_start")) } }));
    assert.deepEqual(command.services.lines, ["_start"]);
  });

  it("ends when the guest refuses its configuration, with what it logged", async () => {
    for (const name of ["proxy_on_vm_start", "proxy_on_configure"]) {
      const error = await refusal(
        startText((text) => ({
          on: { [name]: `${drop(`(call $proxy_log (i32.const 4) ${text("no rate")})`)} (i32.const 0)` },
        })),
      );
      assert.equal(error.fault, "configuration");
      assert.equal(
        error.message,
        `plugin 'guest' 1.0.0 refused its configuration (${name} answered false); it logged: no rate`,
      );
    }
  });

  it("ends when the guest traps or runs out of its larger budget", async () => {
    assert.equal((await refusal(startText(() => ({ on: { _initialize: "unreachable" } })))).fault, "trap");
    const slow = (rounds: number) => `(local $left i32) (local.set $left (i32.const ${rounds}))
      (loop $on (br_if $on (local.tee $left (i32.sub (local.get $left) (i32.const 1))))) (i32.const 1)`;
    await using _started = await startText(() => ({ on: { proxy_on_configure: slow(100_000) } }), {
      fuelPerCall: 100_000,
    });
    const error = await refusal(
      startText(() => ({ on: { proxy_on_configure: slow(10_000_000) } }), { fuelPerCall: 100_000 }),
    );
    assert.equal(error.fault, "fuel");
    assert.match(error.message, /used up its 2000000 units of fuel in proxy_on_configure/);
  });

  it("ends when the start function traps, loops, or calls the host", async () => {
    const start = (body: string) =>
      refusal(startText(() => ({ fields: `(func $main ${body}) (start $main)`, on: {} })));
    assert.match((await start("unreachable")).message, /trapped in its start function/);
    assert.match((await start("(loop $on (br $on))")).message, /used up its 1000000 units of fuel/);
    assert.match((await start("(call $say (i32.const 1))")).message, /called the host from its start function/);
  });

  it("allows only harmless hostcalls before the root context exists", async () => {
    const error = await refusal(
      startText(() => ({
        on: { _initialize: drop("(call $proxy_set_tick_period_milliseconds (i32.const 1000))") },
      })),
    );
    assert.equal(error.fault, "trap");
    assert.match(error.message, /stopped in _initialize: it called the host while it started/);
  });
});

describe("a stream", () => {
  const everything = (text: (text: string) => string) => {
    const callbacks = ["done", "log", "delete"].map((name) => [
      `proxy_on_${name}`,
      `${log(text(name))} ${say("(local.get $id)")} ${name === "done" ? "(i32.const 1)" : ""}`,
    ]);
    return {
      on: {
        proxy_on_context_create: `${log(text("create"))} ${say("(local.get $id)")} ${say("(local.get $parent)")}`,
        proxy_on_request_headers: `${log(text("headers"))} ${say("(local.get $id)")} ${say("(local.get $count)")} ${say("(local.get $end)")} (i32.const 0)`,
        ...Object.fromEntries(callbacks),
      },
    };
  };

  it("is created at its first headers, and done, logged and deleted at its end", async () => {
    await using guest = await startText(everything);
    guest.services.lines.length = 0;
    const filter = guest.instance.open(new TestStream());
    assert.equal(guest.instance.streams, 1);
    assert.deepEqual(guest.services.lines, []);
    filter.requestHeaders(true);
    filter.responseHeaders(true);
    filter.end();
    filter.end();
    assert.equal(guest.instance.streams, 0);
    assert.deepEqual(guest.services.lines, "create 2 1 headers 2 1 1 done 2 log 2 delete 2".split(" "));
  });

  it("that ends before it began is not told to the guest", async () => {
    await using guest = await startText(everything);
    guest.services.lines.length = 0;
    guest.instance.open(new TestStream()).end();
    assert.deepEqual(guest.services.lines, []);
  });

  it("that is not done is logged and deleted after proxy_done", async () => {
    await using guest = await startText((text) => ({
      on: {
        proxy_on_request_headers: "(i32.const 0)",
        proxy_on_request_body: `
          ${say("(call $proxy_set_effective_context (i32.const 2))")} ${say("(call $proxy_done)")}
          ${say("(call $proxy_done)")} (i32.const 0)`,
        proxy_on_done: "(i32.const 0)",
        proxy_on_log: `${log(text("log"))} ${say("(local.get $id)")}`,
        proxy_on_delete: `${log(text("delete"))} ${say("(local.get $id)")}`,
      },
    }));
    const first = guest.instance.open(new TestStream());
    const second = guest.instance.open(new TestStream());
    first.requestHeaders(true);
    second.requestHeaders(false);
    first.end();
    assert.equal(guest.instance.streams, 1);
    assert.deepEqual(guest.services.lines, []);
    second.requestBody(true);
    assert.deepEqual(guest.services.lines, "0 0 1 log 2 delete 2".split(" "));
  });

  it("has attributes and maps while it is logged", async () => {
    await using guest = await startText((text) => ({
      on: {
        proxy_on_log: `${say(`(call $proxy_get_header_map_value (i32.const 0) ${text("x-a")} ${out})`)} ${tell}
          ${say(`(call $proxy_send_local_response (i32.const 500) (i32.const 0) (i32.const 0) (i32.const 0)
            (i32.const 0) (i32.const 0) (i32.const 0) (i32.const -1))`)}`,
      },
    }));
    const stream = new TestStream([["x-a", "seen"]]);
    const filter = guest.instance.open(stream);
    filter.requestHeaders(true);
    filter.end();
    assert.deepEqual(guest.services.lines, ["0", "seen", "0"]);
    assert.deepEqual(stream.events, [], "a reply while logging comes too late");
  });
});

describe("draining", () => {
  it("waits for the last stream, then lets the root context finish", async () => {
    await using guest = await startText((text) => ({
      on: {
        proxy_on_done: `${log(text("done"))} ${say("(local.get $id)")} (i32.const 1)`,
        proxy_on_delete: `${log(text("delete"))} ${say("(local.get $id)")}`,
      },
    }));
    const filter = guest.instance.open(new TestStream());
    filter.requestHeaders(true);
    const drained = guest.instance.drain();
    assert.throws(() => guest.instance.open(new TestStream()), { fault: "closed" });
    assert.deepEqual(guest.services.lines, []);
    filter.end();
    await drained;
    assert.deepEqual(guest.services.lines, "done 2 delete 2 done 1 delete 1".split(" "));
    assert.deepEqual(guest.lost, []);
  });

  it("waits for proxy_done of a root context that is not", async () => {
    await using guest = await startText((text) => ({
      on: {
        proxy_on_vm_start: `${drop("(call $proxy_set_tick_period_milliseconds (i32.const 1))")} (i32.const 1)`,
        proxy_on_tick: `(if (i32.eqz (call $proxy_done)) (then ${log(text("ticked"))}))`,
        proxy_on_done: "(i32.const 0)",
        proxy_on_delete: log(text("deleted")),
      },
    }));
    await guest.instance.drain();
    assert.deepEqual(guest.services.lines, ["ticked", "deleted"]);
  });

  it("ends when the guest dies on it, and tells that it was lost", async () => {
    await using guest = await startText(() => ({ on: { proxy_on_done: "unreachable" } }));
    await guest.instance.drain();
    assert.deepEqual(
      guest.lost.map(({ fault }) => fault),
      ["trap"],
    );
  });
});

describe("disposing", () => {
  it("fails the streams that are left, and leaves filters harmless", async () => {
    const guest = await startText(() => ({ on: { proxy_on_request_headers: "(i32.const 1)" } }));
    const stream = new TestStream();
    const filter = guest.instance.open(stream);
    filter.requestHeaders(false);
    await guest[Symbol.asyncDispose]();
    await guest[Symbol.asyncDispose]();
    assert.deepEqual(stream.events, ["failed closed"]);
    assert.equal(filter.requestBody(true), "continue");
    filter.end();
    assert.throws(() => guest.instance.open(new TestStream()), { fault: "closed" });
    assert.equal(guest.instance.streams, 0);
    assert.deepEqual(guest.lost, []);
  });
});

describe("counters", () => {
  it("count calls and the fuel they used", async () => {
    await using guest = await startText(() => ({
      on: { proxy_on_request_headers: `${say("(local.get $id)")} (i32.const 0)` },
    }));
    const { calls, fuel } = guest.instance.counters;
    guest.instance.open(new TestStream()).requestHeaders(true);
    assert.equal(guest.instance.counters.calls, calls + 1);
    assert.ok(guest.instance.counters.fuel > fuel);
  });

  it("tell the largest share of its fuel that a callback used, the start aside", async () => {
    await using guest = await startText(
      () => ({
        on: {
          proxy_on_configure: "(memory.fill (i32.const 0) (i32.const 0) (i32.const 65536)) (i32.const 1)",
          proxy_on_request_headers: "(loop $on (br $on)) (i32.const 0)",
          proxy_on_response_headers: `(memory.fill (i32.const 0) (i32.const 0) (i32.const 1000)) (i32.const 0)`,
        },
      }),
      { fuelPerCall: 1_000 },
    );
    const { counters } = guest.instance;
    assert.equal(counters.peakShare, 0);
    guest.instance.open(new TestStream()).responseHeaders(true);
    assert.ok(counters.peakShare > 0 && counters.peakShare < 1, `${counters.peakShare}`);
    counters.peakShare = 0;
    guest.instance.open(new TestStream()).requestHeaders(true);
    assert.equal(guest.lost[0]?.fault, "fuel");
    assert.equal(counters.peakShare, 1);
  });

  it("come with the memory that the guest has now", async () => {
    await using guest = await startText(() => ({
      on: { proxy_on_request_headers: "(drop (memory.grow (i32.const 3))) (i32.const 0)" },
    }));
    const before = guest.instance.memory?.buffer.byteLength ?? 0;
    assert.ok(before > 0);
    guest.instance.open(new TestStream()).requestHeaders(true);
    assert.equal(guest.instance.memory?.buffer.byteLength, before + 3 * 65_536);
  });

  it("take the time of the callbacks that are due", async () => {
    const took: string[] = [];
    let due = 0;
    const timings = {
      isDue: () => ++due % 2 === 0,
      took: (callback: string, ms: number) => {
        assert.ok(ms >= 0);
        took.push(callback);
      },
    };
    await using guest = await startText(
      () => ({
        on: {
          proxy_on_configure: "(i32.const 1)",
          proxy_on_request_headers: "(i32.const 0)",
          proxy_on_response_headers: "(i32.const 0)",
        },
      }),
      { timings },
    );
    due = 0;
    took.length = 0;
    const filter = guest.instance.open(new TestStream());
    filter.requestHeaders(true);
    filter.responseHeaders(true);
    assert.deepEqual(took, ["proxy_on_response_headers"]);
    due = 1;
    filter.responseHeaders(true);
    assert.equal(took.length, 2);
  });
});
