/** The command line against a sidecar: both are processes, as their users run them. */
import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { open, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { after, before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { packManifest } from "../../runtime/plugin/packed-manifest.ts";
import type { PluginStatus } from "../../runtime/plugin/status.ts";
import { ask } from "../support/http.ts";
import { type Ended, type RunningCommand, startCommand } from "../support/outrigger-command.ts";
import { drop, guestText } from "../support/proxy-wasm-guest.ts";
import { type Sidecar, startSidecar, temporaryDirectory } from "../support/sidecar.ts";
import { assemble } from "../support/wat.ts";

const token = "open-sesame";
const main = fileURLToPath(new URL("../../runtime/main.ts", import.meta.url));
const configuration = {
  admin: { tokens: { ci: token } },
  log: { level: "warn" },
  components: { pubsub: { events: { type: "memory" } } },
  plugins: { grants: { clerk: { pubsub: ["events"] } } },
  ingress: { routes: [{ match: { prefix: "/" }, to: { plugin: "orders" } }] },
};

/** A service that answers with its version, or fails; it logs the requests it gets. */
const moduleOf = (version: string, status = 200): Promise<Uint8Array<ArrayBuffer>> =>
  assemble(
    `cli-${version}`,
    guestText((text) => ({
      on: {
        proxy_on_request_headers: `${drop(`(call $proxy_log (i32.const 3) ${text(`asked\x1b[31m ${version}`)})`)}
          ${drop(`(call $proxy_send_local_response (i32.const ${status}) (i32.const 0) (i32.const 0) ${text(version)} (i32.const 0) (i32.const 0) (i32.const -1))`)}
          (i32.const 1)`,
      },
    })),
  );

const manifestOf = (version: string): string =>
  `name: orders\nversion: "${version}"\nkind: service\nrollout: { window: 300ms, minimumStreams: 20, latency: 1000000 }\n`;

let sidecar: Sidecar;
let directory: string;
const opened = new AsyncDisposableStack();

before(async () => {
  directory = opened.use(await temporaryDirectory()).path;
  for (const [version, status] of [
    ["1", 200],
    ["2", 200],
    ["3", 500],
  ] as const) {
    const module = await moduleOf(version, status);
    await writeFile(join(directory, `v${version}.wasm`), module);
    await writeFile(join(directory, `v${version}.yaml`), manifestOf(version));
    await writeFile(join(directory, `packed${version}.wasm`), packManifest(module, manifestOf(version)));
  }
  sidecar = opened.use(await startSidecar(directory, configuration));
});
after(() => opened.disposeAsync());

const start = (
  parameters: readonly string[],
  environment: Record<string, string> = {},
  input?: Uint8Array,
): RunningCommand =>
  startCommand(parameters, {
    directory,
    environment: { OUTRIGGER_ADMIN: sidecar.admin, OUTRIGGER_ADMIN_TOKEN: token, ...environment },
    ...(input !== undefined && { input }),
  });

async function run(...parameters: string[]): Promise<Ended> {
  using command = start(parameters);
  return await command.ended;
}

/** Requests without an end, for a trial to be judged by. */
function traffic(): AsyncDisposable {
  let isOver = false;
  const loop = (async () => {
    while (!isOver) await ask(sidecar.ingress, "/");
  })();
  return {
    [Symbol.asyncDispose]: async () => {
      isOver = true;
      await loop;
    },
  };
}

const serving = async (): Promise<string> => (await ask(sidecar.ingress, "/")).text;
const statusIn = ({ out }: Ended): PluginStatus => JSON.parse(out) as PluginStatus;

describe("outrigger against a running sidecar", () => {
  it("deploys a file with the manifest beside it, and tells the steps on standard error", async () => {
    const { code, out, err } = await run("deploy", "v1.wasm");
    assert.deepEqual([code, out.replace(/\([0-9a-f]{12}\)/, "(digest)")], [0, "orders 1 is stable (digest)\n"]);
    const steps = err.trimEnd().split("\n");
    assert.match(steps[0] ?? "", /^ {2}upload +[\d.]+ ms {2}[\d.]+ (Ki)?B$/);
    for (const step of steps) assert.match(step, /^ {2}[a-z-]+ +[\d.]+ m?s/);
    assert.ok(!err.includes("\u001b"), "nothing is drawn where there is no terminal");
    assert.equal(await serving(), "1");
  });

  it("shows plugins, versions and the history as text and as JSON", async () => {
    assert.match((await run("plugins")).out, /^NAME +VERSION.*\norders +1 /);
    const details = (await run("plugins", "orders")).out;
    assert.match(details, /^name +orders\nversion +1\ndigest +sha256:[0-9a-f]{64}$/m);
    assert.match(details, /^ROLE +VERSION.*\nstable +1 .* ci +upload$/m);
    assert.equal(statusIn(await run("plugins", "orders", "--json")).version, "1");
    assert.match((await run("history", "orders")).out, /^TIME .*\n\S+ +deploy +1 +[0-9a-f]{12} +ci +done$/m);
    const entries = JSON.parse((await run("history", "orders", "--json", "--limit", "1")).out);
    assert.deepEqual([entries.length, entries[0].by], [1, "ci"]);
  });

  it("shows the topics and the schedules of a service", async () => {
    const manifest = `name: clerk
kind: service
subscriptions: [{ pubsub: events, topic: orders/new }, { pubsub: events, topic: b, path: /b }]
schedules: [{ name: nightly, cron: "0 3 * * *", timeZone: Europe/Berlin }]
`;
    await writeFile(join(directory, "clerk.wasm"), packManifest(await moduleOf("clerk"), manifest));
    const deployed = await run("deploy", "clerk.wasm");
    assert.equal(deployed.code, 0, deployed.err);
    assert.deepEqual((await run("plugins", "clerk")).out.match(/^(topic|schedule) .*$/gm), [
      "topic      orders/new of events, to /events/events/orders%2Fnew",
      "topic      b of events, to /b",
      "schedule   nightly: 0 3 * * * (Europe/Berlin), to /schedules/nightly",
    ]);
    assert.equal((await run("undeploy", "clerk")).code, 0);
  });

  it("deploys what comes on standard input, and goes back with rollback", async () => {
    using piped = start(["deploy", "-", "--json"], {}, packManifest(await moduleOf("2"), manifestOf("2")));
    const deployed = await piped.ended;
    assert.deepEqual([deployed.code, statusIn(deployed).version], [0, "2"]);
    assert.equal(await serving(), "2");
    const back = await run("rollback", "orders");
    assert.match(back.out, /^orders 1 is stable/);
    assert.equal(await serving(), "1");
    assert.match((await run("rollback", "orders", "--to", "2")).out, /^orders 2 is stable/);
    assert.match((await run("rollback", "orders", "--to", "1")).out, /^orders 1 is stable/);
    const missing = await run("rollback", "orders", "--to", "9");
    assert.deepEqual([missing.code, missing.out], [1, ""]);
  });

  it("deploys regular files alone, and does not wait for a pipe", async () => {
    await promisify(execFile)("mkfifo", [join(directory, "pipe.wasm")]);
    const piped = await run("deploy", "pipe.wasm");
    assert.equal(piped.code, 2);
    assert.match(piped.err, /^pipe\.wasm is not a regular file; expected a module, or - for standard input$/m);
    for (const command of ["inspect", "pack"]) {
      const { code, err } = await run(command, "pipe.wasm");
      assert.equal(code, 1);
      assert.match(err, /pipe\.wasm is not a file/);
    }
  });

  it("says in a sentence that its output cannot be written", async () => {
    await using full = await open("/dev/full", "w");
    const child = spawn(process.execPath, [main, "plugins", "--admin", sidecar.admin], {
      stdio: ["ignore", full.fd, "pipe"],
    });
    const [err, [code]] = await Promise.all([
      text(child.stderr ?? assert.fail("it has a standard error")),
      once(child, "close"),
    ]);
    assert.deepEqual([code, err], [1, "the output cannot be written (ENOSPC)\n"]);
  });

  it("has the sidecar fetch a reference", async () => {
    const module = packManifest(await moduleOf("4"), manifestOf("4"));
    const server = createServer((_, response) => response.end(module)).listen(0, "127.0.0.1");
    await once(server, "listening");
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/orders.wasm?key=secret`;
    const { code, out, err } = await run("deploy", url, "--pull", "always");
    server.close();
    assert.deepEqual([code, out.slice(0, 18)], [0, "orders 4 is stable"], err);
    assert.match(err, /^ {2}fetch +[\d.]+ m?s {2}[\d.]+ (Ki)?B$/m);
    assert.ok(!err.includes("secret"));
    await run("rollback", "orders");
  });

  it("waits for a trial that ends with the version promoted", async () => {
    await using _ = traffic();
    const { code, out, err } = await run("deploy", "v2.wasm", "--canary", "50", "--wait");
    assert.equal(code, 0, err);
    assert.match(out, /^orders 2 is stable/);
    assert.match(err, /^ {2}2 is on trial with 50 % of the streams$/m);
  });

  it("waits for a trial that ends with the version rolled back, and says why with exit code 4", async () => {
    await using _ = traffic();
    const { code, out, err } = await run("deploy", "v3.wasm", "--canary", "50", "--wait", "--json");
    assert.equal(code, 4, err);
    assert.deepEqual(
      [statusIn({ code, out, err }).version, statusIn({ code, out, err }).lastTrial?.outcome],
      ["2", "rolled back"],
    );
    assert.match(err, /orders 3 is not stable: it was rolled back by itself: .* streams failed/);
  });

  it("stages a version, begins its trial, pauses, resumes, promotes and aborts it by hand", async () => {
    const staged = await run("deploy", "packed1.wasm", "--staged", "--header", "x-beta=yes", "--manual");
    assert.match(staged.out, /^orders 2 is stable .*\norders 1 is staged/);
    assert.match(
      (await run("resume", "orders")).out,
      /orders 1 is on trial with the streams with its header or cookie, to be/,
    );
    assert.equal((await ask(sidecar.ingress, "/", { headers: { "x-beta": "yes" } })).text, "1");
    assert.match((await run("pause", "orders")).out, /orders 1 is paused/);
    assert.equal(statusIn(await run("abort", "orders", "--json")).lastTrial?.outcome, "aborted");
    await run("deploy", "packed1.wasm", "--staged");
    assert.match((await run("promote", "orders")).out, /^orders 1 is stable/);
    const nothing = await run("promote", "orders");
    assert.equal(nothing.code, 1);
    assert.match(nothing.err, /^plugin 'orders' has no version on trial/);
  });

  it("leaves the rollout alone when it is interrupted, or when its time is over", async () => {
    const trial = ["deploy", "v2.wasm", "--canary", "10", "--manual", "--wait"];
    using waiting = start(trial);
    await waiting.wrote(/on trial with 10 %/);
    waiting.process.kill("SIGINT");
    const interrupted = await waiting.ended;
    assert.equal(interrupted.code, 130);
    assert.match(interrupted.err, /interrupted: the rollout of orders 2 goes on; 'outrigger plugins orders' shows it/);
    assert.equal(statusIn(await run("plugins", "orders", "--json")).trial?.phase, "canary");
    const late = await run(...trial, "--timeout", "600ms");
    assert.equal(late.code, 5, late.err);
    assert.match(late.err, /the time of --timeout \(600ms\) is over: /);
    using replaced = start(trial);
    await replaced.wrote(/on trial with 10 %/);
    await run("deploy", "v1.wasm");
    const gone = await replaced.ended;
    assert.equal(gone.code, 4);
    assert.match(gone.err, /orders 2 is not stable: it was aborted by ci/);
  });

  it("shows the log of a plugin, goes on with new lines, and lets no control character through", async () => {
    using following = start(["logs", "orders", "--follow", "--lines", "1"]);
    await ask(sidecar.ingress, "/");
    await following.wrote(/asked/);
    await run("deploy", "v2.wasm", "--at-once");
    await ask(sidecar.ingress, "/");
    await following.wrote(/Z warn {2}2 asked\?\[31m 2\n/);
    const last = await run("logs", "orders", "-n", "1", "--json");
    assert.equal(JSON.parse(last.out).message, "asked\u001b[31m 2");
  });

  it("says what is wrong, with the exit code for it", async () => {
    const cases: readonly [Promise<Ended>, number, RegExp][] = [
      [run("plugins", "order"), 1, /^no plugin is named 'order'; did you mean 'orders'\?$/m],
      [run("undeploy", "zzzzzz"), 1, /^no plugin is named 'zzzzzz'; known here: orders$/m],
      [run("history", "zzzzzz"), 1, /^no plugin is named 'zzzzzz'/],
      [run("deploy", "v1.yaml"), 3, /^v1\.yaml: the file is not WebAssembly/],
      [run("deploy", "v1.wasm", "--name", "other"), 3, /the manifest is that of plugin 'orders', not of 'other'/],
      [run("deploy", "v1.wasm", "--sha256", "0".repeat(64)), 3, /the module that was uploaded is sha256:/],
      [run("deploy", "none.wasm"), 2, /^there is no file 'none\.wasm'/],
      [run("deploy", "v1.wasm", "--canary", "200"), 2, /--canary PERCENT is not as expected: a number from 0 to 100/],
      [run("plugins", "--admin", "127.0.0.1:1"), 1, /^no sidecar answers at 127\.0\.0\.1:1; start one, or name/],
      [run("plugins", "--admin", sidecar.ingress), 1, /^what answers at .* is not the admin API of a sidecar/],
      [start(["undeploy", "orders"], { OUTRIGGER_ADMIN_TOKEN: "" }).ended, 2, /wants a token, admin\.token or one of/],
      [start(["deploy", "v1.wasm"], { OUTRIGGER_ADMIN_TOKEN: "wrong-one" }).ended, 2, /does not know the token/],
      [run("logs", "orders", "--token-file", "none"), 2, /^the token cannot be read from none \(ENOENT\)$/m],
    ];
    for (const [ended, expected, message] of cases) {
      const { code, out, err } = await ended;
      assert.match(err, message);
      assert.deepEqual([code, out], [expected, ""], err);
      assert.ok(!err.includes("wrong-one") && !err.includes("    at "), err);
    }
  });

  it("takes a token from a file, and takes a plugin out of service", async () => {
    await writeFile(join(directory, "token"), `${token}\n`);
    using waiting = start(["deploy", "v1.wasm", "--canary", "10", "--manual", "--wait"]);
    await waiting.wrote(/on trial with 10 %/);
    using command = start(["undeploy", "orders", "--token-file", "token"], { OUTRIGGER_ADMIN_TOKEN: "" });
    assert.match((await command.ended).out, /^orders 2 is out of service$/m);
    assert.deepEqual(JSON.parse((await run("plugins", "--json")).out), []);
    assert.match((await run("history", "orders")).out, /undeploy/);
    const { code, out, err } = await waiting.ended;
    assert.deepEqual([code, out], [4, ""]);
    assert.match(err, /orders 1 is not stable: it is neither stable nor on trial any more, since the \S+ of \S+ by ci/);
  });
});
