/** A sidecar that runs what a registry has: signed, by its tag, and there again when both were away. */
import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { packManifest } from "../../runtime/plugin/packed-manifest.ts";
import { ask, type HttpAnswer } from "../support/http.ts";
import { pem } from "../support/plugin-source.ts";
import { drop, guestText } from "../support/proxy-wasm-guest.ts";
import { pushImage, pushModule, signImage } from "../support/push.ts";
import { startRegistry } from "../support/registry-server.ts";
import { startSidecar, temporaryDirectory } from "../support/sidecar.ts";
import { assemble } from "../support/wat.ts";

const token = "open-sesame";

/** A service that answers with its version. */
async function service(version: string): Promise<Uint8Array> {
  const text = guestText((place) => ({
    on: {
      proxy_on_request_headers: `${drop(
        `(call $proxy_send_local_response (i32.const 200) (i32.const 0) (i32.const 0) ${place(version)} (i32.const 0) (i32.const 0) (i32.const -1))`,
      )} (i32.const 1)`,
    },
  }));
  return packManifest(
    await assemble(`orders-${version}`, text),
    `name: orders\nversion: "${version}"\nkind: service\n`,
  );
}

test("a sidecar deploys what a registry has when it is signed, and has it again after a kill while the registry is away", async () => {
  await using registry = await startRegistry();
  await using directory = await temporaryDirectory();
  await using started = new AsyncDisposableStack();
  const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  await writeFile(join(directory.path, "cosign.pub"), pem(publicKey));
  const configuration = {
    admin: { token },
    plugins: { signatures: { keys: ["cosign.pub"] } },
    ingress: { routes: [{ match: { prefix: "/" }, to: { plugin: "orders" } }] },
  };
  let sidecar = started.use(await startSidecar(directory.path, configuration));
  const deploy = (tag: string): Promise<HttpAnswer> => {
    const reference = `oci://${registry.address}/team/orders:${tag}`;
    const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
    return ask(sidecar.admin, "/v1/plugins", { method: "POST", headers, body: JSON.stringify({ reference }) });
  };
  const served = async (): Promise<string> => (await ask(sidecar.ingress, "/")).text;

  const target = { address: registry.address, repository: "team/orders" };
  await signImage(target, await pushModule(target, "1", await service("1")), privateKey);
  const first = await deploy("1");
  assert.ok(first.status < 300, first.text);
  assert.equal(await served(), "1");

  const second = await pushImage(target, "2", [{ "plugin.wasm": await service("2") }]);
  const unsigned = await deploy("2");
  assert.equal(unsigned.status, 422, unsigned.text);
  assert.match(unsigned.text, /team\/orders:2: it is not signed, and plugins\.signatures requires that it is/);
  assert.equal(await served(), "1");
  await signImage(target, second, privateKey);
  assert.ok((await deploy("2")).status < 300);
  assert.equal(await served(), "2");

  await sidecar.stop("SIGKILL");
  await registry.kill();
  sidecar = started.use(await startSidecar(directory.path, configuration));
  assert.equal(await served(), "2");
  assert.ok((await deploy("1")).status < 300, "from the disk");
  assert.equal(await served(), "1");
  const away = await deploy("latest");
  assert.match(away.text, /cannot be reached \(ECONNREFUSED\)/);
  assert.equal(await served(), "1");
});
