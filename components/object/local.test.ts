import assert from "node:assert/strict";
import { mkdir, readdir, readFile, rename, rm, symlink, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, it } from "node:test";
import { bytesOf, callWith, eventually } from "../../test/conformance/backend.ts";
import { openContext } from "../../test/support/open-context.ts";
import { temporaryDirectory } from "../../test/support/sidecar.ts";
import type { OpenContext } from "../component.ts";
import { localObjectStore } from "./local.ts";
import type { ObjectStore } from "./object-store.ts";

interface Rig extends AsyncDisposable {
  readonly store: ObjectStore;
  /** The path of what lies in the folder. */
  at(...names: readonly string[]): string;
  put(name: string, text: string, metadata?: Record<string, string>): Promise<void>;
  read(name: string): Promise<string | undefined>;
  names(prefix?: string): Promise<string[]>;
}

const openAt = (path: string, settings: object = {}, changes: Partial<OpenContext> = {}) =>
  localObjectStore.open(localObjectStore.config.parse({ path, ...settings }), openContext("files", changes));

async function open(settings: object = {}, changes: Partial<OpenContext> = {}): Promise<Rig> {
  const parts = new AsyncDisposableStack();
  const directory = parts.use(await temporaryDirectory());
  const folder = join(directory.path, "files");
  const store = parts.use(await openAt(folder, settings, changes));
  return {
    store,
    at: (...names) => join(folder, ...names),
    put: (name, text, metadata = {}) => store.put({ name, data: chunks(text), metadata }, callWith()),
    async read(name) {
      const found = await store.get({ name }, callWith());
      return found === undefined ? undefined : Buffer.concat(await Array.fromAsync(found)).toString();
    },
    async names(prefix = "") {
      const { objects } = await store.list({ prefix, pageSize: 1000, marker: "" }, callWith());
      return objects.map(({ name }) => name);
    },
    [Symbol.asyncDispose]: () => parts.disposeAsync(),
  };
}

async function* chunks(text: string) {
  for (const character of text) yield bytesOf(character);
}

describe("a local file store", () => {
  it("keeps files under their own names, and serves those that others put there", async () => {
    await using rig = await open();
    await rig.put("2026/may/report.txt", "ours");
    assert.equal(await readFile(rig.at("2026", "may", "report.txt"), "utf8"), "ours");
    await writeFile(rig.at("2026", "theirs.txt"), "theirs");
    assert.equal(await rig.read("2026/theirs.txt"), "theirs");
    assert.deepEqual(await rig.names(), ["2026/may/report.txt", "2026/theirs.txt"]);
    assert.deepEqual((await rig.store.stat({ name: "2026/theirs.txt" }, callWith()))?.metadata, {});
    await rig.store.delete({ name: "2026/may/report.txt" }, callWith());
    assert.deepEqual(await readdir(rig.at("2026")), ["theirs.txt"], "a folder in which nothing is left is gone");
  });

  it("refuses names that lead elsewhere or are its own with a sentence", async () => {
    await using rig = await open();
    const names = ["../up", "a/../../up", "..", ".", "/etc/passwd", "a//b", "a/", "nul\0", "", ".outrigger/put/x"];
    for (const name of [...names, ".outrigger", "a/b.outrigger-file", `${"x".repeat(256)}/y`]) {
      const refused = { code: "INVALID_ARGUMENT", message: /file store 'files'/ };
      await assert.rejects(rig.put(name, "x"), refused, name);
      await assert.rejects(rig.read(name), refused, name);
      await assert.rejects(rig.store.stat({ name }, callWith()), refused, name);
      await assert.rejects(rig.store.delete({ name }, callWith()), refused, name);
    }
    for (const prefix of ["..", "../", "/", ".outrigger"]) assert.deepEqual(await rig.names(prefix), []);
  });

  it("follows no link out of its folder, and lists no link", async () => {
    await using rig = await open();
    await mkdir(rig.at("..", "outside"));
    await writeFile(rig.at("..", "outside", "secret"), "hunter2");
    await symlink("../outside", rig.at("folder"));
    await symlink("../outside/secret", rig.at("file"));
    await symlink("nowhere", rig.at("dangling"));
    for (const name of ["folder/secret", "folder/new", "file", "dangling"]) {
      await assert.rejects(rig.read(name), { code: "INVALID_ARGUMENT" }, name);
      await assert.rejects(rig.put(name, "x"), { code: "INVALID_ARGUMENT" }, name);
      await assert.rejects(rig.store.delete({ name }, callWith()), { code: "INVALID_ARGUMENT" }, name);
    }
    assert.deepEqual(await rig.names(), []);
    assert.deepEqual(await readdir(rig.at("..", "outside")), ["secret"]);
    assert.equal(await readFile(rig.at("..", "outside", "secret"), "utf8"), "hunter2");
  });

  it("has a file and files below its name side by side, whichever came first", async () => {
    await using rig = await open();
    await rig.put("a", "file", { kept: "yes" });
    await rig.put("a/b/c", "deep");
    await rig.put("a/b", "between");
    await rig.put("d/e", "below");
    await rig.put("d", "above");
    await rig.put("d", "above again");
    const texts = { a: "file", "a/b": "between", "a/b/c": "deep", d: "above again", "d/e": "below" };
    assert.deepEqual(await rig.names(), Object.keys(texts));
    for (const [name, text] of Object.entries(texts)) assert.equal(await rig.read(name), text);
    assert.deepEqual((await rig.store.stat({ name: "a" }, callWith()))?.metadata, { kept: "yes" });
    await rig.store.delete({ name: "a/b/c" }, callWith());
    await rig.store.delete({ name: "a/b" }, callWith());
    await rig.put("a", "file again");
    assert.deepEqual(await rig.names("a"), ["a"]);
    assert.equal(await rig.read("a"), "file again");
    await rig.store.delete({ name: "a" }, callWith());
    assert.equal(await rig.read("a"), undefined);
  });

  it("gives metadata with the version of the file that it was put with", async () => {
    await using rig = await open();
    const metadataOf = async (name: string) => (await rig.store.stat({ name }, callWith()))?.metadata;
    await rig.put("a", "one", { version: "one", __proto__x: "odd" });
    assert.deepEqual(await metadataOf("a"), { version: "one", __proto__x: "odd" });
    for (let version = 0; version < 20; version++) {
      await rig.put("a", "two", { version: `${version}` });
      assert.deepEqual(await metadataOf("a"), { version: `${version}` });
    }
    await rig.put("a", "six");
    assert.deepEqual(await metadataOf("a"), {});
    await rig.put("b", "x", { of: "b" });
    await writeFile(rig.at("b"), "changed by others");
    assert.deepEqual(await metadataOf("b"), {});
    const large = { large: "x".repeat(20_000) };
    await assert.rejects(rig.put("c", "x", large), { code: "INVALID_ARGUMENT", message: /the metadata of 'c' is/ });
    await rig.store.delete({ name: "b" }, callWith());
  });

  it("lists in shorter pages what would not fit into a message", async () => {
    await using rig = await open();
    const metadata = { large: "x".repeat(16_000) };
    for (let index = 0; index < 100; index++) await rig.put(`${index}`.padStart(3, "0"), "", metadata);
    const first = await rig.store.list({ prefix: "", pageSize: 1000, marker: "" }, callWith());
    const second = await rig.store.list({ prefix: "", pageSize: 1000, marker: first.marker }, callWith());
    assert.ok(first.objects.length < 80);
    assert.equal(first.objects.length + second.objects.length, 100);
    assert.equal(second.marker, "");
  });

  it("refuses what is larger than maxFileBytes, or would fill the disk, and leaves nothing of it", async () => {
    await using rig = await open({ maxFileBytes: 10 });
    await rig.put("a", "ten bytes.");
    await assert.rejects(rig.put("a", "eleven byte"), {
      code: "RESOURCE_EXHAUSTED",
      message: "the file is larger than file store 'files' takes; raise its maxFileBytes (10)",
    });
    assert.equal(await rig.read("a"), "ten bytes.");
    assert.deepEqual(await readdir(rig.at(".outrigger", "put")), []);
    await using full = await openAt(rig.at(), { keepFreeBytes: Number.MAX_SAFE_INTEGER });
    await assert.rejects(full.put({ name: "b", data: chunks("x"), metadata: {} }, callWith()), {
      code: "RESOURCE_EXHAUSTED",
      message: /make room$/,
    });
    assert.deepEqual(await rig.names(), ["a"]);
    assert.deepEqual(await readdir(rig.at(".outrigger", "put")), []);
  });

  it("removes what a process that ended amid a put left behind, but not what another writes now", async () => {
    await using rig = await open();
    const [old, young] = [rig.at(".outrigger", "put", "old"), rig.at(".outrigger", "put", "young")];
    await writeFile(old, "half a fi");
    await utimes(old, 0, 0);
    await writeFile(young, "half a fi");
    await using _again = await openAt(rig.at());
    assert.deepEqual(await readdir(rig.at(".outrigger", "put")), ["young"]);
    assert.deepEqual(await rig.names(), []);
  });

  it("ends a read whose call ends", async () => {
    await using rig = await open();
    await rig.put("a", "text");
    const cancel = new AbortController();
    const found = await rig.store.get({ name: "a" }, callWith(cancel.signal));
    const reason = new Error("the caller has gone");
    cancel.abort(reason);
    await assert.rejects(async () => Array.fromAsync(found ?? []), reason);
  });

  it("fails with UNAVAILABLE while its folder is away, rather than to have no files", async () => {
    const told: string[] = [];
    const reachability = { down: () => void told.push("down"), up: () => void told.push("up") };
    await using rig = await open({}, { reachability });
    await rig.put("a", "text");
    await rename(rig.at(), rig.at("..", "unmounted"));
    const away = { code: "UNAVAILABLE", message: /'files'/ };
    await assert.rejects(rig.read("a"), away);
    await assert.rejects(rig.put("a", "x"), away);
    await assert.rejects(rig.names(), away);
    await assert.rejects(rig.store.stat({ name: "a" }, callWith()), away);
    await eventually("it is told to be away", () => told.length === 1);
    await rm(rig.at(), { recursive: true, force: true });
    await rename(rig.at("..", "unmounted"), rig.at());
    assert.equal(await rig.read("a"), "text");
    await eventually("it is told to be back", () => told.length === 2);
    assert.deepEqual(told, ["down", "up"]);
  });

  it("is refused at the start when its folder cannot be made", async () => {
    await using directory = await temporaryDirectory();
    await writeFile(join(directory.path, "file"), "");
    await assert.rejects(openAt(join(directory.path, "file")), {
      code: "FAILED_PRECONDITION",
      message: /^the folder '.*' of file store 'files' cannot be used: EEXIST$/,
    });
    if (process.platform !== "linux") return;
    await assert.rejects(openAt("/proc/outrigger-none"), {
      message: /'\/proc\/outrigger-none' .* cannot be used: ENOENT$/,
    });
  });
});
