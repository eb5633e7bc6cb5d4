/** What components find in file stores through wasi:blobstore. */
import assert from "node:assert/strict";
import { unique } from "../backend.ts";

type Check = (name: string, body: () => Promise<void>) => void;

/** Does what the path says in the guest; rejects with the error that the guest was given. */
export type AskBlobs = (path: string, body?: Uint8Array) => Promise<Buffer>;

/** The guest was granted the store `files` and then `more`. */
export function blobChecks(check: Check, ask: AskBlobs): void {
  const text = async (path: string, body = ""): Promise<string> => (await ask(path, Buffer.from(body))).toString();
  const created = async (): Promise<string> => {
    const name = unique("container");
    await text(`create/${name}`);
    return name;
  };

  check("a container is there from its creation to its deletion", async () => {
    const name = unique("container");
    assert.equal(await text(`exists/${name}`), "false");
    await assert.rejects(text(`info/${name}`), /there is no container/);
    await text(`create/${name}`);
    await assert.rejects(text(`create/${name}`), /there is a container .* already/);
    assert.equal(await text(`exists/${name}`), "true");
    assert.equal(await text(`info/${name}`), `("${name}", true)`);
    await text(`put/${name}/object`, "gone with it");
    await text(`drop/${name}`);
    assert.equal(await text(`exists/${name}`), "false");
  });

  check("an object is written and read, whichever is said first: where it goes or what it is", async () => {
    const name = await created();
    for (const way of ["put", "early"]) {
      await text(`${way}/${name}/${way}`, `${way}: a value`);
      assert.equal(await text(`whole/${name}/${way}`), `${way}: a value`);
      assert.equal(await text(`stat/${name}/${way}`), `("${way}", "${name}", ${way.length + 9}, true)`);
    }
    await text(`put/${name}/put`, "");
    assert.equal(await text(`whole/${name}/put`), "");
  });

  check("a large object goes through as a stream, and parts of it come out", async () => {
    const name = await created();
    const bytes = Uint8Array.from({ length: 3_000_000 }, (_, index) => (index * 31) % 251);
    await ask(`put/${name}/large`, bytes);
    assert.ok((await ask(`part/${name}/large/0/9999999`)).equals(bytes));
    assert.ok((await ask(`part/${name}/large/1000000/1000009`)).equals(bytes.subarray(1_000_000, 1_000_010)));
    assert.equal((await ask(`part/${name}/large/3000000/3000009`)).length, 0);
  });

  check("more than waits for a place is refused until there is one", async () => {
    const name = await created();
    await assert.rejects(ask(`early/${name}/large`, new Uint8Array(1_500_000)), /say by write-data where it goes/);
    assert.equal(await text(`has/${name}/large`), "false");
  });

  check("a value that is not finished is not there, and what was there before still is", async () => {
    const name = await created();
    await text(`unfinished/${name}/object`, "half");
    assert.equal(await text(`has/${name}/object`), "false");
    await text(`put/${name}/object`, "whole");
    await text(`unfinished/${name}/object`, "half");
    assert.equal(await text(`whole/${name}/object`), "whole");
  });

  check("objects are found, told of, listed and deleted", async () => {
    const name = await created();
    for (const object of ["a", "b", "c"]) await text(`put/${name}/${object}`, object);
    assert.equal(await text(`has/${name}/b`), "true");
    assert.equal(await text(`list/${name}/0/10`), '(0, ["a", "b", "c"], true)');
    assert.equal(await text(`list/${name}/1/1`), '(1, ["b"], false)');
    assert.equal(await text(`list/${name}/5/1`), "(3, [], true)");
    await text(`delete/${name}/a/none/c`);
    assert.equal(await text(`list/${name}/0/10`), '(0, ["b"], true)');
    await assert.rejects(text(`stat/${name}/a`), /has no file/);
    await text(`clear/${name}`);
    assert.equal(await text(`list/${name}/0/10`), "(0, [], true)");
    assert.equal(await text(`exists/${name}`), "true");
  });

  check("objects are copied and moved, also into a store", async () => {
    const [from, object] = [await created(), unique("object")];
    await text(`put/${from}/one`, "a value");
    await text(`copy/${from}/one/more/${object}`);
    assert.equal(await text(`whole/more/${object}`), "a value");
    await text(`move/more/${object}/${from}/two`);
    assert.equal(await text(`has/more/${object}`), "false");
    assert.equal(await text(`whole/${from}/two`), "a value");
    await text(`move/${from}/two/${from}/two`);
    assert.equal(await text(`whole/${from}/two`), "a value");
    await assert.rejects(text(`copy/${from}/one/${unique("none")}/x`), /there is no container/);
  });

  check("a store that was granted is a container, which can be emptied but not deleted", async () => {
    assert.equal(await text("exists/files"), "true");
    await assert.rejects(text("drop/more"), /is a file store of the sidecar/);
    const inside = await created();
    await text(`put/${inside}/object`, "seen");
    assert.equal(await text(`info/files`), '("files", false)');
    assert.match(await text("list/files/0/1000"), new RegExp(`"${inside}/object"`));
  });

  check("names that lead elsewhere are refused", async () => {
    const name = await created();
    await assert.rejects(text(`put/${name}/`, "x"), /the name of the object is empty/);
    await assert.rejects(text(`put/${name}/.container`, "x"), /is kept for the sidecar/);
  });
}
