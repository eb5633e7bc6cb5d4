import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { text } from "node:stream/consumers";
import { test } from "node:test";

const source = new URL("./log.ts", import.meta.url).href;

test("a log that nobody reads keeps what fits and tells afterwards how many lines it dropped", async () => {
  const count = 40_000;
  const script = `
    import { createLog } from ${JSON.stringify(source)};
    const log = createLog({ level: "info" });
    for (let line = 0; line < ${count}; line++) log.info("x".repeat(1000));
    process.stdout.write("done");`;
  const child = spawn(process.execPath, ["--input-type=module", "--eval", script], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  const [said] = await once(child.stdout, "data");
  assert.equal(String(said), "done");
  const written = await text(child.stderr);
  const lines = written
    .trim()
    .split("\n")
    .map((line): { msg: string; lines?: number } => JSON.parse(line));
  const told = lines.at(-1);
  const kept = lines.length - 1;
  assert.ok(kept > 10_000 && kept < 20_000, `${kept} lines of about 1 KiB waited`);
  assert.equal(told?.lines, count - kept);
  assert.match(told?.msg ?? "", /^\d+ lines of the log were dropped/);
});

test("the last lines are written when the process ends, whichever way", async () => {
  for (const end of ["process.exit(0)", "undefined", 'throw new Error("thrown")']) {
    const script = `
      import { createLog } from ${JSON.stringify(source)};
      const log = createLog({ level: "info" });
      process.on("uncaughtExceptionMonitor", () => log.fatal("failing"));
      log.info("first");
      log.info("last");
      ${end};`;
    const child = spawn(process.execPath, ["--input-type=module", "--eval", script], {
      stdio: ["ignore", "ignore", "pipe"],
    });
    const lines = (await text(child.stderr)).split("\n").filter((line) => line.startsWith("{"));
    const messages = lines.map((line): string => JSON.parse(line).msg);
    assert.deepEqual(messages, end.startsWith("throw") ? ["first", "last", "failing"] : ["first", "last"], end);
  }
});
