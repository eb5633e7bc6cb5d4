/** One version after the other, by every way in, while clients ask without a pause. */
import assert from "node:assert/strict";
import { rename, writeFile } from "node:fs/promises";
import { Agent } from "node:http";
import { join } from "node:path";
import { test } from "node:test";
import { packManifest } from "../../runtime/plugin/packed-manifest.ts";
import { ask, askUntil, type HttpAnswer } from "../support/http.ts";
import { drop, guestText } from "../support/proxy-wasm-guest.ts";
import { type Sidecar, startSidecar, temporaryDirectory } from "../support/sidecar.ts";
import { assemble } from "../support/wat.ts";

const [deploys, rollbacks, clients] = [30, 10, 8];
const token = "open-sesame";
const headers = { authorization: `Bearer ${token}` };

/** A service that answers with its version. */
async function moduleOf(version: number): Promise<Uint8Array> {
  const text = guestText((place) => ({
    on: {
      proxy_on_request_headers: `${drop(
        `(call $proxy_send_local_response (i32.const 200) (i32.const 0) (i32.const 0) ${place(`${version}`)} (i32.const 0) (i32.const 0) (i32.const -1))`,
      )} (i32.const 1)`,
    },
  }));
  return packManifest(
    await assemble(`orders-${version}`, text),
    `name: orders\nversion: "${version}"\nkind: service\n`,
  );
}

/** Clients that ask again as soon as they are answered, over connections that stay. */
function startClients({ ingress }: Sidecar) {
  const failures: string[] = [];
  let answered = 0;
  let isOver = false;
  const client = async (): Promise<void> => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    while (!isOver) {
      const { status, text } = await ask(ingress, "/orders", { agent }).catch(
        (error: Error): Pick<HttpAnswer, "status" | "text"> => ({ status: 0, text: error.message }),
      );
      answered++;
      if (status !== 200) failures.push(`${status} ${text}`);
    }
    agent.destroy();
  };
  const all = Array.from({ length: clients }, client);
  return {
    failures,
    answered: () => answered,
    async [Symbol.asyncDispose]() {
      isOver = true;
      await Promise.all(all);
    },
  };
}

async function put(directory: string, module: Uint8Array): Promise<void> {
  const path = join(directory, "plugins/orders.wasm");
  await writeFile(`${path}.new`, module);
  await rename(`${path}.new`, path);
}

async function post(sidecar: Sidecar, path: string, body: Uint8Array | string = "", type = "application/json") {
  const { status, text } = await ask(sidecar.admin, path, {
    method: "POST",
    headers: { ...headers, "content-type": type },
    body,
  });
  assert.ok(status < 300, text);
}

test(`no request fails through ${deploys} deploys and ${rollbacks} rollbacks`, async () => {
  await using directory = await temporaryDirectory();
  await put(directory.path, await moduleOf(0));
  await using sidecar = await startSidecar(directory.path, {
    admin: { token },
    log: { level: "warn" },
    plugins: { directory: "./plugins" },
    ingress: { routes: [{ match: { prefix: "/" }, to: { plugin: "orders" } }] },
  });
  const serves = (version: number) => askUntil(sidecar.ingress, "/orders", ({ text }) => text === `${version}`);
  await using load = startClients(sidecar);
  for (let version = 1; version <= deploys; version++) {
    const module = await moduleOf(version);
    const before = load.answered();
    if (version % 2 === 0) await put(directory.path, module);
    else await post(sidecar, "/v1/plugins", module, "application/wasm");
    await serves(version);
    if (version % (deploys / rollbacks) === 0) {
      await post(sidecar, "/v1/plugins/orders/rollback");
      await serves(version - 1);
    }
    assert.ok(load.answered() > before, "the clients are served all the while");
  }
  await load[Symbol.asyncDispose]();
  assert.deepEqual(load.failures, []);
});
