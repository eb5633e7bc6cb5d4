import assert from "node:assert/strict";
import { rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, it } from "node:test";
import { callWith, eventually } from "../../test/conformance/backend.ts";
import { openContext } from "../../test/support/open-context.ts";
import { temporaryDirectory } from "../../test/support/sidecar.ts";
import { fileSecretStore } from "./file.ts";

const open = async (dataDirectory: string, changes: Partial<Parameters<typeof openContext>[1]> = {}) =>
  fileSecretStore.open(
    fileSecretStore.config.parse({ path: "secrets.yaml", maxBytes: 1000 }),
    openContext("vault", { dataDirectory, ...changes }),
  );

describe("a file of secrets", () => {
  it("is read again when it was changed or replaced", async () => {
    await using directory = await temporaryDirectory();
    const file = join(directory.path, "secrets.yaml");
    await writeFile(file, "token: one");
    await using store = await open(directory.path);
    const token = async () => (await store.get({ name: "token" }, callWith()))?.token;
    assert.equal(await token(), "one");
    await writeFile(file, "token: two");
    assert.equal(await token(), "two");
    await writeFile(`${file}.new`, "other: three");
    await rename(`${file}.new`, file);
    assert.equal(await token(), undefined);
    assert.deepEqual(await store.getAll(callWith()), { other: { other: "three" } });
  });

  it("keeps what it said while it is not understood, and says so once without what stands there", async () => {
    await using directory = await temporaryDirectory();
    const file = join(directory.path, "secrets.yaml");
    await writeFile(file, "token: one");
    const logged: string[] = [];
    const log = (fields: object, message: string): void => void logged.push(JSON.stringify([fields, message]));
    await using store = await open(directory.path, { log: { debug: log, info: log, warn: log, error: log } });
    for (const wrong of ["token: 'hunter2", `token: ${"hunter2".repeat(1000)}`]) {
      logged.length = 0;
      await writeFile(file, wrong);
      for (let time = 0; time < 3; time++) {
        assert.deepEqual(await store.get({ name: "token" }, callWith()), { token: "one" });
      }
      assert.equal(logged.length, 1);
      assert.ok(!logged.join().includes("hunter2"));
    }
  });

  it("makes calls fail while it is gone, and tells that it is and when it is back", async () => {
    await using directory = await temporaryDirectory();
    const file = join(directory.path, "secrets.yaml");
    await writeFile(file, "token: one");
    const told: string[] = [];
    const reachability = { down: () => void told.push("down"), up: () => void told.push("up") };
    await using store = await open(directory.path, { reachability });
    await rm(file);
    for (let time = 0; time < 2; time++) {
      await assert.rejects(store.get({ name: "token" }, callWith()), { code: "UNAVAILABLE", message: /'vault'/ });
    }
    await eventually("it is told to be away", () => told.length === 1);
    await writeFile(file, "token: two");
    assert.deepEqual(await store.get({ name: "token" }, callWith()), { token: "two" });
    await eventually("it is told to be back", () => told.length === 2);
    assert.deepEqual(told, ["down", "up"]);
  });

  it("is refused at the start when it is missing, too large or wrong", async () => {
    await using directory = await temporaryDirectory();
    const file = join(directory.path, "secrets.yaml");
    const refused = (message: RegExp) => assert.rejects(open(directory.path), { code: "FAILED_PRECONDITION", message });
    await refused(/of secret store 'vault' cannot be used: it does not exist$/);
    await writeFile(file, "a".repeat(1001));
    await refused(/it is larger than maxBytes \(1000\)$/);
    await writeFile(file, "token: [");
    await refused(/line 1 is not valid YAML/);
    await writeFile(file, Buffer.from([0x61, 0x3a, 0x20, 0xff]));
    await refused(/it is not text in UTF-8$/);
  });
});
