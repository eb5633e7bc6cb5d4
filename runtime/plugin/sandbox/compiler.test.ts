import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { fileURLToPath, pathToFileURL } from "node:url";
import { promisify } from "node:util";
import { build } from "esbuild";
import { moduleBytes, moduleOf, section } from "../../../test/support/module-bytes.ts";
import { assemble } from "../../../test/support/wat.ts";
import { SandboxCompiler } from "./compiler.ts";
import { SandboxError } from "./sandbox-error.ts";
import { fuelGauge, type SandboxLimits } from "./sandboxed-module.ts";

const limits: SandboxLimits = { memoryBytes: 4 << 16, tableEntries: 100, startFuel: 10_000 };

const refused =
  (message: RegExp) =>
  (error: unknown): boolean =>
    error instanceof SandboxError && message.test(error.message);

const spinning = (): Promise<Uint8Array<ArrayBuffer>> =>
  assemble("spinning", `(module (func (export "run") (loop (br 0))))`);

describe("the compiler", () => {
  it("gives a module that runs in the sandbox, with its digest and sizes", async () => {
    await using compiler = new SandboxCompiler();
    const bytes = await spinning();
    const sandboxed = await compiler.compile(bytes, limits);
    assert.equal(sandboxed.digest, `sha256:${createHash("sha256").update(bytes).digest("hex")}`);
    assert.equal(sandboxed.originalBytes, bytes.length);
    assert.ok(sandboxed.rewrittenBytes > bytes.length);
    assert.deepEqual(sandboxed.limits, limits);
    const instance = new WebAssembly.Instance(sandboxed.module);
    const { run } = instance.exports;
    assert.ok(typeof run === "function");
    assert.throws(() => Reflect.apply(run, undefined, []), WebAssembly.RuntimeError);
    assert.ok(fuelGauge(instance).get() < 0);
  });

  it("leaves the bytes that it was given alone, and may be given a part of a larger buffer", async () => {
    await using compiler = new SandboxCompiler();
    const bytes = await spinning();
    const buffer = new Uint8Array(bytes.length + 20);
    buffer.set(bytes, 10);
    const part = buffer.subarray(10, 10 + bytes.length);
    await compiler.compile(part, limits);
    assert.deepEqual(part, bytes);
  });

  it("tells which texts are among the data of a module, when it is to look for some", async () => {
    const bytes = await assemble("data", `(module (memory 1) (data (i32.const 0) "some"))`);
    await using looking = new SandboxCompiler({ texts: ["some", "other"] });
    assert.deepEqual((await looking.compile(bytes, limits)).texts, ["some"]);
    await using compiler = new SandboxCompiler();
    assert.equal((await compiler.compile(bytes, limits)).texts, undefined);
  });

  it("compiles the same bytes with the same limits once", async () => {
    await using compiler = new SandboxCompiler();
    const bytes = await spinning();
    const [first, second] = await Promise.all([compiler.compile(bytes, limits), compiler.compile(bytes, limits)]);
    const third = await compiler.compile(bytes.slice(), { ...limits });
    const other = await compiler.compile(bytes, { ...limits, startFuel: 1 });
    assert.equal(first.module, second.module);
    assert.equal(first.module, third.module);
    assert.notEqual(first.module, other.module);
  });

  it("forgets the modules that were not used for longest", async () => {
    await using compiler = new SandboxCompiler({ cachedModules: 2 });
    const compile = async (value: number): Promise<WebAssembly.Module> =>
      (await compiler.compile(moduleOf(0x41, value, 0x1a), limits)).module;
    const [first, second] = [await compile(1), await compile(2)];
    assert.equal(await compile(1), first);
    await compile(3);
    assert.equal(await compile(1), first);
    assert.notEqual(await compile(2), second);
  });

  it("compiles many modules that are asked for at once", async () => {
    await using compiler = new SandboxCompiler();
    const all = await Promise.all(
      Array.from({ length: 20 }, (_, value) => compiler.compile(moduleOf(0x41, value, 0x1a), limits)),
    );
    assert.equal(new Set(all.map(({ digest }) => digest)).size, 20);
  });

  it("tells why a module is refused, and where, and goes on with the next", async () => {
    await using compiler = new SandboxCompiler();
    const atomic = moduleOf(0x41, 0, 0xfe, 0x10, 2, 0, 0x1a);
    await assert.rejects(compiler.compile(atomic, limits), (error) => {
      assert.ok(error instanceof SandboxError);
      assert.match(error.message, /atomic instructions/);
      assert.equal(error.offset, atomic.indexOf(0xfe));
      return true;
    });
    await assert.rejects(compiler.compile(new Uint8Array(4), limits), refused(/not a WebAssembly module/));
    await compiler.compile(await spinning(), limits);
  });

  it("gives the engine's reason when a module does not validate, about the bytes that it was given", async () => {
    await using compiler = new SandboxCompiler();
    const invalid = moduleOf(0x6a, 0x1a);
    const reason = refused(new RegExp(`does not validate: .*i32\\.add.*@\\+${invalid.indexOf(0x6a)}$`));
    await assert.rejects(compiler.compile(invalid, limits), reason);
    await assert.rejects(compiler.compile(invalid, limits), reason);
    const invalidName = moduleBytes(section(1, [0x60, 0, 0]), section(2, [1, 0xff, 1, 0x61, 0, 0]));
    await assert.rejects(compiler.compile(invalidName, limits), refused(/does not validate: .*UTF-8/));
  });

  it("refuses modules above the limit of bytes", async () => {
    await using compiler = new SandboxCompiler({ maxBytes: 10 });
    await assert.rejects(compiler.compile(new Uint8Array(11), limits), refused(/has 11 bytes, and the limit is 10/));
  });

  it("gives up modules that take too long, each by itself", async () => {
    await using compiler = new SandboxCompiler({ timeoutMs: 1 });
    const all = await Promise.allSettled([1, 2].map((value) => compiler.compile(moduleOf(0x41, value, 0x1a), limits)));
    for (const one of all) assert.ok(one.status === "rejected" && refused(/longer than 1 ms/)(one.reason));
  });

  it("refuses what cannot be given to its thread, and goes on with the next", async () => {
    await using compiler = new SandboxCompiler();
    const parts = [{ bytes: await spinning(), instances: 1 }];
    const again = moduleOf(0x41, 1, 0x1a);
    const [first, ungivable, next] = await Promise.allSettled([
      compiler.compileParts(parts, limits, "sha256:0"),
      compiler.compileParts(parts, limits, "sha256:0"),
      compiler.compile(again, limits),
    ]);
    assert.equal(first.status, "fulfilled");
    assert.ok(
      ungivable.status === "rejected" && refused(/not be given to a thread that compiles it: ./)(ungivable.reason),
    );
    assert.equal(next.status, "fulfilled");
  });

  it("starts its thread again after it was idle", async () => {
    await using compiler = new SandboxCompiler({ idleMs: 1, cachedModules: 0 });
    for (let round = 0; round < 4; round++) {
      const { promise, resolve } = Promise.withResolvers<void>();
      await compiler.compile(await spinning(), limits);
      setTimeout(resolve, round);
      await promise;
    }
  });

  it("compiles as ever when its thread was woken before", async () => {
    await using compiler = new SandboxCompiler();
    compiler.wake();
    compiler.wake();
    assert.ok((await compiler.compile(await spinning(), limits)).rewrittenBytes > 0);
    compiler.wake();
    assert.ok((await compiler.compile(moduleOf(0x41, 1, 0x1a), limits)).rewrittenBytes > 0);
  });

  it("rejects what it has not finished when it is disposed of, and what comes later", async () => {
    const compiler = new SandboxCompiler();
    const all = [1, 2, 3].map((value) => compiler.compile(moduleOf(0x41, value, 0x1a), limits));
    const settled = Promise.allSettled(all);
    await compiler[Symbol.asyncDispose]();
    for (const one of await settled) assert.ok(one.status === "rejected" && refused(/was shut down/)(one.reason));
    await assert.rejects(compiler.compile(moduleOf(), limits), refused(/was shut down/));
    await compiler[Symbol.asyncDispose]();
  });

  it("does not keep the process alive", async () => {
    const script = `
      import { SandboxCompiler } from ${JSON.stringify(new URL("compiler.ts", import.meta.url))};
      const { rewrittenBytes } = await new SandboxCompiler({ idleMs: 3_600_000 })
        .compile(Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0), ${JSON.stringify(limits)});
      console.log(rewrittenBytes > 8);`;
    const { stdout } = await promisify(execFile)(process.execPath, ["--input-type=module", "--eval", script]);
    assert.equal(stdout, "true\n");
  });

  it("finds its thread when it is compiled to JavaScript", async () => {
    const directory = mkdtempSync(join(tmpdir(), "outrigger-sandbox-"));
    try {
      const entryPoints = ["compiler", "compile-worker"].map((name) =>
        fileURLToPath(import.meta.resolve(`./${name}.ts`)),
      );
      const outExtension = { ".js": ".mjs" };
      await build({ entryPoints, outdir: directory, outExtension, bundle: true, format: "esm", platform: "node" });
      const compiled: { SandboxCompiler: typeof SandboxCompiler } = await import(
        pathToFileURL(join(directory, "compiler.mjs")).href
      );
      await using compiler = new compiled.SandboxCompiler();
      assert.ok((await compiler.compile(moduleOf(), limits)).module instanceof WebAssembly.Module);
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  });
});
