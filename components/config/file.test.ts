import assert from "node:assert/strict";
import { mkdir, mkdtemp, readdir, readFile, rename, rm, symlink, unlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { callWith, eventually, silentLog } from "../../test/conformance/backend.ts";
import { openContext } from "../../test/support/open-context.ts";
import { RuntimeError } from "../error.ts";
import type { ConfigChange, ConfigItem, ConfigSelection, ConfigStore } from "./config-store.ts";
import { fileConfigStore } from "./file.ts";

interface Rig extends AsyncDisposable {
  readonly directory: string;
  readonly store: ConfigStore;
  /** What the store said went wrong. */
  readonly errors: readonly string[];
  contents(changes?: Partial<ConfigSelection>): Promise<Record<string, string>>;
  save(key: string, content: string, changes?: Partial<ConfigItem>): Promise<void>;
}

const anything: ConfigSelection = { appId: "orders", group: "", label: "", keys: [] };

/** A store below a temporary directory in which `prepare` has put something. */
async function openRig(
  path: string,
  prepare: (directory: string) => Promise<unknown> = async () => undefined,
): Promise<Rig> {
  await using opening = new AsyncDisposableStack();
  const directory = await mkdtemp(join(tmpdir(), "outrigger-config-"));
  opening.defer(() => rm(directory, { recursive: true, force: true }));
  await prepare(directory);
  const errors: string[] = [];
  const log = {
    ...silentLog,
    error: (fields: object, message: string) => errors.push(`${message} ${JSON.stringify(fields)}`),
  };
  const context = openContext("settings", { dataDirectory: directory, log });
  const store = opening.use(await fileConfigStore.open(fileConfigStore.config.parse({ path }), context));
  const opened = opening.move();
  return {
    directory,
    store,
    errors,
    async contents(changes = {}) {
      const items = await store.get({ ...anything, ...changes }, callWith());
      return Object.fromEntries(items.map(({ key, content }) => [key, content]));
    },
    save: (key, content, changes = {}) => {
      const item = { key, content, group: "", label: "", tags: {}, metadata: {}, ...changes };
      return store.save({ appId: "orders", items: [item] }, callWith());
    },
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  };
}

describe("configuration in a folder", () => {
  it("is a YAML file for each application, whose scalars are the texts that stand there", async () => {
    await using rig = await openRig("settings", async (directory) => {
      await mkdir(join(directory, "settings"));
      const lines = ["- { key: version, content: 1.10 }", "- key: on", "  content: true", "- key: empty", ""];
      await writeFile(join(directory, "settings", "orders.yaml"), lines.join("\n"));
      await writeFile(join(directory, "settings", ".hidden.yaml"), "not: [items");
      await writeFile(join(directory, "settings", "README.txt"), "not items either");
    });
    assert.deepEqual(await rig.contents(), { version: "1.10", on: "true", empty: "" });
    assert.deepEqual(await rig.contents({ appId: "billing" }), {});
  });

  it("is saved so that people can read and edit it: comments, order and what was not changed stay", async () => {
    const before =
      "# the shop\n- key: currency # ISO 4217\n  content: EUR\n- key: gone\n  content: x\n# for tests\n- key: port\n  content: 8080\n";
    await using rig = await openRig("settings", async (directory) => {
      await mkdir(join(directory, "settings"));
      await writeFile(join(directory, "settings", "orders.yaml"), before);
    });
    await rig.save("currency", "USD");
    await rig.save("banner", "two\nlines", { group: "web", tags: { team: "shop" } });
    await rig.store.delete({ ...anything, keys: ["gone"] }, callWith());
    const after = await readFile(join(rig.directory, "settings", "orders.yaml"), "utf8");
    assert.equal(
      after,
      "# the shop\n- key: currency # ISO 4217\n  content: USD\n# for tests\n- key: port\n  content: 8080\n" +
        "- key: banner\n  content: |-\n    two\n    lines\n  group: web\n  tags:\n    team: shop\n",
    );
    assert.deepEqual(await readdir(join(rig.directory, "settings")), ["orders.yaml"]);
  });

  it("gives applications with odd ids files of their own", async () => {
    await using rig = await openRig("settings");
    const ids = ["../up", "a/b", ".hidden", "ключ", "100%", "a b"];
    for (const appId of ids) {
      const item = { key: "id", content: appId, group: "", label: "", tags: {}, metadata: {} };
      await rig.store.save({ appId, items: [item] }, callWith());
    }
    for (const appId of ids) assert.deepEqual(await rig.contents({ appId }), { id: appId });
    assert.equal((await readdir(join(rig.directory, "settings"))).length, ids.length);
    await assert.rejects(
      rig.store
        .save({ appId: "x".repeat(300), items: [] }, callWith())
        .then(() => rig.save("a", "b", {}))
        .then(() => {
          const item = { key: "a", content: "b", group: "", label: "", tags: {}, metadata: {} };
          return rig.store.save({ appId: "x".repeat(300), items: [item] }, callWith());
        }),
      isError("INVALID_ARGUMENT"),
    );
  });

  it("that is not understood when the store opens is refused with its place", async () => {
    const open = openRig("settings", async (directory) => {
      await mkdir(join(directory, "settings"));
      await writeFile(join(directory, "settings", "orders.yaml"), "- key: a\n  contents: b\n");
    });
    await assert.rejects(
      open,
      (error) => isError("FAILED_PRECONDITION")(error) && /orders\.yaml.*contents/.test(String(error)),
    );
  });

  it("is refused when a key is there twice", async () => {
    const open = openRig("settings", async (directory) => {
      await mkdir(join(directory, "settings"));
      await writeFile(
        join(directory, "settings", "orders.yaml"),
        "- { key: a, content: 1 }\n- { key: a, content: 2 }\n",
      );
    });
    await assert.rejects(open, /key 'a' is there twice/);
  });
});

describe("changes that others make", () => {
  const file = (rig: Rig): string => join(rig.directory, "settings", "orders.yaml");
  const follow = async (rig: Rig): Promise<{ readonly seen: readonly ConfigChange[] } & AsyncDisposable> => {
    const seen: ConfigChange[] = [];
    const subscription = await rig.store.subscribe(anything, {
      changed: (told) => seen.push(...told),
      lost: () => undefined,
    });
    return { seen, [Symbol.asyncDispose]: () => subscription[Symbol.asyncDispose]() };
  };
  const told = (seen: readonly ConfigChange[]): string[] =>
    seen.map(({ key, content, deleted }) => (deleted ? `${key} deleted` : `${key}=${content}`));

  it("are told: a file that is written in place, replaced, and removed", async () => {
    await using rig = await openRig("settings");
    await using follower = await follow(rig);
    await writeFile(file(rig), "- { key: a, content: 1 }\n- { key: b, content: 1 }\n");
    await eventually("the new file is read", () => follower.seen.length === 2);
    await writeFile(`${file(rig)}~`, "- { key: a, content: 2 }\n- { key: b, content: 1 }\n");
    await rename(`${file(rig)}~`, file(rig));
    await eventually("the replaced file is read", () => follower.seen.length === 3);
    await unlink(file(rig));
    await eventually("the removal is seen", () => follower.seen.length === 5);
    assert.deepEqual(told(follower.seen), ["a=1", "b=1", "a=2", "a deleted", "b deleted"]);
    assert.deepEqual(await rig.contents(), {});
  });

  it("are told: the swap of a link inside the folder, as Kubernetes updates a ConfigMap", async () => {
    await using rig = await openRig("settings", async (directory) => {
      const folder = join(directory, "settings");
      for (const version of ["1", "2"]) {
        await mkdir(join(folder, `..version-${version}`), { recursive: true });
        await writeFile(join(folder, `..version-${version}`, "orders.yaml"), `- { key: a, content: ${version} }\n`);
      }
      await symlink("..version-1", join(folder, "..data"));
      await symlink("..data/orders.yaml", join(folder, "orders.yaml"));
    });
    assert.deepEqual(await rig.contents(), { a: "1" });
    await using follower = await follow(rig);
    await symlink("..version-2", join(rig.directory, "settings", "..data_tmp"));
    await rename(join(rig.directory, "settings", "..data_tmp"), join(rig.directory, "settings", "..data"));
    await eventually("the swap is seen", () => follower.seen.length > 0);
    assert.deepEqual(told(follower.seen), ["a=2"]);
  });

  it("are told: the swap of a link that is the folder, and changes below it after that", async () => {
    await using rig = await openRig("settings", async (directory) => {
      for (const version of ["1", "2"]) {
        await mkdir(join(directory, version));
        await writeFile(join(directory, version, "orders.yaml"), `- { key: a, content: ${version} }\n`);
      }
      await symlink("1", join(directory, "settings"));
    });
    await using follower = await follow(rig);
    await symlink("2", join(rig.directory, "next"));
    await rename(join(rig.directory, "next"), join(rig.directory, "settings"));
    await eventually("the swap is seen", () => follower.seen.length === 1);
    await writeFile(join(rig.directory, "2", "orders.yaml"), "- { key: a, content: 3 }\n");
    await eventually("the change after it is seen", () => follower.seen.length === 2);
    assert.deepEqual(told(follower.seen), ["a=2", "a=3"]);
    await rig.save("a", "4");
    assert.match(await readFile(join(rig.directory, "2", "orders.yaml"), "utf8"), /content: 4/);
  });

  it("that break a file change nothing and are logged; saving to it is refused until it is corrected", async () => {
    await using rig = await openRig("settings");
    await rig.save("a", "1");
    await using follower = await follow(rig);
    await writeFile(file(rig), "- key: [broken\n");
    await eventually("the broken file is logged", () => rig.errors.length > 0);
    assert.match(rig.errors[0] ?? "", /orders\.yaml/);
    assert.deepEqual(await rig.contents(), { a: "1" });
    await assert.rejects(rig.save("b", "1"), isError("FAILED_PRECONDITION"));
    assert.equal(await readFile(file(rig), "utf8"), "- key: [broken\n");
    await writeFile(file(rig), "- { key: a, content: 2 }\n");
    await eventually("the corrected file is read", () => follower.seen.length > 0);
    await rig.save("b", "1");
    assert.deepEqual(told(follower.seen), ["a=2", "b=1"]);
    assert.equal(rig.errors.length, 1);
  });

  it("are not undone by a save that has not seen them yet", async () => {
    await using rig = await openRig("settings");
    await rig.save("a", "1");
    await writeFile(file(rig), "- { key: a, content: 1 }\n- { key: theirs, content: 1 }\n");
    await rig.save("ours", "1");
    assert.deepEqual(await rig.contents(), { a: "1", theirs: "1", ours: "1" });
  });

  it("that take the whole folder away delete nothing", async () => {
    await using rig = await openRig("settings");
    await rig.save("a", "1");
    await using follower = await follow(rig);
    await rename(join(rig.directory, "settings"), join(rig.directory, "away"));
    await assert.rejects(rig.save("b", "1"), isError("UNAVAILABLE"));
    assert.deepEqual(await rig.contents(), { a: "1" });
    await rename(join(rig.directory, "away"), join(rig.directory, "settings"));
    await rig.save("b", "1");
    assert.deepEqual(told(follower.seen), ["b=1"]);
  });
});

describe("configuration in one file", () => {
  it("has the items of each application under its id", async () => {
    await using rig = await openRig("all.yaml", (directory) =>
      writeFile(join(directory, "all.yaml"), "# everything\n\norders:\n  - key: a # first\n    content: 1\nbilling:\n"),
    );
    assert.deepEqual(await rig.contents(), { a: "1" });
    await rig.save("b", "2");
    const item = { key: "c", content: "3", group: "", label: "", tags: {}, metadata: {} };
    await rig.store.save({ appId: "shipping", items: [item] }, callWith());
    await rig.store.delete({ ...anything, keys: ["a", "b"] }, callWith());
    assert.equal(
      await readFile(join(rig.directory, "all.yaml"), "utf8"),
      "# everything\n\nbilling:\nshipping:\n  - key: c\n    content: 3\n",
    );
  });
});

const isError =
  (code: string) =>
  (error: unknown): boolean =>
    error instanceof RuntimeError && error.code === code;
