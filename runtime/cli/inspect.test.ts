import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import { runCli } from "../../test/support/cli.ts";
import { pem, serve } from "../../test/support/plugin-source.ts";
import { digestOf, signatureOf } from "../../test/support/push.ts";
import { assemble } from "../../test/support/wat.ts";
import { packManifest } from "../plugin/packed-manifest.ts";

const guest = (imports = ""): string => `(module
  (import "env" "proxy_log" (func (param i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func (param i32 i32 i32 i32) (result i32)))
  ${imports}
  (memory (export "memory") 2 16)
  (func (export "proxy_abi_version_0_2_1"))
  (func (export "malloc") (param i32) (result i32) i32.const 0))`;
const manifest = "name: orders\nversion: 1.2.0\nkind: service\ncapabilities: {state: [carts], upstreams: [stock]}\n";

describe("outrigger inspect", () => {
  let directory: string;
  let file: string;
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), "outrigger-inspect-"));
    file = join(directory, "orders.wasm");
  });
  afterEach(() => rm(directory, { recursive: true }));

  it("says what a module is, asks for and needs", async () => {
    const bytes = packManifest(await assemble("orders", guest()), manifest);
    await writeFile(file, bytes);
    const { code, out, err } = await runCli(["inspect", file]);
    assert.deepEqual([code, err], [0, ""]);
    for (const line of [
      "name       orders",
      "version    1.2.0",
      "kind       service",
      "engine     proxy-wasm 0.2.1",
      `origin     ${file}`,
      `digest     ${digestOf(bytes)}`,
      `size       ${bytes.length} bytes`,
      "signature  none",
      "manifest   inside the module",
      "memory     128 KiB, at most 1024 KiB",
      "asks for   state carts; upstreams stock",
      "imports    env: proxy_log",
      "imports    wasi_snapshot_preview1: fd_write",
      "exports    memory, proxy_abi_version_0_2_1, malloc",
    ]) {
      assert.ok(out.split("\n").includes(line), `${line}\n\n${out}`);
    }
    assert.match(
      out,
      /^sections {3}custom outrigger\.manifest \(\d+\), type \(\d+\), import \(\d+\), .*custom name \(\d+\)$/m,
    );
  });

  it("says why a module could not run here, with 1 as its exit code", async () => {
    await writeFile(file, await assemble("orders", guest('(import "env" "proxy_teleport" (func))')));
    const lacking = await runCli(["inspect", file, "--json"]);
    const { missing, problems, ...rest } = JSON.parse(lacking.out);
    assert.equal(lacking.code, 1);
    assert.deepEqual(
      [missing, problems],
      [["env.proxy_teleport"], ["it imports what this host does not have: env.proxy_teleport"]],
    );
    assert.deepEqual(
      [rest.name, rest.manifest, rest.memory],
      ["orders", "none", { minimumPages: 2, maximumPages: 16 }],
    );
    await writeFile(join(directory, "orders.yaml"), "name: orders\nunknownImports: stub\n");
    assert.equal((await runCli(["inspect", file])).code, 0);
    const problemOf = async (bytes: Uint8Array): Promise<string> => {
      await writeFile(file, bytes);
      const { code, out } = await runCli(["inspect", file]);
      assert.equal(code, 1);
      return out
        .split("\n")
        .filter((line) => line.startsWith("problem"))
        .join("\n");
    };
    const whole = await assemble("orders", guest());
    assert.match(await problemOf(whole.subarray(0, 60)), /the section at byte \d+ needs/);
    assert.match(
      await problemOf(await assemble("mute", '(module (func (export "run")))')),
      /it speaks no version of Proxy-Wasm; this host speaks 0\.1\.0/,
    );
    assert.match(
      await problemOf(await assemble("large", guest().replace("2 16", "4096 8192"))),
      /the module's memory has \d+ bytes at least/,
    );
    assert.match(await problemOf(Buffer.from("\0asm\x0d\0\x01\0\0\0", "latin1")), /problem/);
  });

  it("fetches a reference as the configuration says, and checks its signature", async () => {
    const bytes = packManifest(await assemble("orders", guest()), manifest);
    const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
    const stranger = generateKeyPairSync("ec", { namedCurve: "P-256" });
    await using server = await serve((request, response) => {
      response.end(request.url === "/orders.wasm" ? bytes : signatureOf(bytes, privateKey));
    });
    const url = `http://${server.address}/orders.wasm`;
    const signature = async (...keys: readonly string[]): Promise<string> => {
      const { code, out } = await runCli(
        ["inspect", url, "--config", "any.yaml", "--json"],
        {},
        { plugins: { signatures: { keys } } },
      );
      assert.equal(code, 0);
      return JSON.parse(out).signature;
    };
    assert.equal(await signature(), "unchecked");
    assert.equal(await signature(pem(stranger.publicKey), pem(publicKey)), "good");
    assert.equal(await signature(pem(stranger.publicKey)), "wrong");
    assert.match((await runCli(["inspect", url])).out, /^signature {2}there; name a configuration/m);
  });

  it("answers wrong usage and a wrong configuration with 2, and what is not there with 1", async () => {
    assert.equal((await runCli(["inspect"])).code, 2);
    assert.equal((await runCli(["inspect", file, "more"])).code, 2);
    assert.equal((await runCli(["inspect", file, "--config", "bad.yaml"])).code, 2);
    const absent = await runCli(["inspect", file]);
    assert.equal(absent.code, 1);
    assert.match(absent.err, /^plugin 'orders' cannot be fetched from .*ENOENT/);
  });
});
