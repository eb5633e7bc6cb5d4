import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { assemble } from "../../test/support/wat.ts";
import { foreignModule } from "./prepare.ts";

const told = async (name: string, text: string): Promise<string | undefined> =>
  foreignModule(new WebAssembly.Module(new Uint8Array(await assemble(name, `(module ${text})`))));

describe("a module that speaks no Proxy-Wasm", () => {
  it("is told apart by what it imports and exports, with what to make of it", async () => {
    const wasi = '(import "wasi_snapshot_preview1" "proc_exit" (func (param i32)))';
    assert.match(
      (await told("reactor", `${wasi} (func (export "_initialize"))`)) ?? "",
      /^it is a core module of WASI preview 1; make the component of it by 'npx @bytecodealliance\/jco new FILE --wasi-reactor/,
    );
    assert.match(
      (await told("command", `${wasi} (func (export "_start"))`)) ?? "",
      /^it is a program of WASI preview 1/,
    );
    const handler = '(func (export "outrigger:runtime/handler@0.1.0#handle"))';
    assert.match((await told("core", `${wasi} ${handler}`)) ?? "", /^it is the core module of a component; make/);
  });

  it("is not explained when it may be anything, or speaks another version", async () => {
    assert.equal(await told("mute", '(func (export "run"))'), undefined);
    const wasi = '(import "wasi_snapshot_preview1" "proc_exit" (func (param i32)))';
    assert.equal(await told("later", `${wasi} (func (export "proxy_abi_version_9_9_9"))`), undefined);
  });
});
