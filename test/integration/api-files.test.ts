/** Files and secrets over real gRPC: streams either way wait for the other side, and end with it. */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { describe, it } from "node:test";
import { Client, credentials } from "@grpc/grpc-js";
import { type PutFileRequest, RuntimeService } from "../../proto/gen/spec/proto/runtime/v1/runtime.ts";
import type { FileBlock } from "../../runtime/api/file.ts";
import { OutriggerClient } from "../../sdk/index.ts";
import { eventually } from "../conformance/backend.ts";
import { type ServedApi, serveApi } from "../support/api.ts";

const store = "files";
const piece = 64 * 1024;

interface Rig extends AsyncDisposable {
  readonly api: ServedApi;
  readonly client: OutriggerClient;
}

async function connect(changes: (file: FileBlock) => Partial<FileBlock> = () => ({})): Promise<Rig> {
  const parts = new AsyncDisposableStack();
  const api = parts.use(
    await serveApi({}, (blocks) => ({ ...blocks, file: { ...blocks.file, ...changes(blocks.file) } })),
  );
  const client = parts.use(new OutriggerClient({ address: api.address }));
  return { api, client, [Symbol.asyncDispose]: () => parts.disposeAsync() };
}

/** Pieces that are counted as they are taken, and whether the taker let go. */
function countedPieces(most: number) {
  const counted = { taken: 0, ended: false };
  const pieces = async function* () {
    try {
      for (; counted.taken < most; counted.taken++) yield new Uint8Array(piece).fill(counted.taken);
    } finally {
      counted.ended = true;
    }
  };
  return { counted, pieces };
}

/** What would be a flood by then has not begun. */
const aWhile = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 300));
/** More than windows and buffers between the two sides hold, and far less than there is. */
const few = 200;
const many = 2_000;

describe("files over gRPC", () => {
  it("come back as they were sent, from bytes, streams and iterables", async () => {
    await using rig = await connect();
    const { file } = rig.client;
    const large = randomBytes(12 * 1024 ** 2 + 7);
    await file.put({ store, name: "bytes", content: large });
    await file.put({ store, name: "stream", content: new Blob([large]).stream() });
    await file.put({ store, name: "none", content: "" });
    for (const name of ["bytes", "stream"]) {
      assert.ok((await file.read({ store, name }))?.bytes().every((byte, index) => byte === large[index]));
      assert.equal((await file.stat({ store, name }))?.size, large.length);
    }
    assert.equal((await file.read({ store, name: "none" }))?.bytes().length, 0);
    for await (const data of file.get({ store, name: "bytes" })) assert.ok(data.length <= piece);
  });

  it("are listed over all pages, described, and deleted", async () => {
    await using rig = await connect();
    const { file } = rig.client;
    const names = ["a/1", "a/2", "a/3", "a/4", "a/5"];
    for (const name of [...names, "b"]) await file.put({ store, name, content: name, metadata: { of: name } });
    const entries = await Array.fromAsync(file.list({ store, prefix: "a/", pageSize: 2 }));
    assert.deepEqual(
      entries.map(({ name, size, metadata }) => [name, size, metadata.of]),
      names.map((name) => [name, 3, name]),
    );
    const entry = await file.stat({ store, name: "a/1" });
    assert.deepEqual(entry, entries[0]);
    assert.ok(Math.abs(Number(entry?.modifiedAt) - Date.now()) < 60_000);
    await file.delete({ store, name: "a/1" });
    assert.equal(await file.stat({ store, name: "a/1" }), undefined);
    assert.equal(await file.read({ store, name: "a/1" }), undefined);
    await assert.rejects(Array.fromAsync(file.get({ store, name: "a/1" })), {
      code: "NOT_FOUND",
      reason: "FILE_NOT_FOUND",
      method: "GetFile",
    });
  });

  it("are read from the store no faster than the client reads, and let go when it leaves", async () => {
    const { counted, pieces } = countedPieces(many);
    await using rig = await connect(() => ({ get: async () => pieces() }));
    for await (const data of rig.client.file.get({ store, name: "endless" })) {
      assert.equal(data.length, piece);
      await aWhile();
      assert.ok(counted.taken < few, `${counted.taken} pieces were read`);
      break;
    }
    await eventually("the store is let go of", () => counted.ended);
    assert.ok(counted.taken < few);
  });

  it("are sent no faster than the store takes them", async () => {
    const { counted, pieces } = countedPieces(many);
    const slow = Promise.withResolvers<void>();
    let bytes = 0;
    await using rig = await connect(() => ({
      put: async ({ data }) => {
        for await (const chunk of data) {
          bytes += chunk.length;
          await slow.promise;
        }
      },
    }));
    const putting = rig.client.file.put({ store, name: "slow", content: pieces() });
    await eventually("the first piece is there", () => bytes > 0);
    await aWhile();
    assert.ok(counted.taken < few, `${counted.taken} pieces were sent`);
    slow.resolve();
    await putting;
    assert.equal(bytes, many * piece);
  });

  it("that a client gives up are not there, and what was there before is", async () => {
    await using rig = await connect();
    const { file } = rig.client;
    await file.put({ store, name: "kept", content: "before" });
    const { counted, pieces } = countedPieces(Number.POSITIVE_INFINITY);
    const cancel = new AbortController();
    setTimeout(() => cancel.abort(), 50);
    await assert.rejects(file.put({ store, name: "kept", content: pieces() }, { signal: cancel.signal }), {
      code: /^(CANCELLED|RESOURCE_EXHAUSTED)$/,
    });
    await eventually("the source is let go of", () => counted.ended);
    const reason = new Error("the source has dried up");
    const failing = async function* () {
      yield new Uint8Array(piece);
      throw reason;
    };
    await assert.rejects(file.put({ store, name: "kept", content: failing() }), reason);
    await assert.rejects(file.put({ store, name: "fresh", content: failing() }), reason);
    assert.equal((await file.read({ store, name: "kept" }))?.text(), "before");
    assert.deepEqual(
      (await Array.fromAsync(file.list({ store }))).map(({ name }) => name),
      ["kept"],
    );
  });

  it("that are refused end what the client sends", async () => {
    await using rig = await connect();
    const { file } = rig.client;
    const refusals = [
      [{ store: "nowhere", name: "a" }, "INVALID_ARGUMENT"],
      [{ store, name: "../a" }, "INVALID_ARGUMENT"],
      [{ store, name: "large" }, "RESOURCE_EXHAUSTED"],
    ] as const;
    for (const [named, code] of refusals) {
      const { counted, pieces } = countedPieces(Number.POSITIVE_INFINITY);
      await assert.rejects(file.put({ ...named, content: pieces() }), { code, method: "PutFile" });
      await eventually("the source is let go of", () => counted.ended);
    }
    assert.deepEqual(await Array.fromAsync(file.list({ store })), []);
  });

  it("are named by the first request; later ones may repeat the names and not change them", async () => {
    await using rig = await connect();
    const client = new Client(rig.api.address, credentials.createInsecure());
    const put = (...requests: readonly Partial<PutFileRequest>[]): Promise<string> =>
      new Promise((resolve) => {
        const { path, requestSerialize, responseDeserialize } = RuntimeService.putFile;
        const stream = client.makeClientStreamRequest(path, requestSerialize, responseDeserialize, (error) =>
          resolve(error?.details ?? "ok"),
        );
        for (const request of requests) {
          stream.write({ storeName: "", name: "", data: new Uint8Array(), metadata: {}, ...request });
        }
        stream.end();
      });
    const named = { storeName: store, name: "a" };
    const data = Buffer.from("x");
    assert.equal(await put({ ...named, data }, { data }, { ...named, data }), "ok");
    assert.equal((await rig.client.file.read({ store, name: "a" }))?.text(), "xxx");
    assert.match(await put({ ...named, data }, { ...named, name: "b", data }), /a later request names 'b'/);
    assert.equal(await put(), "nothing says which file of which store is meant");
    assert.match(await put({ data }), /^file store '' is not configured/);
    assert.equal((await rig.client.file.read({ store, name: "a" }))?.text(), "xxx");
    client.close();
  });
});

describe("secrets over gRPC", () => {
  it("are given as far as the store allows", async () => {
    await using rig = await connect();
    const { secret } = rig.client;
    assert.deepEqual(await secret.get({ store: "vault", name: "EXAMPLE_TOKEN" }), { EXAMPLE_TOKEN: "an example" });
    assert.deepEqual(await secret.getAll({ store: "vault" }), { EXAMPLE_TOKEN: { EXAMPLE_TOKEN: "an example" } });
    await assert.rejects(secret.get({ store: "vault", name: "PASSWORD" }), { code: "PERMISSION_DENIED" });
    await assert.rejects(secret.get({ store: "vault", name: "EXAMPLE_NONE" }), { code: "NOT_FOUND" });
  });
});
