/** The functions that a plugin is held to by its manifest and by `plugins.grants`, from deploy to deploy. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { pluginGrants } from "../../runtime/config/scalars.ts";
import { makeArtifact } from "../../runtime/plugin/artifact.ts";
import { proxyWasmEngine } from "../../runtime/proxy-wasm/engine.ts";
import { openRegistry } from "../support/plugin-registry.ts";
import { drop, guestText } from "../support/proxy-wasm-guest.ts";
import { TestStream } from "../support/proxy-wasm-host.ts";
import { assemble } from "../support/wat.ts";

const setsHeaders = await assemble(
  "sets-headers",
  guestText((text) => {
    const set = (name: string) => drop(`(call $${name} (i32.const 0) ${text(name)} ${text("set")})`);
    const body = `${set("proxy_replace_header_map_value")} ${set("proxy_add_header_map_value")} (i32.const 0)`;
    return { on: { proxy_on_request_headers: body } };
  }),
);
const artifactOf = (manifest: string) =>
  makeArtifact(setsHeaders, "marks.wasm", { text: `{ name: marks, ${manifest} }`, path: "marks.yaml" });
const grantsOf = (...allowedFunctions: string[]) => ({ marks: pluginGrants.parse({ allowedFunctions }) });
const [replace, add] = ["proxy_replace_header_map_value", "proxy_add_header_map_value"];
const onHeaders = "proxy_on_request_headers";

test("a plugin is held to what both its manifest and the grants allow, also when the grants change", async () => {
  await using open = openRegistry({ engines: [proxyWasmEngine()] });
  await open.registry.deploy(artifactOf(`allowedFunctions: [${onHeaders}, ${replace}, ${add}]`));
  await using use = await open.registry.use("marks", {});
  const marks = (): string[] => {
    const stream = new TestStream();
    use.open(stream).requestHeaders(true);
    return [replace, add].filter((name) => stream.maps["request-headers"]?.get(name ?? "") !== undefined);
  };
  assert.deepEqual(marks(), [replace, add]);
  await open.registry.updateGrants(grantsOf(onHeaders, replace, "proxy_log"));
  assert.deepEqual(marks(), [replace]);
  await open.registry.updateGrants(grantsOf(onHeaders));
  assert.deepEqual(marks(), []);
  await open.registry.updateGrants(grantsOf());
  assert.deepEqual(marks(), []);
  await open.registry.updateGrants({});
  assert.deepEqual(marks(), [replace, add]);
});

test("a manifest alone holds a plugin to its functions", async () => {
  await using open = openRegistry({ engines: [proxyWasmEngine()] });
  await open.registry.deploy(artifactOf(`allowedFunctions: [${onHeaders}, ${add}]`));
  await using use = await open.registry.use("marks", {});
  const stream = new TestStream();
  use.open(stream).requestHeaders(true);
  assert.equal(stream.maps["request-headers"]?.get(replace), undefined);
  assert.equal(stream.maps["request-headers"]?.get(add), "set");
});

test("grants that name what is no function refuse the plugin, and let it run once they are corrected", async () => {
  await using open = openRegistry({
    engines: [proxyWasmEngine()],
    grants: grantsOf(onHeaders, "proxy_add_header_map"),
  });
  await using use = await open.registry.use("marks", {});
  await assert.rejects(open.registry.deploy(artifactOf("version: 1.0.0")), {
    fault: "refused",
    message:
      "plugin 'marks' 1.0.0 cannot run: 'proxy_add_header_map' in plugins.grants.marks.allowedFunctions is no function of Proxy-Wasm or of WASI that this host knows; did you mean 'proxy_add_header_map_value'?",
  });
  await open.registry.updateGrants(grantsOf(onHeaders, add));
  await open.logged(/is deployed/);
  assert.equal(use.ready, true);
});
