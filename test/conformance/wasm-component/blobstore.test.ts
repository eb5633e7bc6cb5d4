/** wasi:blobstore, as a component of Rust uses it, on every backend of file stores. */
import assert from "node:assert/strict";
import { copyFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { stringify } from "yaml";
import { ask } from "../../support/http.ts";
import { startedFor } from "../../support/programs.ts";
import { rustComponents } from "../../support/rust-components.ts";
import { startS3 } from "../../support/s3-server.ts";
import { type Sidecar, startSidecar, temporaryDirectory } from "../../support/sidecar.ts";
import { eventually } from "../backend.ts";
import { blobChecks } from "./blobs.ts";

/** Registers what holds on the backend; `place` resolves to the settings of a store of that name. */
function onBackend(name: string, open: (opening: AsyncDisposableStack) => Promise<(store: string) => object>): void {
  describe(name, () => {
    const opened = new AsyncDisposableStack();
    let sidecar: Sidecar | undefined;
    let starting: Promise<Sidecar> | undefined;
    const start = async () => {
      const component = (await rustComponents()).get("blobs") ?? assert.fail("it was not built");
      return serving(opened, component, await open(opened));
    };
    before(async () => {
      starting = start();
      await Promise.allSettled([starting]);
    });
    after(() => opened.disposeAsync());
    blobChecks(
      (what, body) =>
        it(what, async (context) => {
          sidecar = await startedFor(context, async () => starting);
          if (sidecar !== undefined) await body();
        }),
      async (path, body) => {
        const question = { method: "POST", ...(body === undefined ? {} : { body }) };
        const { status, text, body: answer } = await ask(sidecar?.ingress ?? "", `/${path}`, question);
        if (status === 200) return answer;
        throw new Error(`${status}: ${text}`);
      },
    );
  });
}

async function serving(
  opened: AsyncDisposableStack,
  component: string,
  settingsOf: (store: string) => object,
): Promise<Sidecar> {
  const { path } = opened.use(await temporaryDirectory());
  const capabilities = { object: ["files", "more"] };
  const limits = { budget: "1s", deadline: "30s" };
  const manifest = { name: "blobs", version: "1.0.0", kind: "service", limits, capabilities };
  await copyFile(component, join(path, "plugins", "blobs.wasm"));
  await writeFile(join(path, "plugins", "blobs.yaml"), stringify(manifest));
  const sidecar = opened.use(
    await startSidecar(path, {
      components: { object: { files: settingsOf("files"), more: settingsOf("more") } },
      plugins: { directory: "./plugins", grants: { blobs: capabilities } },
      ingress: { maxBufferBytes: "8Mi", routes: [{ match: { prefix: "/" }, to: { plugin: "blobs" } }] },
    }),
  );
  const isServing = async () => (await ask(sidecar.ingress, "/exists/files")).status === 200;
  await eventually("the guest serves", isServing);
  return sidecar;
}

onBackend("local", async () => (store) => ({ type: "local", path: `./${store}` }));
onBackend("s3", async (opening) => {
  const { endpoint, bucket, credentials } = opening.use(await startS3());
  return (store) => ({ type: "s3", endpoint, bucket, credentials, prefix: `${store}/` });
});
