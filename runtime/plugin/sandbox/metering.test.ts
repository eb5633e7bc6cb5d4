import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { moduleOf } from "../../../test/support/module-bytes.ts";
import { assemble } from "../../../test/support/wat.ts";
import { instructionCosts, lengthCosts } from "./instruction-costs.ts";
import { rewrite } from "./rewrite.ts";
import { type FuelGauge, fuelGauge, type SandboxLimits } from "./sandboxed-module.ts";

const limits: SandboxLimits = { memoryBytes: 16 << 16, tableEntries: 10_000, startFuel: 100_000 };

interface Guest {
  readonly gauge: FuelGauge;
  call(name: string, ...parameters: unknown[]): unknown;
}

function start(bytes: Uint8Array<ArrayBuffer>, imports: WebAssembly.Imports = {}): Guest {
  const instance = new WebAssembly.Instance(new WebAssembly.Module(rewrite(bytes, limits).bytes), imports);
  return {
    gauge: fuelGauge(instance),
    call(name, ...parameters) {
      const exported = instance.exports[name];
      assert.ok(typeof exported === "function");
      return Reflect.apply(exported, undefined, parameters);
    },
  };
}

const guest = async (text: string, imports?: WebAssembly.Imports): Promise<Guest> =>
  start(await assemble("guest", text), imports);

/** Most fuel that these small guests may use beyond what they have, before they are stopped: one range. */
const overshoot = 30_000;

/** The guest's export `run` never returns: it must be stopped by fuel, and by nothing else, and stay stopped. */
function mustExhaust({ gauge, call }: Guest, fuel = 1_000_000): void {
  gauge.set(fuel);
  assert.throws(() => call("run"), WebAssembly.RuntimeError);
  assert.ok(gauge.get() < 0, `${gauge.get()} fuel left`);
  assert.ok(gauge.get() > -overshoot, `${gauge.get()} fuel left`);
  assert.throws(() => call("run"), WebAssembly.RuntimeError, "once out of fuel it stays stopped");
}

const nops = (count: number): string => "(nop)".repeat(count);

describe("guests that never end", () => {
  const endless: Readonly<Record<string, string>> = {
    "an empty loop": "(loop (br 0))",
    "a conditional loop": "(loop (br_if 0 (i32.const 1)))",
    "two loops in turn": "(loop (loop (br 1)))",
    "a loop that a br_table goes back to": "(loop (br_table 0 0 (i32.const 7)))",
    "a loop whose branch back hides in an if without else": "(loop (if (i32.const 1) (then (br 1))))",
    "a loop whose branch back hides in an else": "(loop (if (i32.const 0) (then (return)) (else (br 1))))",
    "a loop whose branch back lies behind a block": "(loop (block (br_if 0 (i32.const 1)) (return)) (br 0))",
    "a loop whose branch back lies behind a loop": "(loop (loop (br_if 1 (i32.const 1))) (br 0))",
    "work behind a block": `(loop (block (br_if 0 (i32.const 1))) ${nops(50)} (br 0))`,
    "work behind an else": `(loop (if (i32.const 0) (then) (else (nop))) ${nops(50)} (br 0))`,
    "work behind a loop": `(loop (loop) ${nops(50)} (br 0))`,
    "work that a br_table jumps to": `(loop $l (block (block (block (br_table 0 1 2 (i32.const 1)))) ${nops(50)}) (br $l))`,
  };
  for (const [what, code] of Object.entries(endless))
    it(`stops ${what}`, async () => mustExhaust(await guest(`(module (func (export "run") ${code}))`)));

  it("stops a start function, by the budget of the start", async () => {
    const bytes = await assemble("start", `(module (func $start (loop (br 0))) (start $start))`);
    assert.throws(() => start(bytes), WebAssembly.RuntimeError);
  });

  it("stops recursion through tail calls, direct and through a table", async () => {
    mustExhaust(await guest(`(module (func $run (export "run") (return_call $run)))`));
    mustExhaust(
      await guest(`(module (type $t (func)) (table 1 funcref) (elem (i32.const 0) $run)
        (func $run (export "run") (return_call_indirect (type $t) (i32.const 0))))`),
    );
    mustExhaust(await guest(`(module (func $even (export "run") (return_call $odd)) (func $odd (return_call $even)))`));
  });

  it("ends recursion without end by fuel, or by a RangeError when the stack is smaller, and lives on", async () => {
    const recursion = await guest(`(module (func $run (export "run") (result i32) (i32.add (call $run) (call $run))))`);
    recursion.gauge.set(1_000);
    assert.throws(() => recursion.call("run"), WebAssembly.RuntimeError);
    recursion.gauge.set(1e12);
    assert.throws(() => recursion.call("run"), RangeError);
  });

  it("ends recursion with frames of thousands of locals", async () => {
    const locals = "(local i64) ".repeat(5_000);
    const recursion = await guest(`(module (func $run (export "run") ${locals} (call $run)))`);
    recursion.gauge.set(1e12);
    assert.throws(() => recursion.call("run"), RangeError);
    mustExhaust(recursion, 10_000);
  });

  it("lets no guest go on by catching the overflow of the stack", async () => {
    const legacy = `(module (func $run (export "run") (try (do (call $run)) (catch_all (call $run)))  (call $run)))`;
    const table = `(module (func $run (export "run") (block (try_table (catch_all 0) (call $run))) (call $run)))`;
    for (const text of [legacy, table]) {
      const catching = await guest(text);
      catching.gauge.set(20_000_000);
      assert.throws(
        () => catching.call("run"),
        (error) => error instanceof Error,
      );
    }
  });
});

describe("guests that catch", () => {
  const thrower = "(tag $t) (func $throw (throw $t))";
  const endless: Readonly<Record<string, string>> = {
    "throws and catches for ever": "(loop (try (do (call $throw)) (catch_all)) (br 0))",
    "throws and catches for ever in one function": "(loop (try (do (throw $t)) (catch $t)) (br 0))",
    "goes back from its handler": "(loop (try (do (throw $t)) (catch_all (br 1))))",
    "throws again and again": "(loop (try (do (try (do (throw $t)) (catch_all (rethrow 0)))) (catch_all (br 1))))",
    delegates: "(loop (try (do (try (do (throw $t)) (delegate 0))) (catch_all (br 1))))",
    "goes back through a handler of try_table": "(loop (block (try_table (catch_all 0) (throw $t))) (br 0))",
    "goes back to a loop that is a handler": "(loop (try_table (catch_all 0) (call $throw)))",
    "throws references":
      "(loop (drop (block (result exnref) (try_table (catch_all_ref 0) (throw $t)) (unreachable))) (br 0))",
    "catches being out of fuel": "(try (do (loop (br 0))) (catch_all (loop (br 0))))",
    "catches being out of fuel in a try_table": "(block (try_table (catch_all 0) (loop (br 0)))) (loop (br 0))",
  };
  for (const [what, code] of Object.entries(endless))
    it(`stops one that ${what}`, async () =>
      mustExhaust(await guest(`(module ${thrower} (func (export "run") ${code}))`)));

  it("cannot go on after the host set the fuel negative, although it catches what the host throws", async () => {
    let calls = 0;
    const stops = (): never => {
      calls++;
      for (const { gauge } of guests) gauge.set(-1);
      throw new Error("proc_exit");
    };
    const legacy = `(module (import "host" "exit" (func $exit)) (func (export "run")
      (loop (try (do (call $exit)) (catch_all)) (br 0))))`;
    const table = `(module (import "host" "exit" (func $exit)) (func (export "run")
      (loop (block (try_table (catch_all 0) (call $exit))) (br 0))))`;
    const guests = [await guest(legacy, { host: { exit: stops } }), await guest(table, { host: { exit: stops } })];
    for (const { call, gauge } of guests) {
      calls = 0;
      gauge.set(1e9);
      assert.throws(() => call("run"), WebAssembly.RuntimeError);
      assert.equal(calls, 1);
    }
  });
});

describe("the host", () => {
  const text = `(module (import "host" "look" (func $look)) (func (export "run") (param i32)
    ${nops(10)} (call $look) ${nops(20)} (call $look)
    (loop (local.set 0 (i32.sub (local.get 0) (i32.const 1))) (br_if 0 (local.get 0)))
    (call $look)))`;

  it("sees the guest's fuel as it is whenever it is called", async () => {
    const seen: number[] = [];
    const looked = await guest(text, { host: { look: () => seen.push(looked.gauge.get()) } });
    looked.gauge.set(1_000);
    looked.call("run", 10);
    const [first = 0, second = 0, third = 0] = seen;
    assert.equal(first, second, "a straight line is paid where it begins");
    assert.equal(second - third, 10 * 7);
    assert.equal(looked.gauge.get(), third);
  });

  it("stops a guest from a call by setting its fuel negative", async () => {
    let calls = 0;
    const stopped = await guest(text, {
      host: {
        look: () => {
          calls++;
          stopped.gauge.set(-1);
        },
      },
    });
    stopped.gauge.set(1_000);
    assert.throws(() => stopped.call("run", 1_000), WebAssembly.RuntimeError);
    assert.equal(calls, 2);
  });

  it("refills a guest from a call", async () => {
    const refilled = await guest(text, { host: { look: () => refilled.gauge.set(1e6) } });
    refilled.gauge.set(200);
    refilled.call("run", 1_000);
    assert.ok(refilled.gauge.get() > 0);
  });
});

describe("instructions that work on a range", () => {
  const onMemory: Readonly<Record<string, string>> = {
    "memory.fill": "(memory.fill (i32.const 0) (i32.const 1) (i32.const 65536))",
    "memory.copy": "(memory.copy (i32.const 0) (i32.const 8) (i32.const 65000))",
    "memory.init": "(memory.init $d (i32.const 0) (i32.const 0) (i32.const 4096))",
    "table.fill": "(table.fill $t (i32.const 0) (ref.null func) (i32.const 1000))",
    "table.copy": "(table.copy $t $t (i32.const 0) (i32.const 8) (i32.const 900))",
    "table.init": "(table.init $t $e (i32.const 0) (i32.const 0) (i32.const 8))",
    "memory.grow": "(drop (memory.grow (i32.const 0)))",
    "table.grow": "(drop (table.grow $t (ref.null func) (i32.const 0)))",
  };
  const expected: Readonly<Record<string, number>> = {
    "memory.fill": Math.floor(65_536 / lengthCosts.bytesPerFuel),
    "memory.copy": Math.floor(65_000 / lengthCosts.bytesPerFuel),
    "memory.init": Math.floor(4_096 / lengthCosts.bytesPerFuel),
    "table.fill": 1_000 * lengthCosts.tableEntry,
    "table.copy": 900 * lengthCosts.tableEntry,
    "table.init": 8 * lengthCosts.tableEntry,
    "memory.grow": instructionCosts.grow,
    "table.grow": instructionCosts.grow,
  };
  const module = (code: string): string =>
    `(module (memory 1) (table $t 1000 funcref) (data $d "${"x".repeat(4_096)}")
      (elem $e func ${"$f ".repeat(8)}) (func $f) (func (export "run") (loop ${code} (br 0))) (func (export "once") ${code}))`;
  for (const [what, code] of Object.entries(onMemory)) {
    it(`stops ${what} in a loop`, async () => mustExhaust(await guest(module(code))));

    it(`charges ${what} by its length`, async () => {
      const { gauge, call } = await guest(module(code));
      gauge.set(1e9);
      call("once");
      const used = 1e9 - gauge.get();
      const least = expected[what] ?? 0;
      assert.ok(used >= least && used < least + 100, `${used} for ${least}`);
    });
  }

  it("charges before it runs: without the fuel nothing is written", async () => {
    const { gauge, call } = await guest(`(module (memory 1)
      (func (export "run") (memory.fill (i32.const 0) (i32.const 1) (i32.const 65536)))
      (func (export "first") (result i32) (i32.load (i32.const 0))))`);
    gauge.set(1_000);
    assert.throws(() => call("run"), WebAssembly.RuntimeError);
    assert.ok(gauge.get() < 0);
    gauge.set(1_000);
    assert.equal(call("first"), 0);
  });

  it("charges the largest length there is without wrapping around", async () => {
    const { gauge, call } = await guest(
      `(module (memory 1) (func (export "run") (memory.fill (i32.const 0) (i32.const 1) (i32.const -1))))`,
    );
    gauge.set(2 ** 53);
    assert.throws(() => call("run"), /out of bounds/);
    assert.ok(gauge.get() < 2 ** 53 - 2 ** 27);
  });

  it("charges growing by the page and by the entry", async () => {
    const { gauge, call } = await guest(`(module (memory 1) (table 1 funcref)
      (func (export "pages") (drop (memory.grow (i32.const 10))))
      (func (export "entries") (drop (table.grow 0 (ref.null func) (i32.const 5000)))))`);
    gauge.set(1e6);
    call("pages");
    assert.ok(gauge.get() <= 1e6 - 10 * lengthCosts.page);
    gauge.set(1e6);
    call("entries");
    assert.ok(gauge.get() <= 1e6 - 5_000 * lengthCosts.tableEntry);
  });
});

describe("what takes longer than it looks", () => {
  it("charges calls and branches by the values that they move", async () => {
    const many = (type: string): string => `${type} ${"i32 ".repeat(500)}`;
    const { gauge, call } = await guest(`(module
      (func $take (param ${"i32 ".repeat(500)}) (result ${"i32 ".repeat(500)}) ${Array.from({ length: 500 }, (_, index) => `(local.get ${index})`).join(" ")})
      (func (export "run") ${"(i32.const 1) ".repeat(500)}
        (call $take) (call $take) (call $take) (call $take)
        (loop (${many("param")}) (${many("result")}) (block (${many("param")}) (${many("result")}) (br 0)))
        ${"(drop) ".repeat(500)}))`);
    gauge.set(1e6);
    call("run");
    assert.ok(1e6 - gauge.get() > 4 * 1_500 + 1_500);
  });

  it("charges calls by the locals that they clear", async () => {
    const { gauge, call } = await guest(`(module (func $f ${"(local i64) ".repeat(4_000)} (nop) (nop))
      (func (export "run") (call $f)))`);
    gauge.set(1e6);
    call("run");
    assert.ok(1e6 - gauge.get() > 1_000);
  });

  it("does not charge code that cannot be reached", async () => {
    const { gauge, call } = await guest(
      `(module (func (export "run") (block (br 0) ${nops(1_000)} (block (loop (br 0)) (unreachable)))))`,
    );
    gauge.set(1_000);
    call("run");
    assert.ok(gauge.get() > 980);
  });

  it("copies what only counts as valid because it cannot be reached", () => {
    // unreachable, br_if 0, br_table 0 0, i32.add, block, end: the stack is empty and that does not matter there.
    const { call } = start(moduleOf(0x00, 0x0d, 0, 0x0e, 1, 0, 0, 0x6a, 0x1a, 0x02, 0x40, 0x0b));
    assert.throws(() => call("run"), /unreachable/);
  });
});

describe("fuel", () => {
  it("is the same for the same work", async () => {
    const bytes = await assemble(
      "same",
      `(module (func $fib (export "run") (param i32) (result i32)
        (if (i32.lt_s (local.get 0) (i32.const 2)) (then (return (local.get 0))))
        (i32.add (call $fib (i32.sub (local.get 0) (i32.const 1))) (call $fib (i32.sub (local.get 0) (i32.const 2))))))`,
    );
    const used = new Set(
      Array.from({ length: 20 }, () => {
        const { gauge, call } = start(bytes);
        gauge.set(1e9);
        assert.equal(call("run", 18), 2_584);
        return 1e9 - gauge.get();
      }),
    );
    assert.equal(used.size, 1);
  });

  it("is charged with the caller for leaves that are called, and bounded for those that are called through a table", async () => {
    const { gauge, call } = await guest(`(module (table 1 funcref) (elem (i32.const 0) $leaf)
      (func $leaf (result i32) (i32.add (i32.const 1) (i32.const 2)))
      (func (export "direct") (drop (call $leaf)))
      (func (export "indirect") (drop (call_indirect (result i32) (i32.const 0)))))`);
    gauge.set(1_000);
    call("direct");
    assert.equal(1_000 - gauge.get(), 1 + (5 + 1 + 4) + 1);
    gauge.set(1_000);
    call("indirect");
    assert.equal(1_000 - gauge.get(), 1 + 1 + (16 + 1) + 1);
  });
});
