/** A TCP listener of the whole sidecar: configured, followed as the file changes, drained. */
import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { stringify } from "yaml";
import { Client, serveTcpEcho } from "../integration/tcp-rig.ts";
import { ask } from "../support/http.ts";
import { drop, guestText } from "../support/proxy-wasm-guest.ts";
import { onFreePorts, startSidecar, temporaryDirectory } from "../support/sidecar.ts";
import { assemble } from "../support/wat.ts";

const upstreamData = 3;

/** Writes an exclamation mark behind what it is shown of the upstream. */
const shouting = await assemble(
  "shouting",
  guestText((text) => ({
    on: {
      proxy_on_upstream_data: `(if (local.get $size) (then
        ${drop(`(call $proxy_set_buffer_bytes (i32.const ${upstreamData}) (local.get $size) (i32.const 0) ${text("!")})`)}))
        (i32.const 0)`,
    },
  })),
);

async function answer(address: string, text: string): Promise<string> {
  using client = await Client.to(address);
  client.socket.end(text);
  await client.closed;
  return client.text;
}

test("a TCP listener follows the configuration, and drains with the sidecar", async () => {
  await using directory = await temporaryDirectory();
  await using echo = await serveTcpEcho();
  await writeFile(join(directory.path, "plugins/shouting.wasm"), shouting);
  const listening = (filters: readonly string[], more: readonly object[] = []) => ({
    plugins: { directory: join(directory.path, "plugins") },
    upstreams: { echo: { endpoints: [echo.address] } },
    ingress: { tcp: [{ listen: "127.0.0.1:0", filters, to: { upstream: "echo" } }, ...more] },
  });
  const write = (configuration: Record<string, unknown>): Promise<void> =>
    writeFile(join(directory.path, "outrigger.yaml"), stringify(onFreePorts(configuration)));
  await using sidecar = await startSidecar(directory.path, listening(["shouting"]));
  assert.equal(await answer(sidecar.tcp, "hello"), "hello!");
  const line = await sidecar.logged(({ log, protocol }) => log === "access" && protocol === "TCP");
  assert.equal(line["details"], "via_upstream");
  assert.equal(line["bytesReceived"], 5);
  assert.match((await ask(sidecar.admin, "/metrics")).text, /outrigger_tcp_connections_total\{.*\} 1/);

  using old = await Client.to(sidecar.tcp);
  old.socket.write("old");
  await old.got("!");
  await write(listening([], [{ listen: "127.0.0.1:0", to: { upstream: "echo" } }]));
  const restart = await sidecar.logged(({ msg }) => msg.includes("at the next start"));
  assert.deepEqual(restart["parts"], ["ingress.tcp"]);
  assert.equal(await answer(sidecar.tcp, "hello"), "hello");

  const stopped = sidecar.stop("SIGTERM");
  await sidecar.logged(({ msg }) => msg === "draining");
  old.socket.end(" and gone");
  await old.closed;
  assert.equal(old.text, "old! and gone!");
  assert.deepEqual(await stopped, { code: 0, signal: null });
});
