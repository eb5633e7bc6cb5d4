/** What the command line does with a terminal, and with a reader who has read enough. */
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { packManifest } from "../../runtime/plugin/packed-manifest.ts";
import { eventually } from "../conformance/backend.ts";
import { runCli } from "../support/cli.ts";
import { startCommand } from "../support/outrigger-command.ts";
import { guestText } from "../support/proxy-wasm-guest.ts";
import { startSidecar, temporaryDirectory } from "../support/sidecar.ts";
import { assemble } from "../support/wat.ts";

const main = fileURLToPath(new URL("../../runtime/main.ts", import.meta.url));
const token = "open-sesame";
const guest = await assemble(
  "cli-terminal",
  guestText(() => ({ on: {} })),
);
const module = packManifest(guest, "name: orders\nversion: 1.0.0\n");

/** Runs a command on a terminal, with `script` where there is one; resolves to its exit code. */
async function onTerminal(
  parameters: readonly string[],
  environment: Readonly<Record<string, string>>,
  shown: (text: string) => void,
): Promise<number> {
  if (spawnSync("script", ["--version"]).status !== 0) {
    const terminal = { columns: 100, write: (text: string) => shown(text) };
    const ended = await runCli(parameters, environment, {}, { terminal });
    shown(`${ended.err}\n${ended.out}\n`);
    return ended.code;
  }
  const command = [process.execPath, main, ...parameters].join(" ");
  const child = spawn("script", ["--quiet", "--return", "--command", command, "/dev/null"], {
    env: { ...process.env, TERM: "xterm", ...environment },
    stdio: ["ignore", "pipe", "inherit"],
  });
  child.stdout.setEncoding("utf8").on("data", shown);
  const [code] = await once(child, "close");
  return Number(code);
}

test("a pull is shown on a terminal with a bar that is drawn anew", async () => {
  await using directory = await temporaryDirectory();
  await using sidecar = await startSidecar(directory.path, { admin: { token }, log: { level: "warn" } });
  let screen = "";
  const isShown = (pattern: RegExp): Promise<void> => eventually(`it shows ${pattern}`, () => pattern.test(screen));
  await using server = createServer(async (_, response) => {
    response.writeHead(200, { "content-length": module.length });
    response.write(module.subarray(0, module.length / 2));
    await isShown(/fetch +\[#{1,12}\.{12,}\] \d\d % /);
    response.end(module.subarray(module.length / 2));
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/orders.wasm`;
  const environment = { OUTRIGGER_ADMIN: sidecar.admin, OUTRIGGER_ADMIN_TOKEN: token };
  const code = await onTerminal(["deploy", url, "--wait"], environment, (text) => {
    screen += text;
  });
  assert.equal(code, 0, screen);
  assert.match(screen, /fetch +[\d.]+ m?s {2}[\d.]+ (Ki)?B\r?\n/);
  assert.match(screen, /orders 1\.0\.0 is stable/);
  assert.ok(screen.includes("\r\u001b[K"), "a line is drawn anew");
  server.closeAllConnections();
});

test("a large module is sent piece by piece", async () => {
  await using directory = await temporaryDirectory();
  await using sidecar = await startSidecar(directory.path, { admin: { token }, log: { level: "warn" } });
  const length = 24 * 1024 ** 2;
  // A custom section without a name that means anything.
  const head = Buffer.from([0, 0x80, 0x80, 0x80, 0x0c, 1, 0x78]);
  const large = Buffer.concat([guest, head, Buffer.alloc(length - 2)]);
  await writeFile(join(directory.path, "orders.wasm"), large);
  const drawn: string[] = [];
  const terminal = { columns: 100, write: (text: string) => drawn.push(text) };
  const environment = { OUTRIGGER_ADMIN: sidecar.admin, OUTRIGGER_ADMIN_TOKEN: token };
  const ended = await runCli(["deploy", join(directory.path, "orders.wasm")], environment, {}, { terminal });
  assert.deepEqual([ended.code, ended.out.slice(0, 22)], [0, "orders 0.0.0 is stable"], ended.err);
  assert.match(ended.err, /^ {2}upload +[\d.]+ m?s {2}24\.0 MiB$/m);
  assert.ok(drawn.some((text) => /upload +\[#{24}\] 100 % {2}24\.0 MiB of 24\.0 MiB {2}[\d.]+ MiB\/s$/.test(text)));
});

test("who has read enough is not told of it", async () => {
  using command = startCommand(["help"]);
  command.process.stdout?.destroy();
  const { code, err } = await command.ended;
  assert.deepEqual([code, err], [141, ""]);
});
