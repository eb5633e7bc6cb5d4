import assert from "node:assert/strict";
import { mkdir, mkdtemp, rename, rm, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { openRegistry } from "../../test/support/plugin-registry.ts";
import { toyModule } from "../../test/support/toy-engine.ts";
import { makeArtifact } from "./artifact.ts";
import { DirectoryDeploys } from "./directory-deploys.ts";
import { DiskVersionStore } from "./version-store.ts";
import { PluginDirectory } from "./watch.ts";

const modules = [await toyModule(201), await toyModule(202), await toyModule(203)];
const manifest = (version: number): string => `name: orders\nversion: "${version}"\n`;
const artifact = (version: number) =>
  makeArtifact(modules[version - 1] ?? assert.fail(), "upload", { text: manifest(version), path: "upload" });

/** A data directory and a plugins directory that outlive the sidecars that are started over them. */
async function openHost() {
  const root = await mkdtemp(join(tmpdir(), "outrigger-directory-"));
  const plugins = join(root, "plugins");
  await mkdir(plugins);
  return {
    root,
    plugins,
    /** Puts that version there, by a rename, as a deploy does. */
    async put(version: number, name = "orders", directory = plugins, more = ""): Promise<void> {
      await writeFile(join(directory, `${name}.yaml`), `${manifest(version)}${more}`);
      await writeFile(join(root, "new"), modules[version - 1] ?? assert.fail());
      await rename(join(root, "new"), join(directory, `${name}.wasm`));
    },
    /** What a start does: what was kept comes back, then the directory is looked at. */
    async start(directory: string | undefined = plugins) {
      await using opening = new AsyncDisposableStack();
      const store = await DiskVersionStore.open(join(root, "data"), openRegistry().log);
      const open = opening.use(openRegistry({ store }));
      const { registry, log } = open;
      await Promise.all(store.records.map((record) => registry.restore(record, (version) => store.load(version))));
      const options = { directory: directory ?? "", registry, memory: store, log, quietMs: 10, rescanMs: 60_000 };
      if (directory !== undefined) opening.use(await PluginDirectory.open(options));
      const owned = opening.move();
      const shown = (): string =>
        registry
          .list()
          .map(({ name, version }) => `${name} ${version}`)
          .join(", ");
      return {
        ...open,
        store,
        shown,
        async until(wanted: string): Promise<void> {
          while (shown() !== wanted) await new Promise((resolve) => setImmediate(resolve));
        },
        [Symbol.asyncDispose]: () => owned.disposeAsync(),
      };
    },
    [Symbol.asyncDispose]: () => rm(root, { recursive: true, force: true }),
  };
}

describe("the plugins directory over a restart", () => {
  it("does not undo a rollback, and deploys the file again once it has changed", async () => {
    await using host = await openHost();
    await host.put(1);
    {
      await using sidecar = await host.start();
      await host.put(2);
      await sidecar.until("orders 2");
      await sidecar.registry.rollback("orders", "ci");
      assert.equal(sidecar.shown(), "orders 1");
      await utimes(join(host.plugins, "orders.wasm"), new Date(), new Date());
      await sidecar.logged(/orders\.wasm is left alone: .* change it to deploy it again/);
      assert.equal(sidecar.shown(), "orders 1");
    }
    await using sidecar = await host.start();
    assert.equal(sidecar.shown(), "orders 1");
    await host.put(3);
    await sidecar.until("orders 3");
  });

  it("ends the trial of a file that is replaced by what is stable", async () => {
    await using host = await openHost();
    await host.put(1);
    await using sidecar = await host.start();
    await host.put(2, "orders", host.plugins, "rollout: { canary: { percent: 50 }, window: 1h }\n");
    await sidecar.logged(/^plugin 'orders' 2 is on trial/);
    await host.put(1);
    await sidecar.logged(/^plugin 'orders' 2 is gone: version 1 was deployed, which is stable$/);
    assert.equal(sidecar.shown(), "orders 1");
    assert.equal(sidecar.registry.list()[0]?.trial, undefined);
    const [last] = await sidecar.store.history(1);
    assert.deepEqual([last?.action, last?.version, last?.by, last?.outcome], ["abort", "2", "directory", "done"]);
  });

  it("does not undo what was deployed or removed through the API", async () => {
    await using host = await openHost();
    await host.put(1);
    {
      await using sidecar = await host.start();
      await sidecar.registry.deploy(artifact(2), { by: "ci" });
    }
    {
      await using sidecar = await host.start();
      assert.equal(sidecar.shown(), "orders 2");
      await sidecar.registry.remove("orders", "ci");
    }
    await using sidecar = await host.start();
    assert.equal(sidecar.shown(), "");
  });

  it("deploys what has changed meanwhile, and removes what has gone", async () => {
    await using host = await openHost();
    await host.put(1);
    await (await host.start())[Symbol.asyncDispose]();
    await host.put(2);
    {
      await using sidecar = await host.start();
      assert.equal(sidecar.shown(), "orders 2");
    }
    await rm(join(host.plugins, "orders.wasm"));
    {
      await using sidecar = await host.start();
      assert.equal(sidecar.shown(), "");
    }
    await host.put(2);
    await using sidecar = await host.start();
    assert.equal(sidecar.shown(), "orders 2", "a file that came back counts as new");
  });

  it("leaves what the API deployed when the file goes, and takes its own version, rolled back or not, with it", async () => {
    await using host = await openHost();
    await host.put(1);
    await using sidecar = await host.start();
    await host.put(2);
    await sidecar.until("orders 2");
    await sidecar.registry.deploy(artifact(3), { by: "ci" });
    await rm(join(host.plugins, "orders.wasm"));
    await sidecar.logged(/the file of plugin 'orders' is gone; what was deployed in its place through the API stays/);
    assert.equal(sidecar.shown(), "orders 3");
    await sidecar.registry.remove("orders", "ci");
    await host.put(1);
    await sidecar.until("orders 1");
    await host.put(2);
    await sidecar.until("orders 2");
    await sidecar.registry.rollback("orders", "ci");
    await rm(join(host.plugins, "orders.wasm"));
    await sidecar.until("");
  });

  it("leaves what runs alone while the directory is not there", async () => {
    await using host = await openHost();
    await host.put(1);
    await (await host.start())[Symbol.asyncDispose]();
    await rename(host.plugins, join(host.root, "away"));
    await using sidecar = await host.start();
    assert.equal(sidecar.shown(), "orders 1");
  });

  it("takes what another directory had deployed away, unless the new one has it, too", async () => {
    await using host = await openHost();
    await host.put(1);
    const other = join(host.root, "other");
    await mkdir(other);
    await (await host.start())[Symbol.asyncDispose]();
    await host.put(1, "renamed", other);
    {
      await using sidecar = await host.start(other);
      assert.equal(sidecar.shown(), "orders 1");
      assert.equal(sidecar.store.directoryDeploy("orders")?.path, join(other, "renamed.wasm"));
    }
    await rename(other, join(host.root, "gone"));
    await mkdir(other);
    {
      await using sidecar = await host.start(host.plugins);
      assert.equal(sidecar.shown(), "orders 1");
    }
    await using sidecar = await host.start(undefined);
    const { registry, store, log } = sidecar;
    const former = new DirectoryDeploys({ memory: store, operations: registry, log });
    for (const plugin of former.notIn(undefined)) await former.gone(plugin);
    assert.equal(sidecar.shown(), "");
  });
});
