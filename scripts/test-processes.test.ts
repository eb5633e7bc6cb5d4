import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { eventually } from "../test/conformance/backend.ts";
import { temporaryDirectory } from "../test/support/sidecar.ts";

/** Starts a server and a process, and says that it has passed. */
const leaking = `
  import { spawn } from "node:child_process";
  import { createServer } from "node:net";
  import { it } from "node:test";
  it("opens what it does not close", () => new Promise((resolve) => {
    console.log("started", spawn(process.execPath, ["--eval", "setInterval(() => {}, 1000)", "left-over"]).pid);
    createServer().listen(0, "127.0.0.1", resolve);
  }));`;
const tidy = `import { it } from "node:test"; it("passes", () => {});`;

const runner = (folder: string, files: readonly string[]): string => `
  import { run } from "node:test";
  import { TestProcesses } from ${JSON.stringify(fileURLToPath(new URL("test-processes.ts", import.meta.url)))};
  using processes = new TestProcesses(${JSON.stringify(folder)}, { settleMs: 300, longestMs: 50_000 });
  const tests = run({ files: ${JSON.stringify(files)}, concurrency: 2, execArgv: processes.execArgv });
  processes.follow(tests);
  tests.on("test:stdout", ({ message }) => console.log(message));
  tests.on("test:summary", ({ file, success }) => file === undefined && console.log("success", success));
  for await (const _ of tests);`;

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

async function run(sources: Readonly<Record<string, string>>): Promise<{ readonly out: string; readonly err: string }> {
  await using directory = await temporaryDirectory();
  const files: string[] = [];
  for (const [name, source] of Object.entries(sources)) {
    files.push(join(directory.path, name));
    await writeFile(join(directory.path, name), source);
  }
  // Tests do not run tests where this says that they are tests.
  const { NODE_TEST_CONTEXT: _, ...env } = process.env;
  const main = join(directory.path, "runner.mjs");
  await writeFile(main, runner(directory.path, files));
  const child = spawn(process.execPath, [main], { env });
  const [out, err] = await Promise.all([text(child.stdout), text(child.stderr)]);
  return { out, err };
}

describe("the processes of test files", () => {
  it("are ended with what they started, and fail, when they do not end after their tests", async () => {
    const { out, err } = await run({ "leaking.test.mjs": leaking, "tidy.test.mjs": tidy });
    assert.match(out, /^success false$/m);
    assert.match(
      err,
      /leaking\.test\.mjs is ended, which fails it: its tests are over for 0\.3 s, and it still has open:/,
    );
    assert.match(err, /^ {2}tcp at 127\.0\.0\.1:\d+$/m);
    assert.match(err, /^ {2}process \d+: .*left-over$/m);
    assert.doesNotMatch(err, /tidy/);
    const started = Number(/started (\d+)/.exec(out)?.[1]);
    await eventually("what it started has ended", () => !isRunning(started));
  });

  it("are left alone when they end by themselves", async () => {
    const { out, err } = await run({ "tidy.test.mjs": tidy });
    assert.match(out, /^success true$/m);
    assert.equal(err, "");
  });
});
