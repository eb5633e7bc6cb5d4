import assert from "node:assert/strict";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { catalog } from "../components/catalog.ts";
import { silentLog } from "../test/support/api.ts";
import { temporaryDirectory } from "../test/support/sidecar.ts";
import { parseConfiguration } from "./config/load.ts";
import { openComponents } from "./open-components.ts";

const load = (directory: string, components: Record<string, unknown>) =>
  parseConfiguration(JSON.stringify({ components }), join(directory, "outrigger.yaml"), {
    known: catalog,
    environment: {},
  });

test("all components open, those on SQLite in one thread, and close again", async () => {
  await using directory = await temporaryDirectory();
  const loaded = await load(directory.path, {
    state: { orders: { type: "sqlite", keyPrefix: "name" }, cache: { type: "memory" } },
    lock: { jobs: { type: "sqlite" } },
  });
  for (let time = 0; time < 2; time++) {
    await using components = await openComponents(loaded, catalog, silentLog);
    assert.deepEqual([...components.state.keys()].sort(), ["cache", "orders"]);
    assert.equal(components.state.get("orders")?.keyPrefix, "name");
    assert.deepEqual([...components.lock.keys()], ["jobs"]);
    assert.equal(components.pubsub.size, 0);
  }
});

test("a component that cannot be opened is named, and the others are closed", async () => {
  await using directory = await temporaryDirectory();
  await mkdir(join(directory.path, "data", "folder"), { recursive: true });
  const good = { orders: { type: "sqlite" } };
  const bad = await load(directory.path, {
    state: { ...good, broken: { type: "sqlite", path: "folder" } },
    lock: { alsoBroken: { type: "sqlite", path: "folder" } },
  });
  await assert.rejects(
    openComponents(bad, catalog, silentLog),
    /^RuntimeError: the state component 'broken' cannot be/,
  );
  await using _ = await openComponents(await load(directory.path, { state: good }), catalog, silentLog);
});
