import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { join } from "node:path";
import { describe, it } from "node:test";
import { promisify } from "node:util";
import { build } from "esbuild";
import { temporaryDirectory } from "../test/support/sidecar.ts";
import { leanImports } from "./lean-imports.ts";

/** What the program prints as JSON, bundled and run where there are no packages. */
async function run(program: string): Promise<unknown> {
  await using directory = await temporaryDirectory();
  const outfile = join(directory.path, "program.mjs");
  await build({
    stdin: { contents: program, resolveDir: import.meta.dirname, loader: "ts" },
    outfile,
    bundle: true,
    format: "esm",
    platform: "node",
    logLevel: "silent",
    plugins: [leanImports],
  });
  const { stdout } = await promisify(execFile)(process.execPath, [outfile]);
  return JSON.parse(stdout);
}

const loaded = 'const loaded = (name) => process.moduleLoadList.includes("NativeModule " + name);';

describe("the imports of the bundle", () => {
  it("give node:http without undici, which its import statement would load", async () => {
    const program = `import http, { createServer } from "node:http"; ${loaded}
      console.log(JSON.stringify([typeof createServer, http.createServer === createServer, loaded("internal/deps/undici/undici")]));`;
    assert.deepEqual(await run(program), ["function", true, false]);
  });

  it("give the client of S3 what it reads of node:fs, and load it when that is used", async () => {
    const program = `${loaded} const before = loaded("internal/fs/streams");
      const { S3Client } = await import("@aws-sdk/client-s3");
      console.log(JSON.stringify([before, typeof new S3Client({ region: "us-east-1" }).send]));`;
    assert.deepEqual(await run(program), [false, "function"]);
  });

  it("load node:crypto and node:tls with the first use", async () => {
    const program = `import { createHash } from "node:crypto"; import tls from "node:tls"; ${loaded}
      const before = loaded("crypto") || loaded("tls");
      const digest = createHash("sha256").update("").digest("hex").slice(0, 8);
      console.log(JSON.stringify([before, digest, typeof tls.TLSSocket, loaded("crypto") && loaded("tls")]));`;
    assert.deepEqual(await run(program), [false, "e3b0c442", "function", true]);
  });

  it("refuse to build a class by name from what loads with the first call", async () => {
    await assert.rejects(run('import { TLSSocket } from "node:tls"; console.log(typeof TLSSocket);'), /TLSSocket/);
  });

  it("give a CommonJS package that loads late the names that Node finds in it", async () => {
    const program = `const { Redis, Cluster, default: whole } = await import("ioredis");
      console.log(JSON.stringify([typeof Redis, typeof Cluster, whole === Redis]));`;
    assert.deepEqual(await run(program), ["function", "function", true]);
  });

  it("leave prom-client what the sidecar uses of it", async () => {
    const program = `import { Counter, Registry } from "prom-client"; ${loaded}
      const registry = new Registry();
      new Counter({ name: "a", help: "b", registers: [registry] }).inc(2);
      console.log(JSON.stringify([(await registry.metrics()).includes("a 2"), loaded("https")]));`;
    assert.deepEqual(await run(program), [true, false]);
  });
});
