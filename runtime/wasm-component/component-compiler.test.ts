import assert from "node:assert/strict";
import { once } from "node:events";
import { copyFile, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { queryObjects } from "node:v8";
import { Script } from "node:vm";
import { Worker } from "node:worker_threads";
import { eventually } from "../../test/conformance/backend.ts";
import { assembleComponent, componentGuest } from "../../test/support/component-guests.ts";
import { SandboxCompiler } from "../plugin/sandbox/compiler.ts";
import { SandboxError } from "../plugin/sandbox/sandbox-error.ts";
import type { SandboxedComponent } from "../plugin/sandbox/sandboxed-component.ts";
import { type FuelGauge, fuelGauge, type SandboxLimits } from "../plugin/sandbox/sandboxed-module.ts";
import { ComponentCompiler, type ComponentCompilerOptions } from "./component-compiler.ts";
import { evaluateGlue, glueScript } from "./evaluate-glue.ts";
import { patchGlue } from "./patch-glue.ts";

const limits: SandboxLimits = { memoryBytes: 64 << 16, tableEntries: 1_000, startFuel: 100_000_000 };
const interfaces = {
  imports: [{ name: "test:guest/store", versions: ["1.0.0"], functions: ["get"] }],
  exports: [{ name: "test:guest/asking", versions: ["1.0.0"], functions: ["ask"] }],
};
/** No such file: whoever starts a process with it finds out. */
const noProgram = new URL("no-such-process.js", import.meta.url);

const refused =
  (message: RegExp) =>
  (error: unknown): boolean =>
    error instanceof SandboxError && message.test(error.message);

const exporting = (body: string, memory = "(memory 1)"): Promise<Uint8Array<ArrayBuffer>> =>
  assembleComponent(`(component
    (core module $m ${memory} (func (export "run") (param i32) (result i32) ${body}))
    (core instance $i (instantiate $m))
    (func (export "run") (param "value" u32) (result u32) (canon lift (core func $i "run"))))`);

async function started(
  { cores, instantiate }: SandboxedComponent,
  imports: Readonly<Record<string, unknown>> = {},
): Promise<{ exports: Readonly<Record<string, unknown>>; gauges: FuelGauge[] }> {
  const gauges: FuelGauge[] = [];
  const module = (name: string): WebAssembly.Module => {
    const core = cores.get(name);
    assert.ok(core !== undefined, name);
    return core.module;
  };
  const exports = await instantiate(module, imports, async (core, linked) => {
    const instance = await WebAssembly.instantiate(core, linked);
    gauges.push(fuelGauge(instance));
    return instance;
  });
  return { exports, gauges };
}

function call(exports: Readonly<Record<string, unknown>>, name: string, ...given: unknown[]): unknown {
  const called = exports[name];
  assert.ok(typeof called === "function", name);
  return Reflect.apply(called, undefined, given);
}

describe("the compiler of components", () => {
  let directory = "";
  const open = new AsyncDisposableStack();
  const modules = open.use(new SandboxCompiler());
  const compiler = (options: Partial<ComponentCompilerOptions> = {}): ComponentCompiler =>
    open.use(new ComponentCompiler({ modules, interfaces, directory, ...options }));

  before(async () => {
    directory = await mkdtemp(join(tmpdir(), "outrigger-components-"));
  });
  after(async () => {
    await open.disposeAsync();
    await rm(directory, { recursive: true, force: true });
  });

  it("gives a component that runs, and whose functions may wait for imports that do", async () => {
    const bytes = await assembleComponent(`(component
      (import "test:guest/store@1.0.0" (instance $store (export "get" (func (result u32)))))
      (core func $get (canon lower (func $store "get")))
      (core module $m (import "s" "get" (func $get (result i32)))
        (func (export "ask") (result i32) (i32.add (call $get) (call $get))))
      (core instance $i (instantiate $m (with "s" (instance (export "get" (func $get))))))
      (func $ask (result u32) (canon lift (core func $i "ask")))
      (instance $asking (export "ask" (func $ask)))
      (export "test:guest/asking@1.0.0" (instance $asking)))`);
    const compiled = await compiler().compile(bytes, limits);
    assert.deepEqual(compiled.imports, ["test:guest/store@1.0.0"]);
    assert.deepEqual(compiled.exports, ["test:guest/asking@1.0.0"]);
    const get = async (): Promise<number> => {
      await new Promise((resolve) => setImmediate(resolve));
      return 21;
    };
    const { exports } = await started(compiled, { "test:guest/store@1.0.0": { get } });
    assert.equal(await call(Object(exports["test:guest/asking@1.0.0"]), "ask"), 42);
  });

  it("runs what JavaScript was made of, with adapters that share the memory of the program", async () => {
    const bytes = await componentGuest({
      source: "export const greet = (name) => `Hello ${name}`;",
      wit: "package outrigger:test; world greeting { export greet: func(name: string) -> string; }",
      world: "greeting",
      wasi: "none",
    });
    const compiled = await compiler().compile(bytes, { ...limits, memoryBytes: 64 << 20, tableEntries: 131_072 });
    assert.ok(compiled.cores.size > 3);
    const { exports, gauges } = await started(compiled);
    assert.equal(gauges.length, compiled.cores.size);
    for (const gauge of gauges) gauge.set(50_000_000);
    assert.equal(await call(exports, "greet", "you"), "Hello you");
  });

  it("stops a guest that is out of fuel", async () => {
    const { exports, gauges } = await started(
      await compiler().compile(await exporting("(loop (br 0)) unreachable"), limits),
    );
    gauges[0]?.set(1_000_000);
    assert.throws(() => call(exports, "run", 0), WebAssembly.RuntimeError);
    assert.ok((gauges[0]?.get() ?? 0) < 0);
  });

  it("lets memories grow to the limit together, and no further", async () => {
    const grow = "(memory.grow (local.get 0))";
    const one = await started(await compiler().compile(await exporting(grow), limits));
    assert.equal(call(one.exports, "run", 63), 1);
    assert.equal(call(one.exports, "run", 1), 2 ** 32 - 1);
    const two = await assembleComponent(`(component
      (core module $m (memory 2) (func (export "run") (param i32) (result i32) ${grow}))
      (core instance $a (instantiate $m))
      (core instance $b (instantiate $m))
      (func (export "a") (param "value" u32) (result u32) (canon lift (core func $a "run")))
      (func (export "b") (param "value" u32) (result u32) (canon lift (core func $b "run"))))`);
    const { exports } = await started(await compiler().compile(two, limits));
    assert.equal(call(exports, "a", 30), 2);
    assert.equal(call(exports, "a", 1), 2 ** 32 - 1);
    assert.equal(call(exports, "b", 30), 2);
    assert.equal(call(exports, "b", 1), 2 ** 32 - 1);
  });

  it("ends a guest that takes handles without end, and not one that drops them", async () => {
    const bytes = await assembleComponent(`(component
      (import "test:guest/things@1.0.0" (instance $things
        (export "thing" (type $thing (sub resource)))
        (export "[constructor]thing" (func (result (own $thing))))))
      (alias export $things "thing" (type $thing))
      (alias export $things "[constructor]thing" (func $make))
      (core func $make (canon lower (func $make)))
      (core func $drop (canon resource.drop $thing))
      (core module $m
        (import "t" "make" (func $make (result i32)))
        (import "t" "drop" (func $drop (param i32)))
        (func (export "take") (param $count i32) (result i32)
          (loop $more
            (drop (call $make))
            (br_if $more (local.tee $count (i32.sub (local.get $count) (i32.const 1)))))
          (i32.const 1))
        (func (export "turn") (param $count i32) (result i32)
          (loop $more
            (call $drop (call $make))
            (br_if $more (local.tee $count (i32.sub (local.get $count) (i32.const 1)))))
          (i32.const 2)))
      (core instance $i (instantiate $m
        (with "t" (instance (export "make" (func $make)) (export "drop" (func $drop))))))
      (func (export "take") (param "count" u32) (result u32) (canon lift (core func $i "take")))
      (func (export "turn") (param "count" u32) (result u32) (canon lift (core func $i "turn"))))`);
    class Thing {}
    const compiled = await compiler().compile(bytes, limits);
    const { exports } = await started(compiled, { "test:guest/things@1.0.0": { Thing } });
    assert.equal(call(exports, "turn", 2_000), 2);
    assert.equal(call(exports, "take", 64_000), 1);
    assert.throws(() => call(exports, "take", 2_000), /too many resource handles/);
  });

  it("refuses components that need more than the limits from the start", async () => {
    const twice = await assembleComponent(`(component
      (core module $m (memory 40))
      (core instance (instantiate $m)) (core instance (instantiate $m)))`);
    await assert.rejects(
      compiler().compile(twice, limits),
      refused(/5242880 bytes at least together, and the limit is 4194304/),
    );
    const tables = `(core module $m ${"(table 1 funcref)".repeat(33)}) (core instance (instantiate $m)) (core instance (instantiate $m))`;
    await assert.rejects(
      compiler().compile(await assembleComponent(`(component ${tables})`), limits),
      refused(/66 tables/),
    );
    const many = `(core module $m) ${"(core instance (instantiate $m))".repeat(65)}`;
    await assert.rejects(
      compiler().compile(await assembleComponent(`(component ${many})`), limits),
      refused(/65 core instances/),
    );
    const shared = await exporting("(local.get 0)", "(memory 1 1 shared)");
    await assert.rejects(compiler().compile(shared, limits), refused(/shared/));
    await assert.rejects(compiler({ maxBytes: 10 }).compile(shared, limits), refused(/the limit is 10/));
  });

  it("tells why a component is refused", async () => {
    const hostile = await assembleComponent(`(component (core module (func (export "a'+b+'"))))`);
    await assert.rejects(compiler().compile(hostile, limits), refused(/characters that are not allowed/));
    const broken = (await exporting("(local.get 0)")).slice(0, -3);
    await assert.rejects(compiler().compile(broken, limits), refused(/./));
    const shrinking = await assembleComponent("(component (core module (memory 2 1)))");
    await assert.rejects(
      compiler().compile(shrinking, limits),
      refused(/: size minimum must not be greater than maximum/),
    );
    const other = await assembleComponent(`(component
      (import "wasi:random/random@0.2.3" (instance (export "get-random-bytes" (func (param "len" u32) (result u64))))))`);
    await assert.rejects(
      compiler().compile(other, limits),
      refused(
        /takes 'get-random-bytes' of wasi:random\/random@0\.2\.3 as func\(u32\) -> u64, where this host has func\(u64\)/,
      ),
    );
  });

  it("refuses a component that becomes megabytes of code for a few types", async () => {
    const nested = Array.from({ length: 13 }, (_, i) => `(type $t${i + 1} (tuple (list $t${i}) (list $t${i})))`).join(
      "",
    );
    const types = await assembleComponent(`(component
      (core module $m (memory (export "m") 1) (func (export "run") (param i32 i32))
        (func (export "r") (param i32 i32 i32 i32) (result i32) i32.const 8))
      (core instance $i (instantiate $m)) (alias core export $i "m" (core memory $mem))
      (alias core export $i "r" (core func $realloc)) (type $t0 u8) ${nested}
      (func (export "run") (param "x" (list $t13)) (canon lift (core func $i "run") (memory $mem) (realloc $realloc))))`);
    await assert.rejects(compiler().compile(types, limits), refused(/types of the component take \d+ bytes of code/));
  });

  it("shares the fuel of a call among the core modules, so that they never have many budgets together", async () => {
    const spinning = await assembleComponent(`(component
      (core module $m (func $spin (export "spin") (local i32) (loop $l
        (br_if $l (i32.lt_u (local.tee 0 (i32.add (local.get 0) (i32.const 1))) (i32.const 20_000_000))))) (start $spin))
      ${"(core instance (instantiate $m))".repeat(30)})`);
    const compiled = await compiler().compile(spinning, { ...limits, startFuel: 500_000_000 });
    const [core] = compiled.cores.values();
    assert.equal(core?.fuelShare, 1 / 29);
    await assert.rejects(started(compiled), WebAssembly.RuntimeError);
  });

  it("compiles the same bytes once, and finds what an earlier one transpiled", async () => {
    const bytes = await exporting("(i32.const 5)");
    const first = compiler();
    const [one, other] = await Promise.all([first.compile(bytes, limits), first.compile(bytes, limits)]);
    assert.equal(one, other);
    const second = await compiler({ program: noProgram }).compile(bytes, { ...limits, startFuel: 1_000 });
    assert.equal(call((await started(second)).exports, "run", 0), 5);
    const changed = { ...interfaces, imports: [] };
    await assert.rejects(compiler({ program: noProgram, interfaces: changed }).compile(bytes, limits), SandboxError);
  });

  /** Resolves when all is written that is kept of the component. */
  const kept = async (folder: string, bytes: Uint8Array<ArrayBuffer>, maxKeptBytes?: number): Promise<string[]> => {
    const keeping = compiler({ directory: folder, ...(maxKeptBytes && { maxKeptBytes }) });
    await keeping.compile(bytes, limits);
    await keeping[Symbol.asyncDispose]();
    return await readdir(folder);
  };

  it("goes on from what was transpiled, and from what was rewritten for the same limits", async () => {
    const folder = await mkdtemp(join(directory, "ready-"));
    const bytes = await exporting("(i32.const 5)");
    const first = await compiler({ directory: folder }).compile(bytes, limits);
    const files = await kept(folder, bytes);
    assert.equal(files.length, 2);
    let otherLimits = 0;
    for (const file of files) {
      const alone = await mkdtemp(join(directory, "alone-"));
      const compile = (limits: SandboxLimits): Promise<SandboxedComponent> =>
        compiler({ directory: alone, program: noProgram }).compile(bytes, limits);
      await copyFile(join(folder, file), join(alone, file));
      const again = await compile(limits);
      assert.equal(call((await started(again)).exports, "run", 0), 5);
      const { cores, instantiate: _, ...rest } = again;
      const { cores: firstCores, instantiate: _first, ...firstRest } = first;
      assert.deepEqual(rest, firstRest);
      const plain = (of: SandboxedComponent["cores"]) => [...of].map(([name, { module: _, ...one }]) => [name, one]);
      assert.deepEqual(plain(cores), plain(firstCores));
      await compile({ ...limits, startFuel: 1_000 }).then(() => otherLimits++, refused(/process ended/));
    }
    assert.equal(otherLimits, 1);
  });

  it("makes anew what was damaged on the disk", async () => {
    const folder = await mkdtemp(join(directory, "damaged-"));
    const bytes = await exporting("(i32.const 6)");
    const files = await kept(folder, bytes);
    for (const name of files) {
      const content = await readFile(join(folder, name));
      await writeFile(join(folder, name), content.with(100, (content[100] ?? 0) ^ 1));
    }
    await assert.rejects(compiler({ directory: folder, program: noProgram }).compile(bytes, limits), SandboxError);
    assert.deepEqual(await kept(folder, bytes), files);
    const again = await compiler({ directory: folder, program: noProgram }).compile(bytes, limits);
    assert.equal(call((await started(again)).exports, "run", 0), 6);
  });

  it("keeps no more than it may, and forgets what was not used for longest", async () => {
    const folder = await mkdtemp(join(directory, "small-"));
    const first = await kept(folder, await exporting("(i32.const 7)"));
    const sizes = await Promise.all(first.map(async (name) => (await readFile(join(folder, name))).length));
    const total = sizes.reduce((sum, size) => sum + size, 0);
    const left = await kept(folder, await exporting("(i32.const 8)"), 1.2 * total);
    assert.equal(left.length, 2);
    assert.ok(left.every((name) => !first.includes(name)));
  });

  it("works where nothing can be kept", async () => {
    const bytes = await exporting("(i32.const 9)");
    const file = join(directory, "file");
    await writeFile(file, "");
    for (const place of [undefined, join(file, "folder")])
      assert.equal((await compiler({ directory: place }).compile(bytes, limits)).cores.size, 1);
  });

  it("gives up a component that takes too long, or whose process ends", async () => {
    const bytes = await exporting("(i32.const 10)");
    await assert.rejects(compiler({ timeoutMs: 1 }).compile(bytes, limits), refused(/longer than 1 ms to transpile/));
    await assert.rejects(
      compiler({ program: noProgram }).compile(bytes, limits),
      refused(/could not be transpiled: its process ended with 1/),
    );
  });

  it("ends its process when it is disposed of, and takes no more", async () => {
    const ending = new ComponentCompiler({ modules, interfaces });
    const bytes = await exporting("(i32.const 11)");
    const outcome = assert.rejects(ending.compile(bytes, limits), refused(/was shut down/));
    await eventually("the process runs", () => process.getActiveResourcesInfo().includes("ProcessWrap"));
    await ending[Symbol.asyncDispose]();
    await outcome;
    await assert.rejects(ending.compile(bytes, limits), refused(/was shut down/));
  });
});

describe("the code generated for a component", () => {
  const generated = (text: string): string =>
    `const _debugLog = (...args) => {\n if (!globalThis?.process?.env?.JCO_DEBUG) { return; }\n};\n${text}\nexport function instantiate(a, b, c) {\nreturn _util;\n};\nexport const _util = {\n}\n`;

  it("is let go with what it was evaluated for", () => {
    class Nothing {}
    const used = (): number => {
      queryObjects(Nothing);
      return process.memoryUsage().heapUsed;
    };
    const body = Array.from({ length: 4_000 }, (_, index) => `function f${index}(a) { return a + ${index}; }`).join(
      "\n",
    );
    const evaluate = (round: number): void =>
      void evaluateGlue(patchGlue(generated(`// ${round}\n${body}`)), "sha256:0");
    evaluate(0);
    const before = used();
    for (let round = 1; round <= 30; round++) evaluate(round);
    assert.ok(used() - before < 2 * body.length, `grew by ${used() - before} bytes for 30 times ${body.length}`);
  });

  it("takes code that another thread made of it, and runs as it would without", async () => {
    const text = patchGlue(generated("")).replace("return _util", "return [a, b]");
    const address = import.meta.resolve("./evaluate-glue.ts");
    const worker = new Worker(
      `const { workerData, parentPort } = require("node:worker_threads");
       import(workerData.address).then(({ evaluateGlue }) =>
         parentPort.postMessage(evaluateGlue(workerData.text, "sha256:0").takeCode()));`,
      { eval: true, workerData: { address, text } },
    );
    const [code] = await once(worker, "message");
    assert.equal(new Script(glueScript(text), { cachedData: code, lineOffset: -1 }).cachedDataRejected, false);
    const nothing = (): never => assert.fail();
    for (const known of [code, new Uint8Array(40), undefined])
      assert.deepEqual(await evaluateGlue(text, "sha256:0", known).instantiate(nothing, {}, nothing), [nothing, {}]);
  });

  it("is the body of one function", () => {
    const ending = patchGlue(generated("")).replace("return instantiate;", "}); (function () {");
    assert.throws(() => evaluateGlue(ending, "sha256:0"), SyntaxError);
  });

  it("sees nothing of the process, and is refused when it is not as expected", async () => {
    const asking =
      "const seen = [typeof process, typeof fetch, typeof require, globalThis.process, Object.keys(globalThis)];";
    const text = generated(asking).replace("return _util", "return seen");
    const { instantiate } = evaluateGlue(patchGlue(text), "sha256:0");
    const nothing = (): never => assert.fail();
    assert.deepEqual(await instantiate(nothing, {}, nothing), [
      "undefined",
      "undefined",
      "undefined",
      undefined,
      ["WebAssembly"],
    ]);
    const other = generated("").replace("{ return; }", "{ return undefined; }");
    assert.throws(() => patchGlue(other), refused(/not as expected: the reading of the environment/));
    assert.throws(() => patchGlue(generated('import "node:fs";')), refused(/import or export that is not known/));
    assert.throws(() => patchGlue(generated("const captureTable0= new Map();")), refused(/a table of resources/));
  });
});
