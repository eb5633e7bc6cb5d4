import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, it } from "node:test";
import { pathToFileURL } from "node:url";
import { promisify } from "node:util";
import { temporaryDirectory } from "../../test/support/sidecar.ts";
import { answerKind, digestBytes } from "./transpiled.ts";
import { Transpiler } from "./transpiler.ts";

/** What becomes of a component whose process does this, and then answers. */
async function transpiled(work: string, timeoutMs: number): Promise<Uint8Array> {
  await using directory = await temporaryDirectory();
  const file = join(directory.path, "program.mjs");
  const answer = `process.stdout.end(new Uint8Array(${digestBytes + 2}).fill(${answerKind.transpiled}));`;
  await writeFile(file, `${work}\n${answer}\n`);
  await using transpiler = new Transpiler({ timeoutMs, program: pathToFileURL(file) });
  return await transpiler.transpile(new Uint8Array(8), { imports: [], exports: [] });
}

describe("the process that transpiles", () => {
  it("has its time for itself where the system tells what it has used: while others have the processors, it may take longer", async () => {
    const waiting = transpiled("await new Promise((done) => setTimeout(done, 1_500));", 1_000);
    if (process.platform === "linux") assert.equal((await waiting).length, digestBytes + 1);
    else await assert.rejects(waiting, /took longer than 1000 ms to transpile/);
  });

  it("is ended when it works for longer", () =>
    assert.rejects(transpiled("for (;;);", 300), /took longer than 300 ms to transpile/));

  it("is told of where no more files may be open, and starts when they may", async () => {
    const transpiler = JSON.stringify(import.meta.resolve("./transpiler.ts"));
    const program = `
      import { closeSync, openSync } from "node:fs";
      import { Transpiler } from ${transpiler};
      const open = [];
      const transpile = () => new Transpiler().transpile(new Uint8Array(8), { imports: [], exports: [] });
      const tell = ({ name, message }) => console.log(\`\${name}: \${message}\`);
      try {
        for (;;) open.push(openSync("/dev/null", "r"));
      } catch {}
      await transpile().catch(tell);
      open.forEach(closeSync);
      await transpile().catch(tell);`;
    const node = [process.execPath, "--no-warnings", "--input-type=module", "--eval", program];
    const { stdout } = await promisify(execFile)("sh", ["-c", 'ulimit -n 64 && exec "$@"', "sh", ...node]);
    assert.match(stdout, /^SandboxError: .*could not be started: spawn .* EMFILE\nSandboxError: this is not a W/);
  });
});
