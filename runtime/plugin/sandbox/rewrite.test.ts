import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { body, moduleBytes, moduleOf, rawSection, section } from "../../../test/support/module-bytes.ts";
import { assemble } from "../../../test/support/wat.ts";
import { lengthCosts } from "./instruction-costs.ts";
import { rewrite } from "./rewrite.ts";
import { SandboxError } from "./sandbox-error.ts";
import { fuelGauge, type SandboxLimits } from "./sandboxed-module.ts";

const limits: SandboxLimits = { memoryBytes: 4 << 16, tableEntries: 100, startFuel: 10_000 };

function refuses(bytes: Uint8Array<ArrayBuffer>, message: RegExp): void {
  assert.throws(
    () => rewrite(bytes, limits).bytes,
    (error) => error instanceof SandboxError && message.test(error.message),
    `expected ${message}`,
  );
}

function instantiate(bytes: Uint8Array<ArrayBuffer>, imports: WebAssembly.Imports = {}): WebAssembly.Instance {
  return new WebAssembly.Instance(new WebAssembly.Module(rewrite(bytes, limits).bytes), imports);
}

const emptyFunction = [section(1, [0x60, 0, 0]), section(3, [0])];

describe("what is not a module", () => {
  it("refuses bytes without the magic number", () => {
    refuses(new Uint8Array(), /not a WebAssembly module.*\\0asm/);
    refuses(new TextEncoder().encode("name: orders\nversion: 1"), /not a WebAssembly module/);
  });

  it("tells a component from a module", () => {
    refuses(
      Uint8Array.of(0, 0x61, 0x73, 0x6d, 0x0d, 0, 1, 0),
      /is a WebAssembly component, and a core module is expected/,
    );
  });

  it("refuses a version that it does not know", () => {
    refuses(Uint8Array.of(0, 0x61, 0x73, 0x6d, 2, 0, 0, 0), /unknown version 2/);
  });
});

describe("malformed modules", () => {
  it("refuses each truncation of a module", async () => {
    const bytes = await assemble(
      "whole",
      `(module
        (import "host" "log" (func $log (param i32)))
        (memory (export "memory") 1) (table 2 funcref) (global $g (mut i64) (i64.const -5))
        (elem (i32.const 0) $run) (data (i32.const 8) "text")
        (func $run (export "run") (param i32) (result i32) (local i64 f64)
          (call $log (i32.load offset=4 (local.get 0))) (i32.const 1000)))`,
    );
    for (let length = 0; length < bytes.length; length++) {
      // Where a section ends the module may end, unless functions that were declared are missing then.
      const part = bytes.slice(0, length);
      if (WebAssembly.validate(part)) continue;
      try {
        assert.ok(!WebAssembly.validate(rewrite(part, limits).bytes), `cut at ${length}`);
      } catch (error) {
        assert.ok(error instanceof SandboxError, `cut at ${length}: ${error}`);
      }
    }
    refuses(bytes.slice(0, bytes.length - 1), /ends in the middle.*module, byte \d+/);
  });

  it("refuses numbers that are longer than they may be", () => {
    refuses(moduleBytes([1, 0x85, 0x80, 0x80, 0x80, 0x80, 0]), /longer than 32 bits \(module, byte 9\)/);
    refuses(moduleOf(0x41, 0x80, 0x80, 0x80, 0x80, 0x10, 0x1a), /longer than 32 bits \(function 0/);
    refuses(moduleOf(0x42, ...new Array(9).fill(0x80), 0x02, 0x1a), /longer than 64 bits/);
  });

  it("takes numbers that are merely padded, as engines do", () => {
    const padded = moduleOf(0x41, 0x85, 0x80, 0x80, 0x80, 0x00, 0x1a, 0x42, ...new Array(9).fill(0xff), 0x7f, 0x1a);
    assert.ok(WebAssembly.validate(rewrite(padded, limits).bytes));
  });

  it("refuses sections that are unknown, out of order or there twice", () => {
    refuses(moduleBytes(section(14)), /section of the unknown kind 14/);
    refuses(moduleBytes(section(3), section(1)), /type section is out of order or there twice/);
    refuses(moduleBytes(section(1), section(1)), /type section is out of order or there twice/);
  });

  it("refuses contents that do not fill their section", () => {
    refuses(moduleBytes(rawSection(1, [0, 7])), /longer than its contents \(type section/);
    refuses(
      moduleBytes(...emptyFunction, rawSection(10, [1, 2, 0, 0x0b, 9])),
      /longer than its contents \(code section/,
    );
    refuses(
      moduleBytes(...emptyFunction, rawSection(10, [1, 3, 0, 0x0b, 0x01])),
      /goes on behind its end \(function 0/,
    );
  });

  it("refuses functions that are declared and not defined, or the other way round", () => {
    refuses(moduleBytes(...emptyFunction), /declares 1 functions and defines 0/);
    refuses(moduleBytes(section(10, body())), /declares 0 functions and defines 1/);
  });

  it("refuses a body that never ends, and one that ends twice", () => {
    refuses(moduleBytes(...emptyFunction, rawSection(10, [1, 3, 0, 0x02, 0x40])), /ends in the middle/);
    refuses(moduleOf(0x0b), /goes on behind its end/);
  });

  it("refuses instructions that do not exist, with the function and the offset", () => {
    const bytes = moduleOf(0x01, 0x17);
    refuses(bytes, new RegExp(`the unknown instruction 0x17.*function 0, byte ${bytes.indexOf(0x17)}\\)`));
    refuses(moduleOf(0xfc, 0x20), /the unknown instruction 0xfc 0x20/);
  });
});

describe("what the sandbox refuses, by name", () => {
  const memory = (...memories: number[][]): Uint8Array<ArrayBuffer> => moduleBytes(section(5, ...memories));
  const imported = (...description: number[]): Uint8Array<ArrayBuffer> =>
    moduleBytes(section(1, [0x60, 0, 0]), section(2, [1, 0x61, 1, 0x62, ...description]));
  const cases: readonly (readonly [what: string, bytes: Uint8Array<ArrayBuffer>, message: RegExp])[] = [
    ["atomic waits", moduleOf(0x41, 0, 0x41, 0, 0x42, 0x7f, 0xfe, 1, 2, 0, 0x1a), /atomic instructions \(threads\)/],
    ["atomic loads", moduleOf(0x41, 0, 0xfe, 0x10, 2, 0, 0x1a), /atomic instructions \(threads\)/],
    ["shared memory", memory([3, 1, 2]), /shared memory \(threads\)/],
    ["64-bit memory", memory([4, 1]), /64-bit memory \(memory64\)/],
    ["64-bit tables", moduleBytes(section(4, [0x70, 4, 1])), /64-bit table \(memory64\)/],
    ["two memories", memory([0, 1], [0, 1]), /more than one memory \(multi-memory\)/],
    ["loads from a second memory", moduleOf(0x41, 0, 0x28, 0x42, 0, 0, 0x1a), /multi-memory/],
    ["custom page sizes", memory([8, 1, 0]), /unknown limits 0x8/],
    ["an imported memory", imported(2, 0, 1), /imports the memory 'a\.b'/],
    ["an imported table", imported(1, 0x70, 0, 1), /imports the table 'a\.b'/],
    ["an imported mutable global", imported(3, 0x7f, 1), /imports the mutable global 'a\.b'/],
    ["structs", moduleBytes(section(1, [0x5f, 1, 0x7f, 0])), /garbage-collected types/],
    ["arrays", moduleBytes(section(1, [0x5e, 0x7f, 0])), /garbage-collected types/],
    ["recursion groups", moduleBytes(section(1, [0x4e, 1, 0x60, 0, 0])), /garbage-collected types/],
    ["subtypes", moduleBytes(section(1, [0x50, 0, 0x60, 0, 0])), /garbage-collected types/],
    ["instructions of garbage collection", moduleOf(0xfb, 1, 0, 0x1a), /garbage collection/],
    ["any references", moduleBytes(section(1, [0x60, 1, 0x6e, 0])), /garbage collection \(anyref\)/],
    ["typed references", moduleBytes(section(1, [0x60, 1, 0x63, 0x70, 0])), /typed references/],
    ["calls of typed references", moduleOf(0xd0, 0x70, 0x14, 0), /typed function references/],
    ["tables with initial values", moduleBytes(section(4, [0x40, 0, 0x70, 0, 1, 0xd0, 0x70, 0x0b])), /initial value/],
    ["relaxed SIMD", moduleOf(0xfd, 0x80, 2), /relaxed SIMD/],
    ["stack switching", moduleOf(0xe0, 0), /stack switching/],
  ];
  for (const [what, bytes, message] of cases) it(`refuses ${what}`, () => refuses(bytes, message));

  for (const name of ["outrigger_fuel_set", "outrigger_fuel_get"])
    it(`refuses a module that exports ${name}`, async () => {
      refuses(await assemble("reserved", `(module (func (export "${name}")))`), new RegExp(`exports '${name}'`));
    });
});

describe("what the rewriter adds", () => {
  const access: readonly (readonly [what: string, bytes: Uint8Array<ArrayBuffer>])[] = [
    ["reading the fuel", moduleOf(0x23, 0, 0x1a)],
    ["writing the fuel", moduleOf(0x42, 0, 0x24, 0)],
    ["reading the local that holds it", moduleOf(0x20, 0, 0x1a)],
    ["writing the local that holds it", moduleOf(0x42, 0, 0x21, 0)],
    ["calling the function that sets it", moduleOf(0x44, 0, 0, 0, 0, 0, 0, 0, 0, 0x10, 1)],
    ["tail-calling a function of ours", moduleOf(0x12, 2)],
    ["taking a reference to a function of ours", moduleOf(0xd2, 1, 0x1a)],
    ["calling through a type of ours", moduleOf(0x41, 0, 0x11, 1, 0)],
    ["a block of a type of ours", moduleOf(0x41, 0, 0x02, 3, 0x0b, 0x1a)],
    ["exporting a function of ours", moduleBytes(...emptyFunction, section(7, [1, 0x66, 0, 1]), section(10, body()))],
    ["exporting the fuel", moduleBytes(section(7, [1, 0x66, 3, 0]))],
    ["starting with a function of ours", moduleBytes(rawSection(8, [0]))],
    [
      "a table that holds a function of ours",
      moduleBytes(section(4, [0x70, 0, 1]), section(9, [0, 0x41, 0, 0x0b, 1, 0])),
    ],
    [
      "a table that holds an expression that names a function of ours",
      moduleBytes(section(4, [0x70, 0, 1]), section(9, [4, 0x41, 0, 0x0b, 1, 0xd2, 0, 0x0b])),
    ],
    ["a global that holds a function of ours", moduleBytes(section(6, [0x70, 0, 0xd2, 0, 0x0b]))],
    ["a global that holds the fuel", moduleBytes(section(6, [0x7e, 0, 0x23, 0, 0x0b]))],
  ];
  for (const [what, bytes] of access) it(`is out of the guest's reach: ${what}`, () => refuses(bytes, /not exist/));

  it("is two exports, behind the module's own", async () => {
    const bytes = await assemble("exports", `(module (func (export "a")) (memory (export "b") 1))`);
    const module = new WebAssembly.Module(rewrite(bytes, limits).bytes);
    assert.deepEqual(
      WebAssembly.Module.exports(module).map(({ name }) => name),
      ["a", "b", "outrigger_fuel_set", "outrigger_fuel_get"],
    );
  });

  it("works in a module without anything", () => {
    const gauge = fuelGauge(instantiate(moduleBytes()));
    assert.equal(gauge.get(), limits.startFuel);
    gauge.set(77.9);
    assert.equal(gauge.get(), 77);
  });

  it("keeps the fuel far from where it would wrap around", () => {
    const gauge = fuelGauge(instantiate(moduleBytes()));
    gauge.set(Number.NEGATIVE_INFINITY);
    assert.equal(gauge.get(), -(2 ** 53));
    gauge.set(Number.POSITIVE_INFINITY);
    assert.equal(gauge.get(), 2 ** 53);
    gauge.set(Number.NaN);
    assert.equal(gauge.get(), 0);
  });

  it("changes no index: imports, tables, globals and tags mean what they meant", async () => {
    const bytes = await assemble(
      "indexes",
      `(module
        (import "host" "double" (func $double (param i32) (result i32)))
        (import "host" "base" (global $base i32))
        (table 2 funcref) (elem (i32.const 0) $own $double)
        (global $count (mut i32) (i32.const 7))
        (tag $t (param i32))
        (func $own (param i32) (result i32) (i32.add (local.get 0) (global.get $base)))
        (func (export "run") (param i32) (result i32)
          (global.set $count (i32.add (global.get $count) (call_indirect (param i32) (result i32) (local.get 0) (i32.const 0))))
          (try (do (throw $t (call_indirect (param i32) (result i32) (global.get $count) (i32.const 1))))
            (catch $t (return)))
          (i32.const -1)))`,
    );
    const { run } = instantiate(bytes, { host: { double: (value: number) => value * 2, base: 100 } }).exports;
    assert.ok(typeof run === "function");
    assert.equal(Reflect.apply(run, undefined, [5]), (7 + 105) * 2);
  });
});

describe("limits", () => {
  it("caps a memory without a maximum, and one with a higher maximum", async () => {
    for (const declared of ["1", "1 100"]) {
      const bytes = await assemble("memory", `(module (memory (export "memory") ${declared}))`);
      const { memory } = instantiate(bytes).exports;
      assert.ok(memory instanceof WebAssembly.Memory);
      memory.grow(3);
      assert.throws(() => memory.grow(1), RangeError, declared);
    }
  });

  it("keeps a lower maximum", async () => {
    const { memory } = instantiate(await assemble("low", `(module (memory (export "memory") 1 2))`)).exports;
    assert.ok(memory instanceof WebAssembly.Memory);
    memory.grow(1);
    assert.throws(() => memory.grow(1), RangeError);
  });

  it("answers a growth beyond the limit as engines do, and does not charge for the pages", async () => {
    const bytes = await assemble(
      "grow",
      `(module (memory 1) (table 1 funcref)
        (func (export "run") (param i32) (result i32) (memory.grow (local.get 0)))
        (func (export "table") (param i32) (result i32) (table.grow 0 (ref.null func) (local.get 0))))`,
    );
    const instance = instantiate(bytes);
    const gauge = fuelGauge(instance);
    const { run, table } = instance.exports;
    assert.ok(typeof run === "function" && typeof table === "function");
    for (const pages of [4, 65_536, -1]) assert.equal(Reflect.apply(run, undefined, [pages]), -1);
    for (const entries of [101, -1]) assert.equal(Reflect.apply(table, undefined, [entries]), -1);
    assert.ok(gauge.get() > limits.startFuel - 5_000);
    gauge.set(1e6);
    assert.equal(Reflect.apply(run, undefined, [3]), 1);
    assert.ok(gauge.get() < 1e6 - 3 * lengthCosts.page);
    assert.equal(Reflect.apply(table, undefined, [99]), 1);
    assert.equal(Reflect.apply(table, undefined, [1]), -1);
  });

  it("refuses a memory or a table that begins above its limit", async () => {
    refuses(await assemble("large", "(module (memory 5))"), /327680 bytes at least, and the limit is 262144/);
    refuses(await assemble("large", "(module (table 101 funcref))"), /101 entries at least, and the limit is 100/);
  });

  it("refuses memories whose maximum is none", () => {
    refuses(moduleBytes(section(5, [1, 2, 1])), /maximum below its minimum/);
    refuses(moduleBytes(section(5, [1, 0, 0x81, 0x80, 4])), /maximum above 4 GiB/);
  });

  it("refuses more tables than any compiler makes", () => {
    refuses(moduleBytes(section(4, ...new Array(65).fill([0x70, 0, 1]))), /more than 64 tables/);
  });
});

describe("functions that take engines seconds to compile", () => {
  const manyLocals = (count: number, ...instructions: number[]): Uint8Array<ArrayBuffer> => {
    const code = [1, (count & 0x7f) | 0x80, count >> 7, 0x7e, ...instructions, 0x0b];
    const size = [(code.length & 0x7f) | 0x80, ((code.length >> 7) & 0x7f) | 0x80, code.length >> 14];
    const contents = [1, ...size, ...code];
    const length = [(contents.length & 0x7f) | 0x80, ((contents.length >> 7) & 0x7f) | 0x80, contents.length >> 14];
    return moduleBytes(...emptyFunction, [10, ...length, ...contents]);
  };

  it("refuses more locals than compilers make", () => {
    refuses(manyLocals(10_001), /more than 10000 locals/);
    assert.ok(WebAssembly.validate(rewrite(manyLocals(10_000), limits).bytes));
  });

  it("refuses many locals together with many branches", () => {
    const nested = [...new Array(1_000).fill([0x41, 0, 0x04, 0x40]).flat(), ...new Array(1_000).fill(0x0b)];
    refuses(manyLocals(5_000, ...nested), /too many locals and values for so many branches/);
    assert.ok(WebAssembly.validate(rewrite(manyLocals(50, ...nested), limits).bytes));
  });

  it("refuses a tall stack together with many branches", () => {
    const tall = [...new Array(2_000).fill([0x41, 0]).flat(), ...new Array(3_000).fill([0x41, 0, 0x0d, 0]).flat()];
    refuses(manyLocals(0, 0x02, 0x40, ...tall, 0x00, 0x0b), /too many locals and values/);
  });

  it("refuses blocks that are nested deeper than any switch", () => {
    const nested = (depth: number): number[] => [
      ...new Array(depth).fill([0x03, 0x40]).flat(),
      ...new Array(depth).fill(0x0b),
    ];
    refuses(manyLocals(0, ...nested(10_001)), /nests blocks deeper than 10000/);
    assert.ok(WebAssembly.validate(rewrite(manyLocals(0, ...nested(10_000)), limits).bytes));
  });

  it("refuses a function of more than a megabyte", () => {
    const length = 1024 ** 2 + 1;
    const leb = [(length & 0x7f) | 0x80, ((length >> 7) & 0x7f) | 0x80, length >> 14];
    const bytes = new Uint8Array(8 + 20 + length);
    const contents = length + leb.length + 1;
    const size = [(contents & 0x7f) | 0x80, ((contents >> 7) & 0x7f) | 0x80, contents >> 14];
    const head = moduleBytes(...emptyFunction, [10, ...size, 1, ...leb, 0]);
    bytes.set(head);
    bytes.fill(0x01, head.length);
    refuses(bytes.slice(0, head.length + length - 1), /function 0 has 1048577 bytes, and the limit is 1048576/);
  });
});

describe("custom sections", () => {
  it("keeps names, so that traces can be read, and drops what tells of places in the code", async () => {
    const named = await assemble(
      "named",
      `(module (func $divide (export "run") (result i32) (i32.div_u (i32.const 1) (i32.const 0))))`,
    );
    const bytes = Uint8Array.from([...named, ...rawSection(0, [4, 0x6d, 0x65, 0x74, 0x61, 1, 2, 3])]);
    const module = new WebAssembly.Module(rewrite(bytes, limits).bytes);
    assert.equal(WebAssembly.Module.customSections(module, "meta").length, 0);
    assert.equal(WebAssembly.Module.customSections(module, "name").length, 1);
    const { run } = new WebAssembly.Instance(module).exports;
    assert.ok(typeof run === "function");
    assert.throws(
      () => Reflect.apply(run, undefined, []),
      (error: Error) => /divide/.test(error.stack ?? ""),
    );
  });

  it("refuses one whose name is not UTF-8", () => {
    refuses(moduleBytes(rawSection(0, [1, 0xff])), /name is not UTF-8/);
  });
});
