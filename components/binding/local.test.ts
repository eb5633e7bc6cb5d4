import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { bytesOf, callWith } from "../../test/conformance/backend.ts";
import { openContext } from "../../test/support/open-context.ts";
import { RuntimeError } from "../error.ts";
import type { Binding } from "./binding.ts";
import { localBinding } from "./local.ts";

let directory = "";
let binding: Binding;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "outrigger-local-"));
  binding = await opened({});
});
afterEach(async () => {
  await binding[Symbol.asyncDispose]();
  await rm(directory, { recursive: true, force: true });
});

const opened = (settings: object): Promise<Binding> =>
  localBinding.open(
    localBinding.config.parse({ path: "files", ...settings }),
    openContext("files", { dataDirectory: directory }),
  );

async function invoke(operation: string, fileName?: string, data = ""): Promise<string> {
  const metadata: Record<string, string> = fileName === undefined ? {} : { fileName };
  const response = await binding.invoke({ operation, data: bytesOf(data), metadata }, callWith());
  return Buffer.from(response.data).toString();
}

const failsWith = (code: string) => (error: unknown) => error instanceof RuntimeError && error.code === code;

test("writes, reads, lists and deletes files in folders that are made on the way", async () => {
  assert.equal(await invoke("create", "2026/may/a.txt", "one"), '{"fileName":"2026/may/a.txt"}');
  await invoke("create", "b.txt", "two");
  assert.equal(await readFile(join(directory, "files/2026/may/a.txt"), "utf8"), "one");
  assert.equal(await invoke("get", "2026/may/a.txt"), "one");
  assert.equal(await invoke("list"), '["2026/may/a.txt","b.txt"]');
  assert.equal(await invoke("list", "2026/"), '["2026/may/a.txt"]');
  assert.equal(await invoke("list", "no/such/folder"), "[]");
  await invoke("delete", "2026/may/a.txt");
  await invoke("delete", "2026/may/a.txt");
  await assert.rejects(invoke("get", "2026/may/a.txt"), failsWith("NOT_FOUND"));
  assert.equal(await invoke("list"), '["b.txt"]');
});

test("names a file that comes without a name", async () => {
  const { fileName } = JSON.parse(await invoke("create", undefined, "text"));
  assert.match(fileName, /^[\da-f-]{36}$/);
  assert.equal(await invoke("get", fileName), "text");
});

test("writes over a file as a whole and leaves no draft behind", async () => {
  await invoke("create", "a", "long ago");
  await invoke("create", "a", "now");
  assert.equal(await invoke("get", "a"), "now");
  await mkdir(join(directory, "files", "folder"));
  await assert.rejects(invoke("create", "folder", "x"), failsWith("FAILED_PRECONDITION"));
  await assert.rejects(invoke("create", "a/below", "x"), failsWith("FAILED_PRECONDITION"));
  assert.deepEqual((await readdir(join(directory, "files"))).sort(), ["a", "folder"]);
});

test("leaves the folder by no operation", async () => {
  await writeFile(join(directory, "secret"), "secret");
  await symlink("../secret", join(directory, "files", "link"));
  await symlink("..", join(directory, "files", "up"));
  for (const name of ["../secret", "/etc/passwd", "link", "up/secret", "a/../../secret", "a\0b"]) {
    for (const operation of ["create", "get", "delete", "list"]) {
      await assert.rejects(invoke(operation, name, "x"), failsWith("INVALID_ARGUMENT"), `${operation} ${name}`);
    }
  }
  assert.equal(await readFile(join(directory, "secret"), "utf8"), "secret");
  assert.equal(await invoke("list"), "[]");
});

test("keeps the names of its drafts to itself, and asks for a name where it needs one", async () => {
  await writeFile(join(directory, "files", ".outrigger-left-behind"), "half");
  assert.equal(await invoke("list"), "[]");
  for (const operation of ["create", "get", "delete"])
    await assert.rejects(invoke(operation, ".outrigger-left-behind"), failsWith("INVALID_ARGUMENT"));
  for (const operation of ["get", "delete"]) await assert.rejects(invoke(operation), failsWith("INVALID_ARGUMENT"));
});

test("takes no file over its limit, waits for no pipe, and lists no more than it may", async () => {
  binding = await opened({ maxBytes: 3, maxListed: 2 });
  await writeFile(join(directory, "files", "large"), "large");
  await assert.rejects(invoke("create", "a", "four"), failsWith("RESOURCE_EXHAUSTED"));
  await assert.rejects(invoke("get", "large"), failsWith("RESOURCE_EXHAUSTED"));
  execFileSync("mkfifo", [join(directory, "files", "pipe")]);
  await assert.rejects(invoke("get", "pipe"), failsWith("NOT_FOUND"));
  await assert.rejects(invoke("get", ""), failsWith("INVALID_ARGUMENT"));
  await invoke("create", "a", "1");
  assert.equal(await invoke("list"), '["a","large"]');
  await invoke("create", "b", "1");
  await assert.rejects(invoke("list"), failsWith("RESOURCE_EXHAUSTED"));
});

test("says at the start when its folder cannot be one", async () => {
  await writeFile(join(directory, "file"), "");
  await assert.rejects(opened({ path: "file/below" }), /the folder .*file\/below cannot be used: E/);
});
