import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { mkdir, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, it } from "node:test";
import { type AdminScene, openAdminScene } from "../../test/support/admin.ts";
import { ask } from "../../test/support/http.ts";
import { toyModule } from "../../test/support/toy-engine.ts";

const module = await toyModule(201);

/** The scene with functions in a folder of the plugins directory, and a listener of their own. */
async function open(settings: Readonly<Record<string, unknown>> = {}): Promise<AdminScene> {
  const scene = await openAdminScene({ wasmAddress: "127.0.0.1:0" }, settings);
  await mkdir(join(scene.plugins, "functions"));
  await writeFile(join(scene.plugins, "functions", "function_1.wasm"), module);
  return scene;
}

/** Status and body of what the listener of its own answers. */
async function post({ admin }: AdminScene, action: string, body: unknown): Promise<string> {
  const { status, text, headers } = await ask(admin.wasmAddress ?? "", `/wasm/${action}`, {
    method: "POST",
    headers: { authorization: "Bearer open-sesame", "content-type": "application/json" },
    body: typeof body === "string" ? body : JSON.stringify(body),
  });
  assert.equal(headers["content-type"], "application/json");
  return `${status} ${text}`;
}

const install = (name: string, path = "functions/function_1.wasm"): object => ({
  name,
  instance_num: 1,
  vm_config: { engine: "wasmtime", path },
});

describe("Layotto's routes", () => {
  it("install, change and uninstall a function, with empty answers", async () => {
    await using scene = await open();
    assert.equal(await post(scene, "install", { ...install("id_1"), greeting: "hello" }), "200 ");
    const [status] = scene.registry.list();
    assert.deepEqual([status?.name, status?.kind, status?.state], ["id_1", "service", "serving"]);
    assert.match(scene.disk.store.record("id_1")?.stable?.manifest ?? "", /greeting: hello/);
    assert.equal(await post(scene, "install", install("id_1")), '500 {"error":"id_1 is already registered"}');

    assert.equal(await post(scene, "update", { name: "id_1", instance_num: 2 }), "200 ");
    assert.match(scene.disk.store.record("id_1")?.stable?.manifest ?? "", /instances: 2/);
    assert.equal(await post(scene, "uninstall", { name: "id_1" }), "200 ");
    assert.deepEqual(scene.registry.list(), []);
    assert.equal(await post(scene, "uninstall", { name: "id_1" }), '500 {"error":"id_1 is not registered"}');
    const history = await scene.disk.store.history(10);
    assert.deepEqual(
      history.map(({ action, by }) => `${action} ${by}`),
      ["undeploy admin", "deploy admin", "deploy admin"],
    );
  });

  it("word their errors as Layotto does", async () => {
    await using scene = await open();
    const error = (text: string): string => `500 {"error":"${text}"}`;
    for (const body of ["{", "[]", '"name"', ""]) {
      assert.equal(await post(scene, "install", body), error("invalid request body"));
    }
    for (const action of ["install", "update", "uninstall"]) {
      assert.equal(await post(scene, action, {}), error("can't get name property"));
      assert.equal(await post(scene, action, { name: 7 }), error("can't get name property"));
    }
    assert.equal(await post(scene, "update", { name: "id_1" }), error("can't get instance_num property"));
    const none = { name: "id_1", instance_num: 0 };
    assert.equal(await post(scene, "update", none), error("instance_num should be greater than 0"));
    assert.equal(await post(scene, "update", { ...none, instance_num: 1 }), error("id_1 is not registered"));
    assert.equal(await post(scene, "install", { name: "id_1" }), error("can't get vm_config.path property"));
  });

  it("take modules below the plugins directory only, links followed", async () => {
    await using scene = await open();
    await writeFile(join(scene.plugins, "..", "outside.wasm"), module);
    await symlink(join(scene.plugins, "..", "outside.wasm"), join(scene.plugins, "link.wasm"));
    for (const path of ["../outside.wasm", join(scene.plugins, "../outside.wasm"), "link.wasm", "none.wasm"]) {
      assert.match(
        await post(scene, "install", install("id_1", path)),
        /^500 .*there is no '.*' below plugins\.directory/,
      );
    }
    const whole = join(scene.plugins, "functions/function_1.wasm");
    assert.equal(await post(scene, "install", install("id_1", whole)), "200 ");
  });

  it("install no module without the signature that is required", async () => {
    const { publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
    const key = publicKey.export({ type: "spki", format: "pem" }).toString();
    await using scene = await open({ signatures: { keys: [key] } });
    assert.match(await post(scene, "install", install("id_1")), /^500 .*is not signed/);
  });

  it("answer with nothing where nothing is, need the token, and are on the admin listener, too", async () => {
    await using scene = await open();
    const { wasmAddress = "", address } = scene.admin;
    const unknown = await ask(wasmAddress, "/wasm/list");
    assert.deepEqual([unknown.status, unknown.text], [404, ""]);
    assert.equal((await ask(wasmAddress, "/v1/plugins")).status, 404);
    const json = { "content-type": "application/json" };
    const body = JSON.stringify(install("id_1"));
    assert.equal((await ask(wasmAddress, "/wasm/install", { method: "POST", headers: json, body })).status, 401);
    assert.equal((await ask(wasmAddress, "/wasm/install", { headers: { host: "evil.example" } })).status, 403);
    const headers = { ...json, authorization: "Bearer let-me-in" };
    assert.equal((await ask(address, "/wasm/install", { method: "POST", headers, body })).status, 200);
  });
});
