/** Uploads to a sidecar that wants everything signed, as their users sign and send them. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { generateKeyPairSync, sign } from "node:crypto";
import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { packManifest } from "../../runtime/plugin/packed-manifest.ts";
import { ask } from "../support/http.ts";
import { type Ended, startCommand } from "../support/outrigger-command.ts";
import { pem } from "../support/plugin-source.ts";
import { drop, guestText } from "../support/proxy-wasm-guest.ts";
import { startSidecar, temporaryDirectory } from "../support/sidecar.ts";
import { assemble } from "../support/wat.ts";

const token = "open-sesame";
const manifestOf = (version: string): string => `name: orders\nversion: "${version}"\nkind: service\n`;

/** A service that answers with its version. */
const moduleOf = (version: string): Promise<Uint8Array<ArrayBuffer>> =>
  assemble(
    `signed-${version}`,
    guestText((text) => ({
      on: {
        proxy_on_request_headers: `${drop(
          `(call $proxy_send_local_response (i32.const 200) (i32.const 0) (i32.const 0) ${text(version)} (i32.const 0) (i32.const 0) (i32.const -1))`,
        )} (i32.const 1)`,
      },
    })),
  );

test("outrigger deploy FILE sends the signature beside it, and a sidecar takes what is signed with its manifest alone", async () => {
  await using directory = await temporaryDirectory();
  const at = (name: string): string => join(directory.path, name);
  const { publicKey, privateKey } = generateKeyPairSync("rsa", { modulusLength: 4096 });
  await writeFile(at("key.pub"), pem(publicKey));
  await writeFile(at("key.pem"), privateKey.export({ type: "pkcs8", format: "pem" }));
  const configuration = {
    admin: { token },
    plugins: { signatures: { keys: ["key.pub"] } },
    ingress: { routes: [{ match: { prefix: "/" }, to: { plugin: "orders" } }] },
  };
  await using sidecar = await startSidecar(directory.path, configuration);
  const deploy = async (...parameters: readonly string[]): Promise<Ended> => {
    using command = startCommand(["deploy", ...parameters], {
      directory: directory.path,
      environment: { OUTRIGGER_ADMIN: sidecar.admin, OUTRIGGER_ADMIN_TOKEN: token },
    });
    return await command.ended;
  };
  const served = async (): Promise<string> => (await ask(sidecar.ingress, "/")).text;

  const first = await moduleOf("1");
  await writeFile(at("orders.wasm"), packManifest(first, manifestOf("1")));
  const unsigned = await deploy("orders.wasm");
  assert.equal(unsigned.code, 3);
  assert.match(
    unsigned.err,
    /plugin 'orders' is not deployed from an upload: it is not signed, and plugins\.signatures/,
  );

  // What docs/guides/registries.md tells to do.
  const script = "openssl dgst -sha256 -sign key.pem orders.wasm | base64 -w0 > orders.wasm.sig";
  await promisify(execFile)("sh", ["-c", script], { cwd: directory.path });
  const signed = await deploy("orders.wasm");
  assert.equal(signed.code, 0, signed.err);
  assert.equal(await served(), "1");

  await writeFile(at("orders.yaml"), manifestOf("9"));
  const beside = await deploy("orders.wasm");
  assert.equal(beside.code, 3);
  assert.match(beside.err, /its signature is over the module alone, .*'outrigger pack' before you sign/);
  await rm(at("orders.yaml"));

  const second = packManifest(await moduleOf("2"), manifestOf("2"));
  await writeFile(at("orders.wasm"), second);
  const stale = await deploy("orders.wasm");
  assert.equal(stale.code, 3);
  assert.match(stale.err, /its signature is by none of the keys in plugins\.signatures, or over something else/);
  assert.equal(await served(), "1");
  await writeFile(at("orders.wasm.sig"), `${sign("sha256", second, privateKey).toString("base64")}\n`);
  assert.equal((await deploy("orders.wasm")).code, 0);
  assert.equal(await served(), "2");
});
