import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { generateKeyPairSync } from "node:crypto";
import { appendFile, cp, mkdir, mkdtemp, rename, rm, symlink, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { openRegistry } from "../../test/support/plugin-registry.ts";
import { pem } from "../../test/support/plugin-source.ts";
import { signatureOf } from "../../test/support/push.ts";
import { ToyRequest, toyModule } from "../../test/support/toy-engine.ts";
import type { PluginUse } from "./contract.ts";
import { packManifest } from "./packed-manifest.ts";
import { requireSignedFile } from "./source/signed-file.ts";
import { DiskVersionStore } from "./version-store.ts";
import type { VersionStore } from "./versions.ts";
import { PluginDirectory, type PluginDirectoryOptions } from "./watch.ts";

const first = await toyModule(201);
const second = await toyModule(202);
const third = await toyModule(203);
const quick = { quietMs: 10, rescanMs: 60_000 };

/** A registry, a directory `plugins` in an empty temporary one, and the watch on it once `prepare` has filled it. */
async function watched(
  prepare: (plugins: string) => Promise<unknown>,
  options: Pick<PluginDirectoryOptions, "quietMs" | "rescanMs" | "admit"> = {},
  store?: VersionStore,
) {
  const stack = new AsyncDisposableStack();
  const root = await mkdtemp(join(tmpdir(), "outrigger-plugins-"));
  stack.defer(() => rm(root, { recursive: true, force: true }));
  const plugins = join(root, "plugins");
  await mkdir(plugins);
  await prepare(plugins);
  const open = stack.use(openRegistry(store === undefined ? {} : { store }));
  const directory = { directory: plugins, registry: open.registry, log: open.log, ...quick, ...options };
  stack.use(await PluginDirectory.open(directory));
  const deployedCount = (): number => open.messages.filter((message) => / is deployed$/.test(message)).length;
  return {
    ...open,
    root,
    plugins,
    deployedCount,
    put: (name: string, content: string | Uint8Array) => writeFile(join(plugins, name), content),
    async use(name: string): Promise<PluginUse> {
      return stack.use(await open.registry.use(name, {}));
    },
    /** Resolves to the statuses of the next time that they satisfy the condition. */
    async until(condition: (names: readonly string[]) => boolean): Promise<void> {
      while (!condition(open.registry.list().map(({ name, version, state }) => `${name} ${version} ${state}`))) {
        await new Promise((resolve) => setImmediate(resolve));
      }
    },
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

function versionOf(use: PluginUse): string {
  const request = new ToyRequest(3);
  request.send(use).end();
  return request.events[0] ?? "";
}

const manifest = (name: string, version: string): string => `name: ${name}\nversion: ${version}\n`;

describe("the plugins directory", () => {
  it("is deployed when it is opened: with a manifest beside, with one inside, and bare", async () => {
    await using open = await watched(async (plugins) => {
      await writeFile(join(plugins, "a.wasm"), first);
      await writeFile(join(plugins, "a.yaml"), manifest("orders", "1.0.0"));
      await writeFile(join(plugins, "b.wasm"), packManifest(first, manifest("packed", "2.0.0")));
      await writeFile(join(plugins, "bare.wasm"), first);
      await writeFile(join(plugins, "broken.wasm"), "this is not a module");
    });
    assert.deepEqual(
      open.registry.list().map(({ name, version, state }) => `${name} ${version} ${state}`),
      ["bare 0.0.0 serving", "broken 0.0.0 refused", "orders 1.0.0 serving", "packed 2.0.0 serving"],
    );
    await open.logged(/plugin 'broken' cannot be deployed from .*broken\.wasm: the file is not WebAssembly/);
  });

  it("does not wait for a module that says of itself that it is whole", async () => {
    const packed = packManifest(first, manifest("orders", "1.0.0"));
    await using open = await watched(async () => {}, { quietMs: 600_000 });
    await open.put("orders.new", packed);
    await rename(join(open.plugins, "orders.new"), join(open.plugins, "orders.wasm"));
    await open.until((statuses) => statuses.includes("orders 1.0.0 serving"));
  });

  it("deploys a file that is added, the new version when it is replaced, and nothing when it is removed", async () => {
    await using open = await watched(async () => {});
    const use = await open.use("orders");
    await open.put("orders.wasm", first);
    await open.until(() => use.ready);
    assert.equal(versionOf(use), "responded 201");
    await open.put("orders.wasm", second);
    await open.until(() => versionOf(use) === "responded 202");
    await writeFile(join(open.root, "new"), third);
    await rename(join(open.root, "new"), join(open.plugins, "orders.wasm"));
    await open.until(() => versionOf(use) === "responded 203");
    await rm(join(open.plugins, "orders.wasm"));
    await open.until(() => !use.ready);
    await open.logged(/plugin 'orders' is removed/);
    assert.deepEqual(open.registry.list(), []);
  });

  it("takes a changed, added or removed manifest for a change of the plugin", async () => {
    await using open = await watched((plugins) => writeFile(join(plugins, "orders.wasm"), first));
    await open.put("orders.yaml", manifest("orders", "1.0.0"));
    await open.until((names) => names.includes("orders 1.0.0 serving"));
    await open.put("orders.yaml", manifest("orders", "1.1.0"));
    await open.until((names) => names.includes("orders 1.1.0 serving"));
    await open.put("orders.yaml", manifest("billing", "1.1.0"));
    await open.until((names) => names.length === 1 && names.includes("billing 1.1.0 serving"));
    await rm(join(open.plugins, "orders.yaml"));
    await open.until((names) => names.length === 1 && names.includes("orders 0.0.0 serving"));
  });

  it("leaves the running version alone when a file is broken, says why, and recovers", async () => {
    await using open = await watched((plugins) => writeFile(join(plugins, "orders.wasm"), first));
    const use = await open.use("orders");
    await open.put("orders.wasm", "this is not a module");
    await open.logged(/plugin 'orders' cannot be deployed.*not WebAssembly/);
    assert.equal(versionOf(use), "responded 201");
    assert.match(open.registry.list()[0]?.reason ?? "", /not WebAssembly/);
    await open.put("orders.yaml", "name: orders\nkidn: filter\n");
    await open.logged(/the manifest of plugin 'orders'.*did you mean 'kind'/);
    assert.match(open.registry.list()[0]?.reason ?? "", /did you mean 'kind'/);
    assert.equal(versionOf(use), "responded 201");
    await rm(join(open.plugins, "orders.yaml"));
    await open.put("orders.wasm", first);
    await open.until(() => open.registry.list()[0]?.reason === undefined);
    assert.equal(open.deployedCount(), 1, "it is the version that ran all the time");
  });

  it("waits for the rest of a file that is half written, and says so only when it does not come", async () => {
    await using open = await watched((plugins) => writeFile(join(plugins, "orders.wasm"), first));
    const use = await open.use("orders");
    const half = second.length >> 1;
    await open.put("orders.wasm", second.subarray(0, half));
    await open.put("other.wasm", first);
    await open.logged(/plugin 'other' .* is deployed/);
    assert.equal(versionOf(use), "responded 201");
    await appendFile(join(open.plugins, "orders.wasm"), second.subarray(half));
    await open.until(() => versionOf(use) === "responded 202");
    await open.put("orders.wasm", third.subarray(0, half));
    await open.logged(/plugin 'orders' cannot be deployed.*needs \d+ bytes, the file has/);
    assert.equal(versionOf(use), "responded 202");
  });

  it("follows a link that is swapped, as a Kubernetes ConfigMap swaps its own", async () => {
    await using open = await watched(async (plugins) => {
      for (const [folder, bytes] of [
        ["..2026_01", first],
        ["..2026_02", second],
      ] as const) {
        await mkdir(join(plugins, folder));
        await writeFile(join(plugins, folder, "orders.wasm"), bytes);
        await writeFile(join(plugins, folder, "orders.yaml"), manifest("orders", folder.slice(2)));
      }
      await symlink("..2026_01", join(plugins, "..data"));
      for (const file of ["orders.wasm", "orders.yaml"]) await symlink(join("..data", file), join(plugins, file));
    });
    const use = await open.use("orders");
    assert.equal(versionOf(use), "responded 201");
    await symlink("..2026_02", join(open.plugins, "..data_tmp"));
    await rename(join(open.plugins, "..data_tmp"), join(open.plugins, "..data"));
    await open.until((names) => names.includes("orders 2026_02 serving"));
    assert.equal(versionOf(use), "responded 202");
    await rm(join(open.plugins, "..2026_01"), { recursive: true });
    assert.equal(open.deployedCount(), 2, "the module and its manifest changed as one");
  });

  it("follows a directory that is a link itself, and files that are links to somewhere else", async () => {
    await using open = await watched(async (plugins) => {
      for (const [name, bytes] of [
        ["one", first],
        ["two", second],
      ] as const) {
        await mkdir(`${plugins}-${name}`);
        await writeFile(`${plugins}-${name}/orders.wasm`, bytes);
      }
      await mkdir(`${plugins}-build`);
      await writeFile(`${plugins}-build/billing.wasm`, first);
      await symlink(`${plugins}-build/billing.wasm`, `${plugins}-one/billing.wasm`);
      await symlink(`${plugins}-build/billing.wasm`, `${plugins}-two/billing.wasm`);
      await rm(plugins, { recursive: true });
      await symlink(`${plugins}-one`, plugins);
    });
    const [orders, billing] = [await open.use("orders"), await open.use("billing")];
    assert.equal(versionOf(orders), "responded 201");
    await symlink(`${open.plugins}-two`, `${open.plugins}-new`);
    await rename(`${open.plugins}-new`, open.plugins);
    await open.until(() => versionOf(orders) === "responded 202");
    await writeFile(`${open.plugins}-build/billing.wasm`, third);
    await open.until(() => versionOf(billing) === "responded 203");
  });

  it("leaves out the files of editors and of copies in progress", async () => {
    await using open = await watched(async () => {});
    for (const name of [".orders.wasm.swp", ".#orders.wasm", "#orders.wasm#", "orders.wasm~", "orders.wasm.part"]) {
      await open.put(name, first);
    }
    await open.put(".orders.wasm", first);
    await mkdir(join(open.plugins, "folder.wasm"));
    await open.put("orders.wasm", first);
    await open.logged(/is deployed/);
    assert.deepEqual(
      open.registry.list().map(({ name }) => name),
      ["orders"],
    );
  });

  it("does not deploy again what did not change", async () => {
    await using open = await watched((plugins) => writeFile(join(plugins, "orders.wasm"), first));
    await utimes(join(open.plugins, "orders.wasm"), new Date(0), new Date(0));
    await cp(join(open.plugins, "orders.wasm"), join(open.root, "copy"));
    await rename(join(open.root, "copy"), join(open.plugins, "orders.wasm"));
    await open.put("other.wasm", first);
    await open.logged(/plugin 'other' .* is deployed/);
    assert.equal(open.deployedCount(), 2);
  });

  it("keeps a plugin when its file is renamed", async () => {
    await using open = await watched((plugins) =>
      writeFile(join(plugins, "a.wasm"), packManifest(first, manifest("orders", "1.0.0"))),
    );
    await rename(join(open.plugins, "a.wasm"), join(open.plugins, "b.wasm"));
    await open.put("other.wasm", first);
    await open.logged(/plugin 'other' .* is deployed/);
    await rm(join(open.plugins, "other.wasm"));
    await open.logged(/plugin 'other' is removed/);
    assert.equal(open.deployedCount(), 2);
    assert.deepEqual(
      open.messages.filter((message) => /'orders' is removed/.test(message)),
      [],
    );
  });

  it("refuses a second file with the name of a first, by name, until the first is gone", async () => {
    await using open = await watched(async (plugins) => {
      await writeFile(join(plugins, "a.wasm"), packManifest(first, manifest("orders", "1.0.0")));
      await writeFile(join(plugins, "b.wasm"), packManifest(second, manifest("orders", "2.0.0")));
    });
    await open.logged(
      /b\.wasm is not deployed: plugin 'orders' comes from a\.wasm already; give one of them another name/,
    );
    const use = await open.use("orders");
    assert.equal(versionOf(use), "responded 201");
    await rm(join(open.plugins, "a.wasm"));
    await open.until((names) => names.includes("orders 2.0.0 serving"));
    assert.equal(versionOf(use), "responded 202");
  });

  it("deploys what is signed only, when that is required, as soon as its signature is there", async () => {
    const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
    const signatures = { keys: [pem(publicKey)], require: true };
    await using open = await watched(
      async (plugins) => {
        await writeFile(join(plugins, "a.wasm"), first);
        await writeFile(join(plugins, "a.wasm.sig"), signatureOf(first, privateKey));
        await writeFile(join(plugins, "b.wasm"), first);
        await writeFile(join(plugins, "b.wasm.sig"), signatureOf(second, privateKey));
      },
      { admit: (artifact, path) => requireSignedFile(artifact, path, signatures) },
    );
    await open.until((names) => names.includes("a 0.0.0 serving") && /b \S* ?refused/.test(names.join()));
    await open.logged(/plugin 'b' is not deployed from .*b\.wasm: its signature is by none of the keys/);
    await open.put("b.wasm.sig", signatureOf(first, privateKey));
    await open.until((names) => names.includes("b 0.0.0 serving"));
    await open.put("a.wasm", third);
    await open.logged(/plugin 'a' is not deployed from .*a\.wasm: its signature is by none of the keys/);
    assert.equal(versionOf(await open.use("a")), versionOf(await open.use("b")), "the version before goes on");
  });

  it("wants the manifest of a signed module inside it, where the signature covers it", async () => {
    const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
    const signatures = { keys: [pem(publicKey)], require: true };
    const packed = packManifest(first, manifest("packed", "1.0.0"));
    await using open = await watched(
      async (plugins) => {
        await writeFile(join(plugins, "a.wasm"), first);
        await writeFile(join(plugins, "a.wasm.sig"), signatureOf(first, privateKey));
        await writeFile(join(plugins, "a.yaml"), manifest("orders", "1.0.0"));
        await writeFile(join(plugins, "b.wasm"), packed);
        await writeFile(join(plugins, "b.wasm.sig"), signatureOf(packed, privateKey));
      },
      { admit: (artifact, path) => requireSignedFile(artifact, path, signatures) },
    );
    await open.logged(
      /plugin 'orders' is not deployed from .*a\.wasm: its manifest is not inside it, and so no signature/,
    );
    assert.deepEqual(
      open.registry.list().map(({ name, version, state }) => `${name} ${version} ${state}`),
      ["orders  refused", "packed 1.0.0 serving"],
    );
  });

  it("refuses a manifest that is a pipe or too large, and goes on with the rest", async () => {
    await using open = await watched(async (plugins) => {
      await writeFile(join(plugins, "q.wasm"), first);
      execFileSync("mkfifo", [join(plugins, "q.yaml")]);
      await writeFile(join(plugins, "r.wasm"), first);
      await writeFile(join(plugins, "r.yaml"), `name: r\n#${"x".repeat(1024 ** 2)}`);
      execFileSync("mkfifo", [join(plugins, "s.wasm")]);
      await writeFile(join(plugins, "t.wasm"), first);
    });
    await open.logged(/q\.yaml is not a file; a manifest is a regular file/);
    await open.logged(/r\.yaml has 1048585 bytes; a manifest has at most 1048576/);
    await open.until((names) => names.includes("t 0.0.0 serving"));
    await rm(join(open.plugins, "q.yaml"));
    await open.until((names) => names.includes("q 0.0.0 serving"));
  });

  it("tries a file again for which the disk had no room", async () => {
    const folder = await mkdtemp(join(tmpdir(), "outrigger-full-"));
    await using stack = new AsyncDisposableStack();
    stack.defer(() => rm(folder, { recursive: true, force: true }));
    const store = await DiskVersionStore.open(join(folder, "data"), openRegistry().log);
    const modules = join(folder, "data/modules/sha256");
    await rm(modules, { recursive: true });
    await writeFile(modules, "in the way");
    await using open = await watched(
      (plugins) => writeFile(join(plugins, "orders.wasm"), first),
      { rescanMs: 20 },
      store,
    );
    await open.logged(/plugin 'orders' 0\.0\.0 cannot be kept below .*see that the disk has room/);
    await rm(modules);
    await mkdir(modules);
    await open.until((names) => names.includes("orders 0.0.0 serving"));
  });

  it("may come later, vanish without harm, and come again", async () => {
    await using open = await watched((plugins) => rm(plugins, { recursive: true }));
    await open.logged(/does not exist; plugins are deployed when it does/);
    const use = await open.use("orders");
    await mkdir(join(open.root, "new"));
    await writeFile(join(open.root, "new/orders.wasm"), first);
    await writeFile(join(open.root, "new/billing.wasm"), first);
    await rename(join(open.root, "new"), open.plugins);
    await open.until((names) => names.length === 2);
    await rename(open.plugins, join(open.root, "old"));
    while (open.messages.filter((message) => /does not exist/.test(message)).length < 2) {
      await new Promise((resolve) => setImmediate(resolve));
    }
    assert.ok(use.ready);
    await mkdir(open.plugins);
    await open.put("orders.wasm", second);
    await open.until(() => use.ready && versionOf(use) === "responded 202");
    await open.until((names) => names.length === 1);
  });

  it("is looked through now and then, for file systems that tell of no change", async () => {
    await using open = await watched((plugins) => writeFile(join(plugins, "orders.wasm"), first), { rescanMs: 20 });
    // A folder two links away is watched by nobody.
    await mkdir(join(open.root, "x"));
    await writeFile(join(open.root, "x/billing.wasm"), first);
    await mkdir(join(open.root, "y"));
    await writeFile(join(open.root, "y/billing.wasm"), second);
    await symlink("x", join(open.root, "current"));
    await symlink(join(open.root, "current/billing.wasm"), join(open.plugins, "billing.wasm"));
    const use = await open.use("billing");
    await open.until(() => use.ready);
    await symlink("y", join(open.root, "next"));
    await rename(join(open.root, "next"), join(open.root, "current"));
    await open.until(() => versionOf(use) === "responded 202");
  });
});
