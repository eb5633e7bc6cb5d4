import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, unlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { stringify } from "yaml";
import { openRegistry } from "../../test/support/plugin-registry.ts";
import { ToyRequest, toyModule } from "../../test/support/toy-engine.ts";
import { createLog } from "../telemetry/log.ts";
import { makeArtifact, type PluginArtifact } from "./artifact.ts";
import type { PluginUse } from "./contract.ts";
import { PluginError } from "./plugin-error.ts";
import type { PluginRegistryOptions } from "./registry.ts";
import { DiskVersionStore } from "./version-store.ts";
import type { VersionStore } from "./versions.ts";

const modules = new Map(
  await Promise.all([201, 202, 203, 204].map(async (version) => [version, await toyModule(version)] as const)),
);
const trial = { rollout: { canary: { header: { name: "beta" } }, window: "1h" } };

function version(number: number, manifest: Readonly<Record<string, unknown>> = {}): PluginArtifact {
  const text = stringify({ name: "toy", version: String(number), ...manifest });
  return makeArtifact(modules.get(number) ?? assert.fail(), "toy.wasm", { text, path: "toy.yaml" });
}

/** What a request is answered with: the number of the version that served it. */
function servedBy(use: PluginUse, headers: Readonly<Record<string, string>> = {}): string | undefined {
  const request = new ToyRequest(3, headers);
  request.send(use).end();
  return /^responded (\d+)/.exec(request.events.join())?.[1];
}

async function openDisk() {
  const folder = await mkdtemp(join(tmpdir(), "outrigger-restore-"));
  const log = createLog({ level: "silent", destination: { write: () => {} } });
  return {
    folder,
    /** A sidecar that starts on what is there; it stands in for the one before, however that ended. */
    start: async (
      options: Partial<PluginRegistryOptions> & { readonly through?: (store: VersionStore) => VersionStore } = {},
    ) => {
      const { through = (store: VersionStore) => store, ...rest } = options;
      const store = await DiskVersionStore.open(folder, log);
      const open = openRegistry({ ...rest, store: through(store) });
      for (const record of store.records) await open.registry.restore(record, (wanted) => store.load(wanted));
      return { ...open, store, use: await open.registry.use("toy", {}) };
    },
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }),
  };
}

const modulePath = (folder: string, { digest }: PluginArtifact): string =>
  join(folder, "modules", "sha256", `${digest.slice("sha256:".length)}.wasm`);

describe("a sidecar that starts again", () => {
  it("has the version that was stable, the one on trial, and those to go back to", async () => {
    await using disk = await openDisk();
    {
      await using open = await disk.start();
      for (const number of [201, 202, 203]) await open.registry.deploy(version(number), { by: "alice" });
      await open.registry.deploy(version(204, trial), { by: "bob" });
      assert.equal(servedBy(open.use, { beta: "1" }), "204");
    }
    await using open = await disk.start();
    assert.deepEqual([servedBy(open.use), servedBy(open.use, { beta: "1" })], ["203", "204"]);
    const status = open.registry.list()[0];
    assert.equal(status?.trial?.phase, "canary");
    assert.equal(status.trial.candidate.streams, 1, "its trial began afresh");
    assert.deepEqual(
      status.previous?.map((one) => one.version),
      ["202", "201"],
    );
    await open.registry.rollback("toy", "alice", "201");
    assert.deepEqual([servedBy(open.use), servedBy(open.use, { beta: "1" })], ["201", "201"]);
    assert.deepEqual(
      (await open.store.history(10)).map((one) => `${one.action} ${one.version} by ${one.by}`),
      [
        "rollback 201 by alice",
        "rollback 204 by alice",
        "deploy 204 by bob",
        "deploy 203 by alice",
        "deploy 202 by alice",
        "deploy 201 by alice",
      ],
    );
  });

  it("has nothing of a plugin that was removed", async () => {
    await using disk = await openDisk();
    {
      await using open = await disk.start();
      await open.registry.deploy(version(201));
      await open.registry.remove("toy", "alice");
    }
    await using open = await disk.start();
    assert.deepEqual(open.registry.list(), []);
  });

  it("keeps a staged version staged, and a trial that was paused paused", async () => {
    await using disk = await openDisk();
    {
      await using open = await disk.start();
      await open.registry.deploy(version(201, { rollout: { ...trial.rollout, stagedOnly: true } }));
    }
    {
      await using open = await disk.start();
      assert.equal(open.registry.list()[0]?.state, "staged");
      await open.registry.promote("toy", "alice");
      await open.registry.deploy(version(202, trial));
      await open.registry.pause("toy", "alice");
    }
    await using open = await disk.start();
    assert.equal(open.registry.list()[0]?.trial?.phase, "paused");
    assert.equal(servedBy(open.use, { beta: "1" }), "202");
  });

  it("takes the newest previous version that can be run when the stable one cannot", async () => {
    await using disk = await openDisk();
    {
      await using open = await disk.start();
      for (const number of [201, 202, 203]) await open.registry.deploy(version(number));
    }
    for (const number of [202, 203]) await unlink(modulePath(disk.folder, version(number)));
    await using open = await disk.start();
    assert.equal(servedBy(open.use), "201");
    await open.logged(/203 is not there any more/);
    assert.equal(open.store.record("toy")?.stable?.version, "201");
    const [entry] = await open.store.history(1);
    assert.equal(entry?.action, "rollback");
    const told = /plugin 'toy' 203 could not be brought back, and 201 runs in its place: .* is not there any more/;
    await open.logged(told);
    assert.match(entry?.reason ?? "", told);
    const status = open.registry.list()[0];
    assert.deepEqual([status?.state, status?.version], ["serving", "201"]);
    assert.match(status?.reason ?? "", told);
  });

  it("tells of a stable version whose manifest this version of the sidecar does not know, and of what runs instead", async () => {
    await using disk = await openDisk();
    {
      await using open = await disk.start();
      for (const number of [201, 202]) await open.registry.deploy(version(number));
    }
    const path = join(disk.folder, "records", "toy.json");
    const record = JSON.parse(await readFile(path, "utf8"));
    record.stable.manifest += "quota: 5\n";
    await writeFile(path, JSON.stringify(record));
    await using open = await disk.start();
    assert.equal(servedBy(open.use), "201");
    const told = /plugin 'toy' 202 could not be brought back, and 201 runs in its place: .*quota/;
    await open.logged(told);
    assert.match(open.registry.list()[0]?.reason ?? "", told);
    assert.ok(
      open.store.record("toy")?.previous.some((one) => one.version === "202"),
      "it can be gone back to",
    );
    await open.registry.deploy(version(202));
    assert.equal(open.registry.list()[0]?.reason, undefined);
  });

  it("says why nothing runs when nothing can, and takes the next deploy", async () => {
    await using disk = await openDisk();
    {
      await using open = await disk.start();
      await open.registry.deploy(version(201));
    }
    await unlink(modulePath(disk.folder, version(201)));
    await using open = await disk.start();
    const status = open.registry.list()[0];
    assert.deepEqual([status?.state, status?.version], ["refused", "201"]);
    assert.match(status?.reason ?? "", /is not there any more/);
    await open.registry.deploy(version(202, trial));
    assert.equal(servedBy(open.use), "202", "there is nothing to be tried against");
  });

  it("waits for grants that a version lost meanwhile", async () => {
    await using disk = await openDisk();
    const capabilities = { state: ["orders"] };
    const grants = { toy: version(202, { capabilities }).manifest.capabilities };
    {
      await using open = await disk.start({ grants });
      await open.registry.deploy(version(201));
      await open.registry.deploy(version(202, { capabilities }));
    }
    await using open = await disk.start();
    assert.equal(open.registry.list()[0]?.state, "refused");
    await open.registry.updateGrants(grants);
    await open.logged(/^plugin 'toy' 202 is deployed/);
    assert.equal(servedBy(open.use), "202");
  });
});

describe("a process that is killed while it deploys", () => {
  class Killed extends Error {}
  /** A store that does nothing more after so many steps, as if the process had been killed. */
  const dyingAt = (steps: number) => (store: VersionStore) => {
    let left = steps;
    const step = async (task: () => Promise<void>): Promise<void> => {
      if (left-- <= 0) throw new Killed("killed");
      await task();
    };
    return {
      keep: (artifact: PluginArtifact) => step(() => store.keep(artifact)),
      save: (record: Parameters<VersionStore["save"]>[0]) => step(() => store.save(record)),
      log: (entry: Parameters<VersionStore["log"]>[0]) => step(() => store.log(entry)),
      load: (wanted: Parameters<VersionStore["load"]>[0]) => store.load(wanted),
    };
  };
  const steps: readonly (readonly [when: string, steps: number, stable: string])[] = [
    ["before the module is kept", 0, "201"],
    ["before the record is replaced", 1, "201"],
    ["before the streams are switched and the history is written", 2, "202"],
  ];
  for (const [when, count, stable] of steps) {
    it(`${when} has one stable version afterwards, which serves`, async () => {
      await using disk = await openDisk();
      {
        await using open = await disk.start();
        await open.registry.deploy(version(201));
      }
      {
        await using open = await disk.start({ through: dyingAt(count) });
        await open.registry.deploy(version(202)).catch((error: unknown) => assert.ok(error instanceof Killed));
      }
      await using open = await disk.start();
      assert.equal(servedBy(open.use), stable);
      assert.equal(open.store.record("toy")?.stable?.version, stable);
    });
  }

  const operations: readonly (readonly [
    what: string,
    run: (open: ReturnType<typeof openRegistry>["registry"]) => Promise<unknown>,
    stable: string,
  ])[] = [
    ["promotes", (registry) => registry.promote("toy", "alice"), "202"],
    ["aborts", (registry) => registry.abort("toy", "alice"), "201"],
    ["rolls back", (registry) => registry.rollback("toy", "alice"), "201"],
  ];
  for (const [what, run, stable] of operations) {
    for (const count of [0, 1]) {
      it(`or ${what}, at step ${count}, has one stable version afterwards, which serves`, async () => {
        await using disk = await openDisk();
        {
          await using open = await disk.start();
          await open.registry.deploy(version(201));
          await open.registry.deploy(version(202, trial));
        }
        {
          await using open = await disk.start({ through: dyingAt(count) });
          await run(open.registry).catch((error: unknown) => assert.ok(error instanceof Killed));
        }
        await using open = await disk.start();
        assert.equal(servedBy(open.use), count === 0 ? "201" : stable);
        assert.equal(servedBy(open.use, { beta: "1" }), count === 0 ? "202" : stable);
      });
    }
  }
});

describe("a disk that is full", () => {
  const full = (store: VersionStore): VersionStore => ({
    keep: (artifact) => store.keep(artifact),
    load: (wanted) => store.load(wanted),
    log: () => Promise.reject(new PluginError("toy", "", "storage", "the disk is full")),
    save: () => Promise.reject(new PluginError("toy", "", "storage", "the disk is full")),
  });

  it("refuses deploys and operations, and leaves everything as it is", async () => {
    await using disk = await openDisk();
    {
      await using open = await disk.start();
      await open.registry.deploy(version(201));
      await open.registry.deploy(version(202, trial));
    }
    await using open = await disk.start({ through: full });
    await assert.rejects(open.registry.deploy(version(203)), { fault: "storage" });
    await assert.rejects(open.registry.promote("toy", "alice"), { fault: "storage" });
    await assert.rejects(open.registry.remove("toy", "alice"), { fault: "storage" });
    assert.deepEqual([servedBy(open.use), servedBy(open.use, { beta: "1" })], ["201", "202"]);
    const { unkept } = await open.registry.rollback("toy", "alice");
    assert.match(unkept ?? "", /^it is in effect, and not kept yet, .*: the disk is full$/);
    assert.equal(servedBy(open.use, { beta: "1" }), "201", "but going back takes effect");
    await open.logged(/the history of plugin 'toy' could not be written: the disk is full/);
  });

  it("goes back once, however often it is asked to, and keeps that when there is room again", async () => {
    await using disk = await openDisk();
    {
      await using open = await disk.start();
      for (const number of [201, 202, 203]) await open.registry.deploy(version(number));
    }
    let isFull = true;
    const kept = Promise.withResolvers<string>();
    const filling = (store: VersionStore): VersionStore => ({
      keep: (artifact) => store.keep(artifact),
      load: (wanted) => store.load(wanted),
      log: (entry) => store.log(entry),
      save: async (record) => {
        if (isFull) throw new PluginError("toy", "", "storage", "the disk is full");
        await store.save(record);
        kept.resolve(record.stable?.version ?? "none");
      },
    });
    {
      await using open = await disk.start({ through: filling });
      assert.match((await open.registry.rollback("toy", "alice")).unkept ?? "", /the disk is full$/);
      await assert.rejects(open.registry.rollback("toy", "alice"), {
        fault: "conflict",
        message: /^plugin 'toy' has gone back to version 202: it is in effect, and not kept yet, .*; name a version/,
      });
      assert.equal(servedBy(open.use), "202");
      const shown = open.registry.record("toy");
      assert.deepEqual([shown?.stable?.version, open.store.record("toy")?.stable?.version], ["202", "203"]);
      const done = (await open.store.history(10)).filter(({ outcome }) => outcome === "done");
      assert.match(`${done[0]?.action} ${done[0]?.version}: ${done[0]?.reason}`, /^rollback 202: it is in effect/);
      isFull = false;
      assert.equal(await kept.promise, "202", "nobody asked again");
      while (open.registry.list()[0]?.unkept !== undefined) await new Promise((resolve) => setImmediate(resolve));
    }
    await using open = await disk.start();
    assert.equal(servedBy(open.use), "202");
  });

  it("does not keep a bad version on trial", async () => {
    await using disk = await openDisk();
    {
      await using open = await disk.start();
      await open.registry.deploy(version(201));
      await open.registry.deploy(version(202, trial));
    }
    await using open = await disk.start({ through: full });
    new ToyRequest(13, { beta: "1" }).send(open.use);
    assert.equal(servedBy(open.use, { beta: "1" }), "201");
    await open.logged(/^plugin 'toy' 202 is rolled back: it crashed once/);
  });
});

describe("a version on trial that crashes while it is promoted", () => {
  it("is not promoted, and does not come back after a restart", async () => {
    await using disk = await openDisk();
    {
      const saving = Promise.withResolvers<void>();
      const goOn = Promise.withResolvers<void>();
      const slow = (store: VersionStore): VersionStore => ({
        keep: (artifact) => store.keep(artifact),
        load: (wanted) => store.load(wanted),
        log: (entry) => store.log(entry),
        save: async (record) => {
          await store.save(record);
          if (record.stable?.version !== "202") return;
          saving.resolve();
          await goOn.promise;
        },
      });
      await using open = await disk.start({ through: slow });
      await open.registry.deploy(version(201));
      await open.registry.deploy(version(202, trial));
      const promotion = open.registry.promote("toy", "alice");
      await saving.promise;
      new ToyRequest(13, { beta: "1" }).send(open.use);
      goOn.resolve();
      await assert.rejects(promotion, {
        fault: "conflict",
        message: /has its version 202 rolled back: it crashed once/,
      });
      await open.logged(/^plugin 'toy' 202 is rolled back/);
    }
    await using open = await disk.start();
    assert.deepEqual([servedBy(open.use), servedBy(open.use, { beta: "1" })], ["201", "201"]);
  });
});
