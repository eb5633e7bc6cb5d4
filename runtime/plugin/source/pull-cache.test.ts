import assert from "node:assert/strict";
import { mkdtemp, readdir, rm, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import { digestOf } from "../digest.ts";
import { PullCache } from "./pull-cache.ts";

describe("the cache of fetched modules", () => {
  let directory: string;
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), "outrigger-cache-"));
  });
  afterEach(() => rm(directory, { recursive: true }));

  const modules = (): Promise<string[]> => readdir(join(directory, "sha256"));
  const bytesOf = (text: string): Uint8Array<ArrayBuffer> => new Uint8Array(Buffer.from(text.repeat(100)));
  const keep = (cache: PullCache, reference: string, bytes: Uint8Array): Promise<void> =>
    cache.keep({ reference, module: digestOf(bytes), signatures: [] }, bytes);
  /** The times of files are too coarse to tell what happens within a test. */
  const age = (bytes: Uint8Array, seconds: number): Promise<void> => {
    const then = new Date(Date.now() - seconds * 1_000);
    return utimes(join(directory, "sha256", digestOf(bytes).slice(7)), then, then);
  };

  it("gives back what was kept, and keeps a module once for all references", async () => {
    const cache = new PullCache(directory, 1_000_000);
    assert.equal(await cache.find("one"), undefined);
    for (const reference of ["one", "two"]) await keep(cache, reference, bytesOf("a"));
    for (const reference of ["one", "two"]) assert.deepEqual((await cache.find(reference))?.bytes, bytesOf("a"));
    assert.equal((await modules()).length, 1);
    assert.equal(await cache.find("three"), undefined);
  });

  it("drops what was not used for longest when there is too much, and keeps nothing that is larger than all", async () => {
    const cache = new PullCache(directory, 250);
    const [first, second, third] = [bytesOf("a"), bytesOf("b"), bytesOf("c")];
    await keep(cache, "first", first);
    await keep(cache, "second", second);
    await age(first, 200);
    await age(second, 100);
    await cache.find("first");
    await keep(cache, "third", third);
    assert.equal(await cache.find("second"), undefined);
    assert.deepEqual((await cache.find("first"))?.bytes, first);
    assert.deepEqual((await cache.find("third"))?.bytes, third);
    await keep(cache, "giant", bytesOf("abc"));
    assert.equal(await cache.find("giant"), undefined);
    assert.equal((await modules()).length, 2);
  });

  it("has nothing where the disk has something else than was written", async () => {
    const cache = new PullCache(directory, 1_000_000);
    const bytes = bytesOf("a");
    await keep(cache, "one", bytes);
    await writeFile(join(directory, "sha256", digestOf(bytes).slice(7)), "broken");
    assert.equal(await cache.find("one"), undefined);
    assert.deepEqual(await modules(), []);
    await keep(cache, "one", bytes);
    const [record = ""] = await readdir(join(directory, "references"));
    for (const text of ["", "{}", '{"reference":"one","module":"sha256:../../x","signatures":[]}']) {
      await writeFile(join(directory, "references", record), text);
      assert.equal(await cache.find("one"), undefined);
    }
  });

  it("keeps nothing where it cannot write, and does not mind", async () => {
    const file = join(directory, "file");
    await writeFile(file, "no folder");
    const cache = new PullCache(file, 1_000_000);
    await keep(cache, "one", bytesOf("a"));
    assert.equal(await cache.find("one"), undefined);
  });

  it("clears away what a process left behind that ended while it wrote", async () => {
    const cache = new PullCache(directory, 1_000_000);
    await keep(cache, "one", bytesOf("a"));
    const left = join(directory, "sha256", "abc.part");
    await writeFile(left, "half");
    await keep(cache, "two", bytesOf("b"));
    assert.equal((await modules()).length, 3, "another process may be writing it");
    const longAgo = new Date(Date.now() - 86_400_000);
    await utimes(left, longAgo, longAgo);
    await keep(cache, "three", bytesOf("c"));
    assert.equal((await modules()).length, 3);
  });
});
