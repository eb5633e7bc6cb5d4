import assert from "node:assert/strict";
import { test } from "node:test";
import { deflateSync, gzipSync } from "node:zlib";
import { decompress, isAccepted } from "./compression.ts";

test("a message is had back from each encoding that is taken", async () => {
  const plain = Buffer.alloc(100_000, "message ");
  assert.deepEqual(await decompress(gzipSync(plain), "gzip", plain.length), plain);
  assert.deepEqual(await decompress(deflateSync(plain), "deflate", plain.length), plain);
  assert.deepEqual(["identity", "gzip", "deflate", "br", ""].map(isAccepted), [true, true, true, false, false]);
});

test("a message that would be larger than allowed is never made", async () => {
  const bomb = gzipSync(Buffer.alloc(256 * 1024 ** 2));
  const before = process.memoryUsage.rss();
  await assert.rejects(decompress(bomb, "gzip", 1024), { code: "RESOURCE_EXHAUSTED" });
  assert.ok(process.memoryUsage.rss() - before < 64 * 1024 ** 2);
});

test("what is not of its encoding is told as a fault of the message", async () => {
  await assert.rejects(decompress(Buffer.from("plain"), "gzip", 1024), { code: "INTERNAL" });
  await assert.rejects(decompress(gzipSync("x"), "deflate", 1024), { code: "INTERNAL" });
  await assert.rejects(decompress(Buffer.from("plain"), "identity", 1024), { code: "INTERNAL" });
  await assert.rejects(decompress(gzipSync("cut").subarray(0, 10), "gzip", 1024), { code: "INTERNAL" });
});
