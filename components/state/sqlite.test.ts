import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { callWith } from "../../test/conformance/backend.ts";
import { openContext } from "../../test/support/open-context.ts";
import { RuntimeError } from "../error.ts";
import { sqliteStateStore } from "./sqlite.ts";

const writer = fileURLToPath(new URL("../../test/support/state-writer.ts", import.meta.url));

test("a kill -9 loses no acknowledged write, and its file is refused while the owner lives only", async () => {
  const dataDirectory = await mkdtemp(join(tmpdir(), "outrigger-sqlite-"));
  const open = () => sqliteStateStore.open({}, openContext("orders", { dataDirectory }));
  const child = spawn(process.execPath, [writer, dataDirectory], { stdio: ["ignore", "pipe", "inherit"] });
  const exited = once(child, "exit");
  try {
    const acknowledged: string[] = [];
    const lines = createInterface({ input: child.stdout });
    const ended = once(lines, "close");
    const enough = Promise.withResolvers<void>();
    lines.on("line", (key) => {
      if (acknowledged.push(key) === 500) enough.resolve();
    });
    await Promise.race([enough.promise, exited]);
    await assert.rejects(open(), isRefusal("DATABASE_IN_USE"));
    child.kill("SIGKILL");
    await Promise.all([exited, ended]);
    assert.ok(acknowledged.length >= 500);

    await using store = await open();
    const isKept = async (key: string): Promise<boolean> => {
      const entry = await store.get({ key, consistency: "strong" }, callWith());
      return entry !== undefined && Buffer.from(entry.value).equals(Buffer.from(`value of ${key}`));
    };
    const lost: string[] = [];
    for (let begin = 0; begin < acknowledged.length; begin += 1000) {
      const keys = acknowledged.slice(begin, begin + 1000);
      const kept = await Promise.all(keys.map(isKept));
      lost.push(...keys.filter((_, index) => kept[index] !== true));
    }
    assert.deepEqual(lost, []);
  } finally {
    child.kill("SIGKILL");
    await exited;
    await rm(dataDirectory, { recursive: true, force: true });
  }
});

const isRefusal =
  (reason: string) =>
  (error: unknown): boolean =>
    error instanceof RuntimeError && error.code === "FAILED_PRECONDITION" && error.reason === reason;
