import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { appendFile, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { keepLog } from "../../test/support/plugin-registry.ts";
import { makeArtifact, type PluginArtifact } from "./artifact.ts";
import { recordFileName } from "./plugin-record-file.ts";
import { rolloutPolicy } from "./rollout/policy.ts";
import { DiskVersionStore } from "./version-store.ts";
import type { PluginRecord, VersionRecord } from "./versions.ts";

async function temporaryFolder(): Promise<{ readonly path: string } & AsyncDisposable> {
  const path = await mkdtemp(join(tmpdir(), "outrigger-store-"));
  return { path: join(path, "plugins"), [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

function artifactOf(name: string, version: string): PluginArtifact {
  const manifest = { text: `name: ${name}\nversion: ${version} # as it was written\n`, path: `${name}.yaml` };
  return makeArtifact(new TextEncoder().encode(`module of ${name} ${version}`), `${name}.wasm`, manifest);
}

function versionOf({ manifest, manifestText, digest, origin }: PluginArtifact): VersionRecord {
  return { version: manifest.version, digest, manifest: manifestText, origin, by: "ci", deployedAt: 1 };
}

const recordOf = (plugin: string, stable: VersionRecord | undefined, previous: VersionRecord[] = []): PluginRecord => ({
  plugin,
  stable,
  trial: undefined,
  previous,
});

const modulesIn = (folder: string): Promise<string[]> => readdir(join(folder, "modules/sha256"));

describe("the versions on disk", () => {
  it("are there again, with their modules, manifests and trials", async () => {
    await using folder = await temporaryFolder();
    const { log } = keepLog();
    const [one, two, three] = ["1.0.0", "2.0.0", "3.0.0"].map((version) => artifactOf("orders", version));
    assert.ok(one !== undefined && two !== undefined && three !== undefined);
    const store = await DiskVersionStore.open(folder.path, log);
    for (const artifact of [one, two, three]) await store.keep(artifact);
    const policy = rolloutPolicy.parse({ canary: { percent: 5, hashBy: "source" }, window: "90s" });
    const record: PluginRecord = {
      plugin: "orders",
      stable: versionOf(two),
      trial: { version: versionOf(three), policy, phase: "canary" },
      previous: [versionOf(one)],
    };
    await store.save(record);

    const again = await DiskVersionStore.open(folder.path, log);
    assert.deepEqual(again.records, [record]);
    assert.deepEqual(await again.load(versionOf(three)), three);
  });

  it("keep a module as long as a record names it, or the record is still to come", async () => {
    await using folder = await temporaryFolder();
    const { log } = keepLog();
    const [one, two] = [artifactOf("orders", "1.0.0"), artifactOf("orders", "2.0.0")];
    const store = await DiskVersionStore.open(folder.path, log);
    await store.keep(one);
    await store.save(recordOf("orders", versionOf(one)));
    await store.keep(two);
    await store.save(recordOf("billing", undefined));
    assert.equal((await modulesIn(folder.path)).length, 2);
    await store.save(recordOf("orders", versionOf(two)));
    assert.deepEqual(await modulesIn(folder.path), [`${two.digest.slice("sha256:".length)}.wasm`]);
    await store.save(recordOf("orders", undefined));
    assert.deepEqual(await modulesIn(folder.path), []);
    assert.deepEqual(await readdir(join(folder.path, "records")), []);
  });

  it("refuse a module that was changed or removed behind their back, and mend it when it is kept again", async () => {
    await using folder = await temporaryFolder();
    const store = await DiskVersionStore.open(folder.path, keepLog().log);
    const one = artifactOf("orders", "1.0.0");
    await store.keep(one);
    await store.save(recordOf("orders", versionOf(one)));
    const [file = ""] = await modulesIn(folder.path);
    const path = join(folder.path, "modules/sha256", file);
    await writeFile(path, "another module");
    const changed =
      /^PluginError: plugin 'orders' 1\.0\.0 is not there any more: .* is not the module that was kept; deploy it again$/;
    await assert.rejects(store.load(versionOf(one)), changed);
    await store.keep(one);
    assert.deepEqual(await store.load(versionOf(one)), one);
    await rm(path);
    await assert.rejects(store.load(versionOf(one)), /cannot be read \(ENOENT\)/);
  });

  it("tell a record that is broken, restore the others, and remove no module meanwhile", async () => {
    await using folder = await temporaryFolder();
    const { log, messages } = keepLog();
    const store = await DiskVersionStore.open(folder.path, log);
    for (const name of ["orders", "billing", "stock", "users"]) {
      const artifact = artifactOf(name, "1.0.0");
      await store.keep(artifact);
      await store.save(recordOf(name, versionOf(artifact)));
    }
    const path = (name: string): string => join(folder.path, "records", `${name}.json`);
    await writeFile(path("orders"), '{"plugin":"ord');
    await writeFile(path("billing"), '{"plugin":"billing","previous":[],"stable":{"version":"1"}}');
    await writeFile(path("stock"), await readFile(path("users")));

    const again = await DiskVersionStore.open(folder.path, log);
    assert.deepEqual(
      again.records.map(({ plugin }) => plugin),
      ["users"],
    );
    assert.match(messages.join("\n"), /orders\.json cannot be used: it is not JSON; its plugin is not restored/);
    assert.match(messages.join("\n"), /billing\.json cannot be used: 'stable\.digest' is missing or wrong/);
    assert.match(messages.join("\n"), /stock\.json cannot be used: it is that of plugin 'users'/);
    assert.equal((await modulesIn(folder.path)).length, 4);
    for (const name of ["orders", "billing", "stock"]) await again.save(recordOf(name, undefined));
    assert.equal((await modulesIn(folder.path)).length, 1);
  });

  it("keep the stable version of a record of which another part cannot be read, and the modules of that part", async () => {
    const [one, two, three] = ["1.0.0", "2.0.0", "3.0.0"].map((version) => artifactOf("orders", version));
    assert.ok(one !== undefined && two !== undefined && three !== undefined);
    const trial = {
      version: versionOf(three),
      policy: rolloutPolicy.parse({ canary: { percent: 5 } }),
      phase: "canary",
    };
    const whole = { ...recordOf("orders", versionOf(two), [versionOf(one)]), trial };
    const deployed = { path: "/plugins/orders.wasm", digest: two.digest, manifest: two.digest };
    const broken: readonly (readonly [where: string, record: object])[] = [
      ["trial.phase", { ...whole, trial: { ...trial, phase: "shadow" } }],
      ["trial.policy.mirror", { ...whole, trial: { ...trial, policy: { ...trial.policy, mirror: true } } }],
      ["directory.digest", { ...whole, directory: { ...deployed, digest: "md5:1" } }],
      ["previous", { ...whole, previous: undefined }],
      ["previous.0.digest", { ...whole, previous: [{ ...versionOf(one), digest: "md5:1" }] }],
    ];
    for (const [where, record] of broken) {
      await using folder = await temporaryFolder();
      const kept = keepLog();
      const store = await DiskVersionStore.open(folder.path, kept.log);
      for (const artifact of [one, two, three]) await store.keep(artifact);
      await writeFile(join(folder.path, "records/orders.json"), JSON.stringify(record));
      const again = await DiskVersionStore.open(folder.path, kept.log);
      assert.deepEqual(again.record("orders")?.stable, versionOf(two), where);
      assert.deepEqual(again.record("orders")?.trial === undefined, where.startsWith("trial"), where);
      assert.deepEqual(again.record("orders")?.previous.length, where.startsWith("previous") ? 0 : 1, where);
      assert.equal((await modulesIn(folder.path)).length, 3, where);
      await kept.logged(
        new RegExp(`orders\\.json is restored without .* cannot read: '${where.replaceAll(".", "\\.")}'`),
      );
      await again.save(recordOf("orders", versionOf(two)));
      assert.equal((await modulesIn(folder.path)).length, 1, "nothing names the others any more");
    }
  });

  it("remember what the plugins directory deployed, whatever is saved meanwhile", async () => {
    await using folder = await temporaryFolder();
    const { log } = keepLog();
    const store = await DiskVersionStore.open(folder.path, log);
    const one = artifactOf("orders", "1.0.0");
    const deploy = { path: "/plugins/orders.wasm", digest: one.digest, manifest: one.digest };
    await store.keep(one);
    await store.rememberDirectoryDeploy("orders", deploy);
    await store.save(recordOf("orders", versionOf(one)));
    await store.save(recordOf("orders", undefined));
    const again = await DiskVersionStore.open(folder.path, log);
    assert.deepEqual([...again.directoryDeploys()], [["orders", deploy]]);
    await again.rememberDirectoryDeploy("orders", undefined);
    assert.deepEqual(await readdir(join(folder.path, "records")), []);
  });

  it("have files of their own for names that differ in case only, or are very long", () => {
    const names = ["orders", "Orders", "ORDERS", "a".repeat(128), `${"a".repeat(127)}b`, `${"a".repeat(127)}B`];
    const files = names.map((name) => recordFileName(name).toLowerCase());
    assert.equal(new Set(files).size, names.length);
    assert.ok(files.every((file) => file.length < 200));
    assert.equal(files[0], "orders.json");
  });

  it("cannot be kept where the disk takes nothing, and say so", async () => {
    await using folder = await temporaryFolder();
    const store = await DiskVersionStore.open(folder.path, keepLog().log);
    await rm(folder.path, { recursive: true });
    const refused =
      /^PluginError: plugin 'orders' 1\.0\.0 cannot be kept below .* \(ENOENT\); see that the disk has room/;
    await assert.rejects(store.keep(artifactOf("orders", "1.0.0")), refused);
  });
});

describe("the history on disk", () => {
  const entry = (at: number, plugin = "orders") =>
    ({ at, plugin, action: "deploy", version: `${at}`, digest: "", by: "ci", outcome: "done" }) as const;

  it("gives the newest entries first, leaves out what was cut off, and goes on after it", async () => {
    await using folder = await temporaryFolder();
    const store = await DiskVersionStore.open(folder.path, keepLog().log);
    await store.log(entry(1));
    await store.log(entry(2, "billing"));
    await appendFile(join(folder.path, "history.jsonl"), '{"at":3,"plugin":"ord');
    const again = await DiskVersionStore.open(folder.path, keepLog().log);
    assert.deepEqual(await again.history(10), [entry(2, "billing"), entry(1)]);
    await again.log({ ...entry(4), outcome: "refused", reason: "x".repeat(5_000) });
    const [last] = await again.history(1);
    assert.deepEqual([last?.at, last?.reason?.length], [4, 1_000]);
    assert.deepEqual(await again.history(10, "billing"), [entry(2, "billing")]);
  });

  it("does not grow without end", async () => {
    await using folder = await temporaryFolder();
    const store = await DiskVersionStore.open(folder.path, keepLog().log, { maxHistoryBytes: 1_000 });
    await Promise.all(Array.from({ length: 60 }, (_, at) => store.log(entry(at + 1))));
    const kept = await store.history(100);
    assert.ok(kept.length >= 8 && kept.length < 30, `${kept.length} entries`);
    assert.deepEqual(
      kept.map(({ at }) => at),
      Array.from({ length: kept.length }, (_, index) => 60 - index),
    );
  });
});

describe("a process that is killed while it writes versions", () => {
  const writer = fileURLToPath(new URL("../../test/support/version-writer.ts", import.meta.url));

  it("leaves all that was acknowledged, whole, and nothing else", async () => {
    await using folder = await temporaryFolder();
    for (let round = 0; round < 4; round++) {
      const child = spawn(process.execPath, [writer, folder.path], { stdio: ["ignore", "pipe", "inherit"] });
      let said = "";
      child.stdout.setEncoding("utf8").on("data", (text: string) => {
        said += text;
        // Each round ends at another moment of a deploy.
        if (said.split("\n").length > 4) setTimeout(() => child.kill("SIGKILL"), round);
      });
      await once(child, "close");
      const acknowledged = Number(said.trim().split("\n").pop());
      const { log, messages } = keepLog();
      const store = await DiskVersionStore.open(folder.path, log);
      assert.deepEqual(messages, []);
      const record = store.record("orders") ?? assert.fail("the record is gone");
      const stable = record.stable ?? assert.fail("no version is stable");
      assert.ok(Number(stable.version) >= acknowledged, `${stable.version} is older than ${acknowledged}`);
      for (const version of [stable, ...record.previous]) await store.load(version);
      assert.equal((await modulesIn(folder.path)).length, 1 + record.previous.length);
      const [last] = await store.history(1);
      assert.ok(Number(last?.version) >= acknowledged, "the history has it");
    }
  });
});
