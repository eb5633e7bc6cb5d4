import assert from "node:assert/strict";
import { test } from "node:test";
import { bytes, OutriggerClient } from "../../sdk/index.ts";
import { startSidecar, temporaryDirectory } from "../support/sidecar.ts";

const configuration = {
  components: { state: { orders: { type: "sqlite" } }, object: { files: { type: "local", path: "files" } } },
};

test("a kill -9 in the middle of 1,000 SaveState calls loses no acknowledged write", async () => {
  await using directory = await temporaryDirectory();
  const acknowledged = new Set<number>();
  {
    await using sidecar = await startSidecar(directory.path, configuration);
    await using client = new OutriggerClient({ address: sidecar.grpc });
    let killed: Promise<unknown> | undefined;
    const saves = Array.from({ length: 1000 }, async (_, index) => {
      try {
        await client.state.save({
          store: "orders",
          key: `order-${index}`,
          value: bytes(Buffer.from(`value ${index}`)),
        });
        acknowledged.add(index);
        if (acknowledged.size === 300) killed = sidecar.stop("SIGKILL");
      } catch {
        // Cut off by the kill: it was not acknowledged, so nothing is promised.
      }
    });
    await Promise.all(saves);
    await killed;
  }
  assert.ok(acknowledged.size >= 300, `only ${acknowledged.size} writes were acknowledged before the kill`);
  await using sidecar = await startSidecar(directory.path, configuration);
  await using client = new OutriggerClient({ address: sidecar.grpc });
  const lost: number[] = [];
  for (const index of acknowledged) {
    const entry = await client.state.get({ store: "orders", key: `order-${index}` });
    if (entry?.value.text() !== `value ${index}`) lost.push(index);
  }
  assert.deepEqual(lost, []);
});

test("a kill -9 in the middle of PutFile calls leaves every file as a whole, and every acknowledged one", async () => {
  await using directory = await temporaryDirectory();
  const store = "files";
  const contentOf = (version: number): Buffer => Buffer.alloc(300_000, `version ${version} `);
  const acknowledged = new Map<string, number>();
  {
    await using sidecar = await startSidecar(directory.path, configuration);
    await using client = new OutriggerClient({ address: sidecar.grpc });
    let killed: Promise<unknown> | undefined;
    const write = async (name: string): Promise<void> => {
      for (let version = 1; ; version++) {
        await client.file.put({ store, name, content: contentOf(version), metadata: { version: `${version}` } });
        acknowledged.set(name, version);
        if (version === 5) killed ??= sidecar.stop("SIGKILL");
      }
    };
    // Each goes on until the kill cuts it off.
    await Promise.allSettled(["a", "a/b", "c", "d"].map(write));
    await killed;
  }
  assert.ok([...acknowledged.values()].includes(5));
  await using sidecar = await startSidecar(directory.path, configuration);
  await using client = new OutriggerClient({ address: sidecar.grpc });
  for await (const { name, metadata } of client.file.list({ store })) {
    const version = Number(metadata.version);
    assert.ok(version >= (acknowledged.get(name) ?? 0), `version ${version} of ${name}`);
    assert.ok(contentOf(version).equals((await client.file.read({ store, name }))?.bytes() ?? Buffer.alloc(0)));
    acknowledged.delete(name);
  }
  assert.deepEqual([...acknowledged], [], "none is lost");
});
