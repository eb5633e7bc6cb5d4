import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { ObjectStore } from "../../components/object/object-store.ts";
import { ListFileRequest, ListFileResp } from "../../proto/gen/spec/proto/runtime/v1/runtime.ts";
import { callContext, openApiParts, openedStore } from "../../test/support/api.ts";
import { capabilities } from "../config/scalars.ts";
import { inProcessCaller } from "../grpc/in-process.ts";
import { createFiles } from "./file.ts";
import { createRuntimeService } from "./layotto/runtime-service.ts";
import { checkGrants } from "./method-grants.ts";
import { storeSet } from "./stores.ts";

const call = callContext();
const named = (name: string) => ({ store: "files", name });
async function* chunks(...texts: readonly string[]) {
  for (const text of texts) yield Buffer.from(text);
}

describe("the files block", () => {
  it("puts, reads, describes, lists and deletes", async () => {
    await using parts = await openApiParts();
    const { file } = parts.blocks;
    await file.put({ ...named("a/b"), data: chunks("te", "xt"), metadata: { owner: "shop" } }, call);
    const read = await Array.fromAsync(await file.get(named("a/b"), call));
    assert.equal(Buffer.concat(read).toString(), "text");
    const { modifiedAtMs, ...rest } = await file.stat(named("a/b"), call);
    assert.deepEqual(rest, { name: "a/b", size: 4, metadata: { owner: "shop" } });
    assert.ok(Math.abs(modifiedAtMs - Date.now()) < 60_000);
    await file.put({ ...named("a/c"), data: chunks(), metadata: {} }, call);
    const page = await file.list({ store: "files", prefix: "a", pageSize: 1, marker: "" }, call);
    assert.deepEqual([page.objects.map(({ name }) => name), page.marker], [["a/b"], "a/b"]);
    const last = await file.list({ store: "files", prefix: "a", pageSize: 0, marker: page.marker }, call);
    assert.deepEqual([last.objects.map(({ name }) => name), last.marker], [["a/c"], ""]);
    await file.delete(named("a/b"), call);
    await file.delete(named("a/b"), call);
    const missing = { code: "NOT_FOUND", message: "file store 'files' has no file 'a/b'" };
    await assert.rejects(file.get(named("a/b"), call), missing);
    await assert.rejects(file.stat(named("a/b"), call), missing);
  });

  it("refuses names and pages that no store takes, and an unknown store", async () => {
    await using parts = await openApiParts();
    const { file } = parts.blocks;
    for (const name of ["", "x".repeat(1025), "é".repeat(513)]) {
      await assert.rejects(file.get(named(name), call), { code: "INVALID_ARGUMENT" });
      await assert.rejects(file.put({ ...named(name), data: chunks(), metadata: {} }, call), {
        code: "INVALID_ARGUMENT",
      });
    }
    const page = { store: "files", prefix: "", marker: "", pageSize: -1 };
    await assert.rejects(file.list(page, call), { code: "INVALID_ARGUMENT", message: /the page size is -1/ });
    await assert.rejects(file.stat({ store: "flies", name: "a" }, call), { code: "INVALID_ARGUMENT" });
  });

  it("refuses metadata that the store would not keep, and asks it for what it can", async () => {
    const puts: string[] = [];
    const store: ObjectStore = {
      get: async () => chunks("x".repeat(200_000), "", "y"),
      put: async ({ name }) => void puts.push(name),
      delete: async () => undefined,
      list: async ({ pageSize }) => ({ objects: [], marker: String(pageSize) }),
      stat: async () => undefined,
      [Symbol.asyncDispose]: async () => undefined,
    };
    const opened = { ...openedStore("files", store), type: "simple", capabilities: new Set<string>() };
    const file = createFiles(storeSet("object", new Map([["files", opened]])));
    await file.put({ ...named("a"), data: chunks(), metadata: {} }, call);
    await assert.rejects(file.put({ ...named("b"), data: chunks(), metadata: { a: "b" } }, call), {
      code: "UNIMPLEMENTED",
      message: "file store 'files' is of type simple, which has no metadata of files",
    });
    assert.deepEqual(puts, ["a"]);
    const sizes = (await Array.fromAsync(await file.get(named("a"), call))).map(({ length }) => length);
    assert.deepEqual(sizes, [65_536, 65_536, 65_536, 3_392, 1]);
    const { marker } = await file.list({ store: "files", prefix: "", pageSize: 5_000, marker: "" }, call);
    assert.equal(marker, "1000");
  });

  it("is open to plugins that were granted the store, as far as it needs no streams", async () => {
    await using parts = await openApiParts();
    await parts.blocks.file.put({ ...named("a"), data: chunks("text"), metadata: {} }, call);
    const methods = inProcessCaller([createRuntimeService(parts.blocks)]);
    const list = (granted: readonly string[]) => {
      const request = { storeName: "files", name: "", metadata: {} };
      const message = ListFileRequest.encode({ request, pageSize: 0, marker: "" }).finish();
      const grants = capabilities.parse({ object: granted });
      return methods.call("/spec.proto.runtime.v1.Runtime/ListFile", message, call, (method, decoded) =>
        checkGrants("shop", grants, method, decoded),
      );
    };
    const { files, isTruncated } = ListFileResp.decode(await list(["files"]));
    assert.deepEqual([files.map(({ fileName, size }) => [fileName, size]), isTruncated], [[["a", 4n]], false]);
    await assert.rejects(list([]), { code: "PERMISSION_DENIED" });
  });
});
