import assert from "node:assert/strict";
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { describe, it } from "node:test";
import { Uploads, UploadsBusy, UploadTooLarge } from "./uploads.ts";

const never = new AbortController().signal;

async function open(limits: { maxBytes?: number; idleMs?: number } = {}) {
  const root = await mkdtemp(join(tmpdir(), "outrigger-uploads-"));
  const folder = join(root, "uploads");
  const uploads = await Uploads.open(folder, { maxBytes: 100, idleMs: 60_000, ...limits });
  return {
    uploads,
    folder,
    files: () => readdir(folder),
    [Symbol.asyncDispose]: () => rm(root, { recursive: true, force: true }),
  };
}

const bodyOf = (...parts: string[]): PassThrough => {
  const body = new PassThrough();
  for (const part of parts) body.write(part);
  return body;
};

describe("uploads", () => {
  it("lie in a file until they are disposed", async () => {
    await using scene = await open();
    {
      await using upload = await scene.uploads.receive(bodyOf("a", "bc").end("d"), never);
      assert.equal(Buffer.from(await upload.bytes).toString(), "abcd");
      assert.match(upload.digest, /^sha256:88d4266fd4e6338d13b845fcf289579d209c897823b9217da3e161936f031589$/);
      assert.equal((await scene.files()).length, 1);
    }
    assert.deepEqual(await scene.files(), []);
  });

  it("leave nothing when they are too large, end early, pause, or nobody wants them any more", async () => {
    await using scene = await open({ idleMs: 20 });
    const { uploads, files } = scene;
    await assert.rejects(uploads.receive(bodyOf("x".repeat(101)), never), UploadTooLarge);
    const cut = bodyOf("x");
    cut.destroy(new Error("aborted"));
    await assert.rejects(uploads.receive(cut, never), /the upload did not come through: aborted/);
    await assert.rejects(uploads.receive(bodyOf("x"), never), /nothing came for 20 ms/);
    await assert.rejects(uploads.receive(bodyOf("x"), AbortSignal.abort()), /did not come through/);
    assert.deepEqual(await files(), []);
  });

  it("are taken in by twos", async () => {
    await using scene = await open();
    const bodies = Array.from({ length: 2 }, () => bodyOf("x"));
    const received = bodies.map((body) => scene.uploads.receive(body, never));
    await assert.rejects(scene.uploads.receive(bodyOf("x"), never), UploadsBusy);
    for (const body of bodies) body.end();
    for (const upload of received) await (await upload)[Symbol.asyncDispose]();
    await using _next = await scene.uploads.receive(bodyOf("x").end(), never);
  });

  it("that an earlier process left are removed", async () => {
    await using scene = await open();
    await writeFile(join(scene.folder, "left.wasm"), "x");
    await Uploads.open(scene.folder, { maxBytes: 100, idleMs: 100 });
    assert.deepEqual(await scene.files(), []);
  });
});
