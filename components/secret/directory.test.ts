import assert from "node:assert/strict";
import { mkdir, rm, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, it } from "node:test";
import { callWith, eventually } from "../../test/conformance/backend.ts";
import { openContext } from "../../test/support/open-context.ts";
import { mountWith, swapVersion } from "../../test/support/secret-places.ts";
import { temporaryDirectory } from "../../test/support/sidecar.ts";
import { directorySecretStore } from "./directory.ts";

const open = (path: string) =>
  directorySecretStore.open(directorySecretStore.config.parse({ path, maxBytes: 100 }), openContext("vault"));

describe("a folder of secrets", () => {
  it("has a secret in each file, and one of several values in each folder", async () => {
    await using directory = await temporaryDirectory();
    const secrets = { token: { token: "abc" }, login: { user: "shop", password: "p\n" } };
    const { path } = await mountWith(secrets, directory.path);
    await writeFile(join(path, ".dockerconfigjson"), "{}");
    await using store = await open(path);
    const dotted = { ".dockerconfigjson": { ".dockerconfigjson": "{}" } };
    assert.deepEqual(await store.get({ name: "login" }, callWith()), secrets.login);
    assert.deepEqual(await store.getAll(callWith()), secrets);
    // Beside a mounted volume, not of it.
    assert.equal(await store.get({ name: ".dockerconfigjson" }, callWith()), undefined);

    const plain = join(directory.path, "plain");
    await mkdir(plain);
    await mountWith(secrets, plain);
    await writeFile(join(plain, ".dockerconfigjson"), "{}");
    await using plainStore = await open(plain);
    assert.deepEqual(await plainStore.get({ name: ".dockerconfigjson" }, callWith()), dotted[".dockerconfigjson"]);
    const [mounted] = Object.keys(await plainStore.getAll(callWith())).filter((name) => !name.startsWith("."));
    assert.ok(mounted !== undefined);
    assert.deepEqual(await plainStore.get({ name: mounted }, callWith()), { token: "abc" }, "a volume in the folder");
  });

  it("gives the values of one version while versions are swapped", async () => {
    await using directory = await temporaryDirectory();
    const version = (number: number) => ({ login: { user: `user ${number}`, password: `password ${number}` } });
    const { path } = await mountWith(version(0), directory.path);
    await using store = await open(path);
    let swapping = true;
    let reads = 0;
    const swapAll = async (): Promise<void> => {
      for (let number = 1; number <= 30; number++) {
        const readsBefore = reads;
        await swapVersion(path, version(number));
        await eventually("a read ends", () => reads > readsBefore);
      }
      swapping = false;
    };
    const readAll = async (): Promise<void> => {
      while (swapping) {
        for (const login of [await store.get({ name: "login" }, callWith()), (await store.getAll(callWith())).login]) {
          assert.ok(login?.user !== undefined);
          assert.equal(login.password, login.user.replace("user", "password"));
          reads++;
        }
      }
    };
    await Promise.all([swapAll(), readAll()]);
    assert.deepEqual(await store.get({ name: "login" }, callWith()), version(30).login);
  });

  it("gives no file outside of it, and nothing too large or not text", async () => {
    await using directory = await temporaryDirectory();
    const path = join(directory.path, "secrets");
    await mkdir(join(path, "folder"), { recursive: true });
    await writeFile(join(directory.path, "outside"), "hunter2");
    await writeFile(join(path, "token"), "abc");
    await symlink("../outside", join(path, "link"));
    await symlink(join(directory.path, "outside"), join(path, "folder", "link"));
    await symlink("nowhere", join(path, "dangling"));
    await writeFile(join(path, "large"), "a".repeat(101));
    await writeFile(join(path, "binary"), Buffer.from([0xff]));
    await using store = await open(path);
    const refused = (name: string, message: RegExp) =>
      assert.rejects(store.get({ name }, callWith()), { code: "FAILED_PRECONDITION", message });
    await refused("link", /^the secret 'link' of secret store 'vault' cannot be read: a link leads out of the folder$/);
    await refused("folder", /a link leads out of the folder$/);
    await refused("large", /it is larger than maxBytes \(100\)$/);
    await refused("binary", /it is not text in UTF-8$/);
    for (const name of ["dangling", "..", "../outside", "folder/link", join(directory.path, "outside")]) {
      assert.equal(await store.get({ name }, callWith()), undefined, name);
    }
    assert.deepEqual(await store.getAll(callWith()), { token: { token: "abc" } }, "the others are left out");
  });

  it("must be there at the start, and makes calls fail while it is away", async () => {
    await using directory = await temporaryDirectory();
    const path = join(directory.path, "secrets");
    await assert.rejects(open(path), { code: "FAILED_PRECONDITION", message: /the folder of secret store 'vault'/ });
    await mkdir(path);
    await using store = await open(path);
    await rm(path, { recursive: true });
    await assert.rejects(store.get({ name: "token" }, callWith()), { code: "UNAVAILABLE" });
    await assert.rejects(store.getAll(callWith()), { code: "UNAVAILABLE" });
  });
});
