import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { promisify } from "node:util";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { archive } from "../../../test/support/push.ts";
import { moduleInLayer } from "./image-layer.ts";

const module = Buffer.from("\0asm-and-more".repeat(100));
const most = 1_000_000;

describe("the layer of an image", () => {
  it("gives its plugin.wasm, however it is compressed", async () => {
    const layer = archive({ "etc/x": Buffer.from("x"), "plugin.wasm": module });
    for (const [bytes, compression] of [
      [layer, "none"],
      [gzipSync(layer), "gzip"],
      [zstdCompressSync(layer), "zstd"],
    ] as const) {
      const found = await moduleInLayer(bytes, compression, most);
      assert.deepEqual(Buffer.from(found ?? []), module);
    }
  });

  it("gives it of archives that tar made, in every format", async () => {
    const directory = await mkdtemp(join(tmpdir(), "outrigger-layer-"));
    try {
      await writeFile(join(directory, "plugin.wasm"), module);
      for (const format of ["ustar", "gnu", "pax", "v7"]) {
        const file = join(directory, `${format}.tar`);
        await promisify(execFile)("tar", ["-C", directory, `--format=${format}`, "-cf", file, "./plugin.wasm"]);
        const found = await moduleInLayer(await readFile(file), "none", most);
        assert.deepEqual(Buffer.from(found ?? []), module, format);
      }
    } finally {
      await rm(directory, { recursive: true });
    }
  });

  it("has none when the file lies elsewhere, or is a link", async () => {
    const link = archive({ "plugin.wasm": Buffer.alloc(0) });
    link.write("2", 156);
    link.write("        ", 148);
    const sum = link.subarray(0, 512).reduce((total, byte) => total + byte, 0);
    link.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148);
    for (const layer of [archive({ "sub/plugin.wasm": module, "plugin.wasm.bak": module }), link, archive({})]) {
      assert.equal(await moduleInLayer(layer, "none", most), undefined);
    }
  });

  it("is refused when it is cut off, is no archive, or is larger than any may be", async () => {
    const layer = archive({ "plugin.wasm": module });
    const packed = gzipSync(layer);
    await assert.rejects(moduleInLayer(layer.subarray(0, 700), "none", most), /the layer is cut off/);
    await assert.rejects(moduleInLayer(packed.subarray(0, 40), "gzip", most), /cannot be decompressed \(gzip\)/);
    await assert.rejects(moduleInLayer(Buffer.from("not an archive".repeat(100)), "none", most), /not an archive/);
    await assert.rejects(moduleInLayer(layer, "gzip", most), /cannot be decompressed/);
    await assert.rejects(moduleInLayer(layer, "none", 1_000), /has 1300 bytes; at most 1000 are taken/);
    const bomb = gzipSync(archive({ zeros: Buffer.alloc(900_000), more: Buffer.alloc(30_000_000) }));
    await assert.rejects(moduleInLayer(bomb, "gzip", most), /a file in the layer has 30000000 bytes/);
    const many = gzipSync(
      archive(Object.fromEntries(Array.from({ length: 30 }, (_, at) => [`zeros-${at}`, Buffer.alloc(900_000)]))),
    );
    await assert.rejects(moduleInLayer(many, "gzip", most), /more than 17777216 bytes when it is decompressed/);
  });
});
