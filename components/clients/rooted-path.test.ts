import assert from "node:assert/strict";
import { mkdir, mkdtemp, realpath, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { RuntimeError } from "../error.ts";
import { type RootedPath, rootedPath } from "./rooted-path.ts";

let directory = "";
let folder: RootedPath;
beforeEach(async () => {
  directory = await realpath(await mkdtemp(join(tmpdir(), "outrigger-rooted-")));
  folder = await rootedPath(join(directory, "root", "deep"), "the binding 'files'");
});
afterEach(() => rm(directory, { recursive: true, force: true }));

const isRefused = (error: unknown): boolean => error instanceof RuntimeError && error.code === "INVALID_ARGUMENT";

test("makes the folder, and gives names their paths below it, whether or not there is a file", async () => {
  assert.equal(folder.root, join(directory, "root", "deep"));
  assert.equal(await folder.resolve("a.txt"), join(folder.root, "a.txt"));
  assert.equal(await folder.resolve("a/ключ-🔑/b"), join(folder.root, "a/ключ-🔑/b"));
  assert.equal(await folder.resolve("...hidden.."), join(folder.root, "...hidden.."));
  await writeFile(join(folder.root, "a.txt"), "");
  assert.equal(await folder.resolve("a.txt"), join(folder.root, "a.txt"));
  assert.equal(await folder.resolve("a.txt/below-a-file"), join(folder.root, "a.txt/below-a-file"));
});

test("refuses names that lead out, mean the folder itself or are no names of files", async () => {
  const names = ["", "/etc/passwd", "..", "../x", "a/../../x", "a/..", "a/.", "./a", ".", "a//b", "a/", "//x", "a\0b"];
  for (const name of [...names, "x".repeat(256), "é".repeat(128), "long/".repeat(900)]) {
    await assert.rejects(folder.resolve(name), isRefused, JSON.stringify(name));
  }
  await assert.rejects(folder.resolve("../x"), /^RuntimeError: the binding 'files' refuses the name '\.\.\/x': one of/);
});

test("follows links that stay below and refuses those that lead out, in a circle or nowhere", async () => {
  await mkdir(join(folder.root, "real"));
  await symlink("real", join(folder.root, "inside"));
  await symlink(directory, join(folder.root, "outside"));
  await symlink(`${folder.root}-beside`, join(folder.root, "sibling"));
  await mkdir(`${folder.root}-beside`);
  await symlink(join(directory, "not-yet"), join(folder.root, "nowhere"));
  await symlink("circle", join(folder.root, "circle"));
  await writeFile(join(directory, "secret"), "");
  await symlink(join(directory, "secret"), join(folder.root, "real", "link"));
  assert.equal(await folder.resolve("inside/x/y"), join(folder.root, "real/x/y"));
  for (const name of [
    "outside/x",
    "outside",
    "sibling/x",
    "nowhere",
    "circle",
    "circle/x",
    "inside/link",
    "real/link",
  ]) {
    await assert.rejects(folder.resolve(name), isRefused, name);
  }
});
