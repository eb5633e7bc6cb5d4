import assert from "node:assert/strict";
import { mkdtemp, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { makeFolder, makeFolderSync } from "./make-folder.ts";

let directory = "";
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "outrigger-folder-"));
});
afterEach(() => rm(directory, { recursive: true, force: true }));

for (const make of [makeFolder, async (path: string) => makeFolderSync(path)]) {
  test(`makes what is missing and leaves what is there (${make.name})`, async () => {
    const path = join(directory, "a", "b", "c");
    await Promise.all([make(path), make(join(directory, "a", "b", "d")), make(path)]);
    await make(path);
    assert.ok((await stat(path)).isDirectory());
    assert.ok((await stat(join(directory, "a", "b", "d"))).isDirectory());
  });

  test(`ends where no folder can be (${make.name})`, async () => {
    await writeFile(join(directory, "file"), "");
    await assert.rejects(make(join(directory, "file")), { code: "EEXIST" });
    await assert.rejects(make(join(directory, "file", "below")), { code: "ENOTDIR" });
    if (process.platform !== "linux") return;
    await assert.rejects(make("/proc/outrigger-none"), { code: "ENOENT" });
    await assert.rejects(make("/proc/outrigger-none/below"), { code: "ENOENT" });
  });
}
