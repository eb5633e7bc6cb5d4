import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Validator } from "@seriousme/openapi-schema-validator";
import { openAdminScene } from "../../test/support/admin.ts";
import { ask } from "../../test/support/http.ts";
import { toyModule } from "../../test/support/toy-engine.ts";
import type { OpenApiDocument } from "./openapi.ts";

const headers = { authorization: "Bearer let-me-in" };

async function documentAt(address: string): Promise<OpenApiDocument> {
  const { status, text } = await ask(address, "/v1/openapi.json");
  assert.equal(status, 200);
  return JSON.parse(text) as OpenApiDocument;
}

describe("the OpenAPI document", () => {
  it("is valid", async () => {
    await using scene = await openAdminScene();
    const validator = new Validator();
    const { text } = await ask(scene.admin.address, "/v1/openapi.json");
    const { valid, errors } = await validator.validate(JSON.parse(text));
    assert.deepEqual(errors, undefined);
    assert.equal(valid, true);
    assert.equal(validator.version, "3.1");
  });

  it("has every path that there is, and each of them answers", async () => {
    await using scene = await openAdminScene();
    const { address } = scene.admin;
    const { paths } = await documentAt(address);
    const { text } = await ask(address, "/none");
    const listed = (JSON.parse(text) as { error: string }).error.replace(/.*there are /, "").split(", ");
    assert.deepEqual(Object.keys(paths).sort(), listed.sort());
    const module = await toyModule(201);
    const type = { "content-type": "application/wasm" };
    await ask(address, "/v1/plugins/orders", { method: "PUT", headers: { ...headers, ...type }, body: module });
    for (const [path, operations] of Object.entries(paths)) {
      const methods = Object.keys(operations).map((method) => method.toUpperCase());
      const refused = await ask(address, path.replace("{name}", "orders"), { method: "PATCH", headers });
      assert.deepEqual([refused.status, refused.headers["allow"]], [405, methods.join(", ")], path);
      for (const method of methods.filter((one) => one !== "DELETE")) {
        const { status } = await ask(address, path.replace("{name}", "orders"), { method, headers });
        const { responses } = operations[method.toLowerCase()] as { responses: object };
        assert.ok(`${status}` in responses, `${method} ${path} answers ${status}`);
      }
    }
  });

  it("has the shape of what is answered", async () => {
    await using scene = await openAdminScene();
    const { address } = scene.admin;
    const module = await toyModule(201);
    const type = { "content-type": "application/wasm" };
    const rollout = encodeURIComponent('{"stagedOnly":true}');
    const deploy = (version: string, query = ""): Promise<unknown> => {
      const manifest = encodeURIComponent(`name: orders\nversion: "${version}"\n`);
      const path = `/v1/plugins?manifest=${manifest}${query}`;
      return ask(address, path, { method: "POST", headers: { ...headers, ...type }, body: module });
    };
    await deploy("1");
    await deploy("2");
    await deploy("3", `&rollout=${rollout}`);
    scene.logs.add("orders", "1", "info", "hello");
    const { schemas } = (await documentAt(address)).components;
    const get = async (path: string): Promise<unknown> =>
      JSON.parse((await ask(address, path, { headers })).text.split("\n")[0] ?? "");
    const first = (list: unknown): unknown => (Array.isArray(list) ? list[0] : undefined);
    const plugin = (await get("/v1/plugins/orders")) as { trial: { stable: object } };
    const shown: Readonly<Record<string, unknown>> = {
      PluginStatus: plugin,
      Trial: plugin.trial,
      ObservedStreams: plugin.trial.stable,
      Version: first(await get("/v1/plugins/orders/versions")),
      HistoryEntry: first(await get("/v1/plugins/orders/history")),
      LogLine: await get("/v1/plugins/orders/logs"),
      Error: await get("/v1/plugins/none"),
      Health: await get("/actuator/health/readiness"),
      Info: await get("/actuator/info"),
    };
    for (const [name, value] of Object.entries(shown)) {
      const { required, properties } = schemas[name] as { required: string[]; properties: object };
      const keys = Object.keys(value as object);
      assert.deepEqual(
        keys.filter((key) => !(key in properties)),
        [],
        `${name} has more than the document says`,
      );
      assert.deepEqual(
        required.filter((key) => !keys.includes(key)),
        [],
        `${name} has less than the document says`,
      );
    }
  });
});
