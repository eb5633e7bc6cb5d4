import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { after, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { openCompiler } from "../../test/bench/support/component-calls.ts";
import { componentGuest } from "../../test/support/component-guests.ts";
import { rehearse } from "./rehearsal.ts";

const opened = openCompiler();
const { compiler } = opened;
after(() => opened[Symbol.asyncDispose]());
const limits = { memoryBytes: 16 * 1024 ** 2, tableEntries: 10_000, startFuel: 50_000_000 };

const exporting = async (name: string, source: string) => {
  const state = "import outrigger:runtime/state@0.1.0;";
  const wit = `package test:guest@0.1.0;\nworld guest { ${state} export outrigger:runtime/${name}@0.1.0; }`;
  return await compiler.compile(await componentGuest({ source, wit, world: "guest", wasi: "none" }), limits);
};

describe("a rehearsal", () => {
  it("leaves nothing of the module to be compiled by the first call", async () => {
    const program = fileURLToPath(import.meta.resolve("../../test/support/first-call.ts"));
    const parameters = ["--no-warnings", "--trace-wasm-compilation-times", program];
    const { stdout } = await promisify(execFile)(process.execPath, parameters, { maxBuffer: 64 * 1024 ** 2 });
    const [before = "", during = ""] = stdout.split(/^the first call .*$/m);
    assert.match(before, /^Compiled function .* using Liftoff/m);
    assert.doesNotMatch(during, /using Liftoff/);
  });

  for (const [what, body] of [
    ["runs for ever", "for (;;) {}"],
    ["takes all memory", "const all = []; for (;;) all.push(new Uint8Array(65536));"],
    ["throws", "throw new Error('not today');"],
  ] as const)
    it(`ends with a guest that ${what}`, async () => {
      const guest = await exporting("handler", `export const handler = { handle() { ${body} } };`);
      const used = await rehearse(guest);
      assert.ok(used <= limits.memoryBytes, `${used} bytes`);
    });

  for (const [what, name, called] of [
    ["a service does", "handler", "handler = { handle"],
    ["a filter does with a request", "filter", "filter = { onRequest"],
    ["a filter does with a response", "response-filter", "responseFilter = { onResponse"],
  ] as const)
    it(`goes through what ${what}, also after it has waited`, async () => {
      const tenMegabytes = "globalThis.kept = new Uint8Array(10_000_000);";
      const body = `get("store", "key"); ${tenMegabytes} return { tag: "pass", status: 200, headers: [], body: new Uint8Array() };`;
      const source = `import { get } from "outrigger:runtime/state@0.1.0"; export const ${called}() { ${body} } };`;
      assert.ok((await rehearse(await exporting(name, source))) > 10_000_000);
    });
});
