import assert from "node:assert/strict";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { describe, it } from "node:test";
import { runCli as run } from "../../test/support/cli.ts";

describe("the command line", () => {
  it("starts the sidecar with the file that is named, or the default", async () => {
    assert.deepEqual((await run(["start"])).started, [undefined]);
    assert.deepEqual((await run(["start", "--config", "a.yaml"])).started, ["a.yaml"]);
  });

  it("checks a file: 0 when it is good, 2 and every mistake when it is not", async () => {
    const good = await run(["check", "good.yaml"]);
    assert.deepEqual([good.code, good.out], [0, "good.yaml is good"]);
    const bad = await run(["check", "bad.yaml"]);
    assert.equal(bad.code, 2);
    assert.equal(bad.err, "bad.yaml: 1 mistake\n  app.idd: unknown key; did you mean 'id'?");
  });

  it("finds functions that no plugin could be held to, which is no reason for the sidecar not to start", async () => {
    const allowedFunctions = ["proxy_on_request_headers", "proxy_lgo", "fd_write", "zzzzzzzzzzzzz"];
    const grants = { marks: { allowedFunctions }, others: { allowedFunctions: ["proxy_log", "_start"] } };
    const { code, err } = await run(["check", "good.yaml"], {}, { plugins: { grants } });
    assert.deepEqual(
      [code, ...err.split("\n")],
      [
        2,
        "good.yaml: 2 mistakes",
        "  plugins.grants.marks.allowedFunctions[1]: 'proxy_lgo' is no function of Proxy-Wasm or of WASI that this host knows; did you mean 'proxy_log'?",
        "  plugins.grants.marks.allowedFunctions[3]: 'zzzzzzzzzzzzz' is no function of Proxy-Wasm or of WASI that this host knows; docs/reference/proxy-wasm.md lists all",
      ],
    );
    const good = await run(["check", "good.yaml"], {}, { plugins: { grants: { others: grants.others } } });
    assert.deepEqual([good.code, good.out], [0, "good.yaml is good"]);
  });

  it("answers wrong usage with 2 and the nearest command", async () => {
    const mistyped = await run(["strat"]);
    assert.equal(mistyped.code, 2);
    assert.match(mistyped.err, /did you mean 'start'/);
    assert.equal((await run(["start", "extra"])).code, 2);
    assert.equal((await run(["--nope"])).code, 2);
  });

  it("knows which options a command has, and what it needs", async () => {
    const cases: readonly [readonly string[], RegExp][] = [
      [["deploy", "a.wasm", "--canaryy", "5"], /^there is no option '--canaryy'; did you mean '--canary'\?$/m],
      [["plugins", "--wait"], /^plugins has no option '--wait'\n'outrigger help plugins' tells more$/],
      [["deploy"], /^deploy needs FILE\|REFERENCE\|-: outrigger deploy/],
      [["promote", "a", "b"], /^'b' is one word too many$/m],
      [["help", "depoly"], /^there is no command 'depoly'; did you mean 'deploy'\?$/m],
      [["deploy", "ftp://host/a.wasm"], /^the scheme 'ftp' is not known/],
      [["deploy", "https://host/a.wasm", "--pull", "never"], /^--pull is always or ifNotPresent, not 'never'$/],
      [["deploy", "a.wasm", "--pull", "always"], /^--pull is about references/],
      [["deploy", "a.wasm", "--timeout", "soon"], /^--timeout 'soon': expected a duration with its unit/],
      [["logs", "a", "--lines", "0"], /^-n, --lines N is not as expected: a whole number from 1 to 1000$/],
      [["undeploy", "a", "--token", "x", "--token-file", "y"], /^give --token or --token-file, not both$/],
      [["plugins", "--admin", "http://user:secret@host"], /^the address of the admin API is not one/],
    ];
    for (const [parameters, message] of cases) {
      const { code, out, err } = await run(parameters);
      assert.match(err, message);
      assert.deepEqual([code, out], [2, ""]);
      assert.ok(!err.includes("secret"));
    }
  });

  it("prints help, all about a command, and the version", async () => {
    assert.match((await run([])).out, /outrigger start/);
    assert.match((await run(["help"])).out, /^ {2}4 +the version that was waited for was rolled back/m);
    const about = (await run(["help", "deploy"])).out;
    assert.match(about, /^ {2}--canary PERCENT +streams that go/m);
    assert.equal((await run(["deploy", "--help"])).out, about);
    assert.match((await run(["--version"])).out, /^\d+\.\d+\.\d+/);
  });

  it("prints the plugins of the running sidecar as a table", async () => {
    const plugin = {
      name: "inventory",
      version: "1.0.0",
      digest: `sha256:${"ab".repeat(32)}`,
      kind: "service",
      state: "crashed",
      reason: "it trapped too often",
      instances: 2,
      streams: 1,
      calls: 12,
      traps: 3,
      fuel: 4567,
      created: 5,
      reloads: 3,
      memoryBytes: 3_407_872,
      largestMemoryBytes: 3_342_336,
      memoryLimitBytes: 67_108_864,
      budgetShare: 0.034,
    };
    const server = createServer((_, response) => response.end(JSON.stringify([plugin]))).listen(0, "127.0.0.1");
    await new Promise((resolve) => server.once("listening", resolve));
    const { port } = server.address() as AddressInfo;
    const shown = await run(["plugins"], { OUTRIGGER_ADMIN: `127.0.0.1:${port}` });
    server.closeAllConnections();
    server.close();
    assert.deepEqual(shown.out.split("\n"), [
      "NAME       VERSION  DIGEST        KIND     STATE    INSTANCES  STREAMS  CALLS  TRAPS  FUEL  MEMORY  BUDGET",
      "inventory  1.0.0    abababababab  service  crashed  2          1        12     3      4567  3.3Mi   3.4%",
      "inventory: it trapped too often",
    ]);
    const gone = await run(["plugins", "--admin", `127.0.0.1:${port}`]);
    assert.equal(gone.code, 1);
    assert.match(gone.err, /no sidecar answers at 127\.0\.0\.1/);
  });
});
