/** The published package on servers whose clients it loads late. */
import assert from "node:assert/strict";
import { copyFile } from "node:fs/promises";
import { join } from "node:path";
import { it } from "node:test";
import { fileURLToPath } from "node:url";
import { buildSidecar } from "../../scripts/build.ts";
import { json, OutriggerClient } from "../../sdk/index.ts";
import { startPostgres } from "../support/postgres-server.ts";
import { startS3 } from "../support/s3-server.ts";
import { startSidecar, temporaryDirectory } from "../support/sidecar.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));

it("the built package loads the clients of Postgres and S3", async () => {
  await using directory = await temporaryDirectory();
  await buildSidecar(join(directory.path, "dist"));
  await copyFile(join(root, "package.json"), join(directory.path, "package.json"));
  const main = join(directory.path, "dist/runtime/main.js");
  await using postgres = await startPostgres();
  await using s3 = await startS3();
  const { endpoint, bucket, credentials } = s3;
  const components = {
    state: { orders: { type: "postgres", url: postgres.url } },
    sequencer: { ids: { type: "postgres", url: postgres.url } },
    object: { files: { type: "s3", endpoint, bucket, credentials } },
  };
  await using sidecar = await startSidecar(directory.path, { components }, {}, main);
  await using client = new OutriggerClient({ address: sidecar.grpc });
  await client.state.save({ store: "orders", key: "apple", value: json({ stock: 3 }) });
  assert.deepEqual((await client.state.get({ store: "orders", key: "apple" }))?.value.json(), { stock: 3 });
  const content = "text".repeat(3_000_000);
  await client.file.put({ store: "files", name: "a/b", content });
  assert.equal((await client.file.read({ store: "files", name: "a/b" }))?.text(), content);
});
