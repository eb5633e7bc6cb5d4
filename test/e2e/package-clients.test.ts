/** The published package on servers whose clients it loads late. */
import assert from "node:assert/strict";
import { copyFile } from "node:fs/promises";
import { join } from "node:path";
import { it } from "node:test";
import { fileURLToPath } from "node:url";
import { buildSidecar } from "../../scripts/build.ts";
import { json, OutriggerClient } from "../../sdk/index.ts";
import { startKafka } from "../support/kafka-server.ts";
import { startPostgres } from "../support/postgres-server.ts";
import { startedFor } from "../support/programs.ts";
import { startS3 } from "../support/s3-server.ts";
import { startSidecar, temporaryDirectory } from "../support/sidecar.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));

it("the built package loads the clients of Postgres and S3", async () => {
  await using directory = await temporaryDirectory();
  const main = await builtInto(directory.path);
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

it("the built package loads the client of Kafka", async (context) => {
  await using kafka = await startedFor(context, () => startKafka("4.4.0"));
  if (kafka === undefined) return;
  await using directory = await temporaryDirectory();
  const main = await builtInto(directory.path);
  const components = { pubsub: { events: { type: "kafka", brokers: [kafka.address] } } };
  await using sidecar = await startSidecar(directory.path, { components }, {}, main);
  await using client = new OutriggerClient({ address: sidecar.grpc });
  await using subscription = await client.pubsub.subscribe({ pubsub: "events", topic: "orders" });
  await client.pubsub.publish({ pubsub: "events", topic: "orders", data: "an order" });
  for await (const event of subscription) {
    assert.equal(event.data.text(), "an order");
    await event.ack();
    break;
  }
});

/** Resolves to the command. */
async function builtInto(directory: string): Promise<string> {
  await buildSidecar(join(directory, "dist"));
  await copyFile(join(root, "package.json"), join(directory, "package.json"));
  return join(directory, "dist/runtime/main.js");
}
