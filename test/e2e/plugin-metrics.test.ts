/** What a sidecar tells of its plugins: what they define themselves, and what they cost. */
import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { ask, askUntil } from "../support/http.ts";
import { guestText } from "../support/proxy-wasm-guest.ts";
import { startSidecar, temporaryDirectory } from "../support/sidecar.ts";
import { assemble } from "../support/wat.ts";

/** Counts each request under a name with tags, as the example of the Go SDK does, and as Istio's plugins do. */
const counting = (): string =>
  guestText((text) => {
    const count = (name: string): string => `
      (drop (call $proxy_define_metric (i32.const 0) ${text(name)} (i32.const 0)))
      (drop (call $proxy_increment_metric (i32.load (i32.const 0)) (i64.const 1)))`;
    return {
      on: {
        proxy_on_request_headers: `
          ${count("custom_header_value_counts_value=foo_reporter=wasmgosdk")}
          ${count("reporter=.=destination;.;response_code=.=200;.;istio_requests_total")}
          (i32.const 0)`,
      },
    };
  });

test("metrics of plugins get labels from their names, and measures of what they cost", async () => {
  await using directory = await temporaryDirectory();
  await writeFile(join(directory.path, "plugins", "census.yaml"), "name: census\nversion: 1.0.0\n");
  await writeFile(join(directory.path, "plugins", "census.wasm"), await assemble("census", counting()));
  await using sidecar = await startSidecar(directory.path, {
    plugins: {
      directory: "./plugins",
      metricTags: [
        { tag: "value", regex: "(_value=([a-zA-Z]+))" },
        { tag: "reporter", regex: "(_reporter=([a-zA-Z]+))" },
      ],
    },
    upstreams: { self: { endpoints: ["127.0.0.1:9"] } },
    ingress: { filters: ["census"], routes: [{ match: { prefix: "/" }, to: { upstream: "self" } }] },
  });
  await ask(sidecar.ingress, "/");
  const { text } = await askUntil(sidecar.admin, "/metrics", (answer) => answer.text.includes("istio_requests_total"));
  const lines = text.split("\n");
  for (const line of [
    'outrigger_plugin_custom_header_value_counts{plugin="census",reporter="wasmgosdk",value="foo"} 1',
    'outrigger_plugin_istio_requests_total{plugin="census",reporter="destination",response_code="200"} 1',
    'outrigger_plugin_reloads_total{plugin="census"} 0',
    'outrigger_plugin_memory_limit_bytes{plugin="census"} 67108864',
  ])
    assert.ok(lines.includes(line), line);
  assert.match(text, /^outrigger_plugin_memory_bytes\{plugin="census"\} [1-9]\d{4,}$/m);
  assert.match(text, /^outrigger_plugin_budget_used_ratio\{plugin="census"\} 0\.\d+$/m);
  assert.match(text, /^outrigger_plugin_callback_duration_seconds_count\{plugin="census",callback="\w+"\} 1$/m);
});
