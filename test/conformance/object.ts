/** What every file store does, whatever lies behind it. */
import assert from "node:assert/strict";
import { RuntimeError } from "../../components/error.ts";
import type { ListObjects, ObjectStore, PutObject } from "../../components/object/object-store.ts";
import { createFiles } from "../../runtime/api/file.ts";
import {
  type Backend,
  bytesOf,
  callWith,
  isRefused,
  oddNames,
  openedFor,
  placeFor,
  storesOf,
  unique,
} from "./backend.ts";
import { killsServer, outageChecks, served, whileAway } from "./outage.ts";

const chunkBytes = 64 * 1024;

/** Registers the checks of a file store. */
export function testObjectStore(backend: Backend<ObjectStore>): void {
  const { check, group } = backend.checks;
  const store = openedFor(backend);
  const put = (name: string, data: PutObject["data"] | string, metadata: Record<string, string> = {}): Promise<void> =>
    store().put({ name, data: typeof data === "string" ? chunksOf(bytesOf(data)) : data, metadata }, callWith());
  const bytesAt = async (name: string): Promise<Buffer | undefined> => {
    const found = await store().get({ name }, callWith());
    return found === undefined ? undefined : Buffer.concat(await Array.fromAsync(found));
  };
  const textAt = async (name: string): Promise<string | undefined> => (await bytesAt(name))?.toString();
  const list = (request: Partial<ListObjects>) =>
    store().list({ prefix: "", pageSize: 1000, marker: "", ...request }, callWith());
  /** The names of all pages. */
  const namesOf = async (prefix: string, pageSize: number): Promise<string[]> => {
    const names: string[] = [];
    let marker = "";
    do {
      const page = await list({ prefix, pageSize, marker });
      assert.ok(page.objects.length <= pageSize);
      names.push(...page.objects.map(({ name }) => name));
      marker = page.marker;
    } while (marker !== "");
    return names;
  };

  group("files", () => {
    const sizes: readonly (readonly [string, number])[] = [
      ["nothing at all", 0],
      ["one byte", 1],
      ["a chunk and a byte", chunkBytes + 1],
      ["twelve megabytes", 12 * 1024 ** 2],
    ];
    for (const [what, size] of sizes) {
      check(`are given back as they were put: ${what}`, async () => {
        const name = unique("file");
        const data = Buffer.from(Uint8Array.from({ length: size }, (_, index) => (index * 31) % 251));
        await put(name, chunksOf(data));
        assert.ok((await bytesAt(name))?.equals(data));
        assert.equal((await store().stat({ name }, callWith()))?.size, size);
        await store().delete({ name }, callWith());
      });
    }

    check("that were never put are absent", async () => {
      const name = unique("never");
      assert.equal(await store().get({ name }, callWith()), undefined);
      assert.equal(await store().stat({ name }, callWith()), undefined);
    });

    check("are replaced by the next of their name", async () => {
      const name = unique("replaced");
      await put(name, "a long first text");
      await put(name, "second");
      assert.equal(await textAt(name), "second");
      assert.equal((await store().stat({ name }, callWith()))?.size, 6);
    });

    check("are deleted, also what does not exist", async () => {
      const name = unique("deleted");
      await put(name, "here");
      await store().delete({ name }, callWith());
      assert.equal(await textAt(name), undefined);
      await store().delete({ name }, callWith());
    });

    check("are there for all who open the store with the same settings, and after it was closed", async () => {
      await using place = await placeFor(backend);
      const name = unique("shared");
      {
        await using one = await place.open();
        await using other = await place.open();
        await one.put({ name, data: chunksOf(bytesOf("kept")), metadata: {} }, callWith());
        assert.equal((await other.stat({ name }, callWith()))?.size, 4);
      }
      await using again = await place.open();
      const found = await again.get({ name }, callWith());
      assert.ok(found !== undefined);
      assert.equal(Buffer.concat(await Array.fromAsync(found)).toString(), "kept");
    });

    check("say when they were modified", async () => {
      const name = unique("modified");
      await put(name, "x");
      const modifiedAtMs = (await store().stat({ name }, callWith()))?.modifiedAtMs ?? 0;
      assert.ok(Math.abs(modifiedAtMs - Date.now()) < 60_000, `modified at ${modifiedAtMs}`);
    });

    check("stay apart under odd names, of which some may be refused", async () => {
      const run = unique("odd");
      const kept: string[] = [];
      for (const name of oddNames) {
        const [outcome] = await Promise.allSettled([put(run + name, name)]);
        if (outcome?.status === "fulfilled") kept.push(name);
        else assert.ok(outcome?.reason instanceof RuntimeError && outcome.reason.code === "INVALID_ARGUMENT", name);
      }
      for (const name of kept) assert.equal(await textAt(run + name), name);
      for (const name of ["ключ-🔑-鍵", "case", "CASE", "per%cent", "under_score", "a|b", "{hash}tag*?[a-z]"]) {
        assert.ok(kept.includes(name), `'${name}' is kept`);
      }
      for (const name of kept) await store().delete({ name: run + name }, callWith());
    });

    check("lead to nothing outside of the store, whatever the name", async () => {
      for (const name of ["../outside", "/etc/hostname", "a/../../outside", "..", ".", "", "nul\0inside"]) {
        const [outcome] = await Promise.allSettled([store().stat({ name }, callWith())]);
        if (outcome?.status === "fulfilled") assert.equal(outcome.value, undefined, name);
        else assert.ok(outcome?.reason instanceof RuntimeError && outcome.reason.code === "INVALID_ARGUMENT", name);
      }
    });
  });

  group("metadata", () => {
    const metadata = { owner: "shop", purpose: "test" };
    const refused = (): Promise<void> => {
      const files = createFiles(storesOf("object", backend, store()));
      const request = { store: "conformance", name: unique("metadata"), data: chunksOf(bytesOf("x")), metadata };
      return isRefused(backend, () => files.put(request, callWith()));
    };
    check("is given back", { needs: "metadata", otherwise: refused }, async () => {
      const name = unique("metadata");
      await put(name, "x", metadata);
      const found = await store().stat({ name }, callWith());
      assert.deepEqual({ owner: found?.metadata.owner, purpose: found?.metadata.purpose }, metadata);
      await put(name, "y");
      assert.equal((await store().stat({ name }, callWith()))?.metadata.owner, undefined);
    });
  });

  group("a put", () => {
    check("whose data breaks off leaves what was there before", async () => {
      const [replaced, fresh] = [unique("replaced"), unique("fresh")];
      await put(replaced, "before");
      const reason = new Error("the sender has gone");
      const broken = async function* () {
        yield new Uint8Array(chunkBytes);
        throw reason;
      };
      for (const name of [replaced, fresh]) await assert.rejects(put(name, broken()), reason);
      assert.equal(await textAt(replaced), "before");
      assert.equal(await textAt(fresh), undefined);
      assert.deepEqual(await namesOf(fresh, 10), []);
    });

    check("whose call is cancelled leaves what was there before, and ends the data", async () => {
      const name = unique("cancelled");
      await put(name, "before");
      const cancel = new AbortController();
      const reason = new Error("the caller has gone");
      let ended = false;
      const endless = async function* () {
        try {
          for (let index = 0; ; index++) {
            if (index === 3) cancel.abort(reason);
            yield new Uint8Array(chunkBytes);
          }
        } finally {
          ended = true;
        }
      };
      await assert.rejects(store().put({ name, data: endless(), metadata: {} }, callWith(cancel.signal)), reason);
      assert.ok(ended);
      assert.equal(await textAt(name), "before");
    });

    check("is seen as a whole or not at all by those who read beside it", async () => {
      const name = unique("whole");
      const versions = [1, 2, 3].map((version) => Buffer.alloc(8 * chunkBytes, version));
      for (const version of versions) {
        const writing = put(name, chunksOf(version));
        const read = await bytesAt(name);
        await writing;
        if (read !== undefined) assert.ok(versions.some((one) => one.equals(read)));
      }
    });

    check("beside others of the same name leaves one of them", async () => {
      const name = unique("race");
      const texts = Array.from({ length: 10 }, (_, index) => `version ${index}`);
      await Promise.all(texts.map((text) => put(name, text)));
      assert.ok(texts.includes((await textAt(name)) ?? ""));
    });
  });

  check("a read goes on with the version it began with", async () => {
    const name = unique("version");
    const first = Buffer.alloc(12 * 1024 ** 2, 1);
    await put(name, chunksOf(first));
    const found = await store().get({ name }, callWith());
    assert.ok(found !== undefined);
    const read: Uint8Array[] = [];
    for await (const chunk of found) {
      if (read.length === 0) await put(name, "second");
      read.push(chunk);
    }
    assert.ok(Buffer.concat(read).equals(first));
    assert.equal(await textAt(name), "second");
  });

  check("a read that ends early lets go", async () => {
    const name = unique("early");
    await put(name, chunksOf(Buffer.alloc(2 * 1024 ** 2, 1)));
    for (let round = 0; round < 20; round++) {
      for await (const chunk of (await store().get({ name }, callWith())) ?? []) {
        assert.ok(chunk.length > 0);
        break;
      }
    }
    assert.equal((await bytesAt(name))?.length, 2 * 1024 ** 2);
  });

  group("a list", () => {
    check("has the files that begin with the prefix, and no others", async () => {
      const run = unique("list");
      for (const name of ["a/1", "a/2", "a/b/3", "ab", "b"]) await put(`${run}/${name}`, name);
      assert.deepEqual(
        await namesOf(`${run}/`, 100),
        ["a/1", "a/2", "a/b/3", "ab", "b"].map((name) => `${run}/${name}`),
      );
      assert.deepEqual(
        await namesOf(`${run}/a/`, 100),
        ["a/1", "a/2", "a/b/3"].map((name) => `${run}/${name}`),
      );
      assert.deepEqual(
        await namesOf(`${run}/a`, 100),
        ["a/1", "a/2", "a/b/3", "ab"].map((name) => `${run}/${name}`),
      );
      assert.deepEqual(await namesOf(`${run}/c`, 100), []);
      const [object] = (await list({ prefix: `${run}/b` })).objects;
      assert.equal(object?.size, 1);
      assert.ok(Math.abs((object?.modifiedAtMs ?? 0) - Date.now()) < 60_000);
    });

    const pagesAreSorted = async (...names: readonly string[]): Promise<void> => {
      const run = unique("pages");
      const full = names.map((name) => `${run}/${name}`);
      await Promise.all(full.map((name) => put(name, name)));
      const sorted = full.toSorted((one, other) => Buffer.compare(Buffer.from(one), Buffer.from(other)));
      for (const pageSize of [1, 5, 12, 1000]) assert.deepEqual(await namesOf(`${run}/`, pageSize), sorted);
    };
    check("comes page by page, each file once, in the order of the names' bytes", () =>
      pagesAreSorted("aa", "B", "b", "a-b", "a/b", "a.b", "z", "é", "鍵", "1", "10"),
    );

    check("has this order beyond the first 65,536 characters, too", { needs: "ordered" }, () =>
      pagesAreSorted("z", "\u{ffff}", "🔑", "\u{e000}"),
    );

    check("goes on behind its marker when files before and behind it come and go", async () => {
      const run = unique("moving");
      for (const name of ["b", "c", "d", "e"]) await put(`${run}/${name}`, name);
      const first = await list({ prefix: run, pageSize: 2 });
      await store().delete({ name: `${run}/c` }, callWith());
      await store().delete({ name: `${run}/d` }, callWith());
      await put(`${run}/a`, "a");
      const second = await list({ prefix: run, pageSize: 2, marker: first.marker });
      assert.deepEqual(
        second.objects.map(({ name }) => name),
        [`${run}/e`],
      );
    });
  });

  group("an outage:", () => {
    outageChecks(backend, (opened, call) => opened.stat({ name: "probe" }, call));

    check("what was put is there when the server is back", killsServer, async () => {
      const name = unique("kept");
      await put(name, "kept");
      await whileAway(backend, async () => undefined);
      const found = await served(() => store().stat({ name }, callWith(AbortSignal.timeout(20_000))));
      assert.equal(found?.size, 4);
      assert.equal(await textAt(name), "kept");
    });
  });

  check("does nothing for a call that was cancelled before it began", async () => {
    const name = unique("cancelled");
    await put(name, "before");
    const reason = new Error("the caller has gone");
    const call = callWith(AbortSignal.abort(reason));
    const cancelled = [
      async () => store().put({ name, data: chunksOf(bytesOf("after")), metadata: {} }, call),
      async () => store().delete({ name }, call),
      async () => store().get({ name }, call),
      async () => store().stat({ name }, call),
      async () => store().list({ prefix: name, pageSize: 1, marker: "" }, call),
    ];
    for (const attempt of cancelled) await assert.rejects(attempt, reason);
    assert.equal(await textAt(name), "before");
  });
}

async function* chunksOf(data: Uint8Array): AsyncGenerator<Uint8Array> {
  for (let start = 0; start < data.length; start += chunkBytes) yield data.subarray(start, start + chunkBytes);
}
