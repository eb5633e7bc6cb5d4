/** docs/guides/plugin-metrics.md: it tells of each metric that there is, and its settings are good. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { parse } from "yaml";
import { metricTags } from "../runtime/config/metric-tags.ts";
import { openLifecycleMetrics } from "../runtime/plugin/lifecycle-metrics.ts";
import { MetricTagger } from "../runtime/plugin/metric-tags.ts";
import { Metrics } from "../runtime/telemetry/metrics.ts";

const guide = readFileSync("docs/guides/plugin-metrics.md", "utf8");

test("the guide to the metrics of plugins tells of each", () => {
  const metrics = new Metrics();
  using _ = openLifecycleMetrics(metrics, () => []);
  const table = guide.split("\n").filter((line) => line.startsWith("| `"));
  const told = table.flatMap((line) => [...(line.split("|")[1] ?? "").matchAll(/`(\w+)`/g)].map(([, name]) => name));
  const names = metrics.registry.getMetricsAsArray().map(({ name }) => name.replace("outrigger_plugin_", ""));
  assert.deepEqual(told.toSorted(), names.toSorted());
});

test("the guide's tags do what it says", () => {
  const settings = /```yaml\n(plugins:[\s\S]*?)```/.exec(guide)?.[1] ?? assert.fail("no settings");
  const tags = metricTags.parse((parse(settings) as { plugins: { metricTags: unknown } }).plugins.metricTags);
  const tagger = new MetricTagger(tags, assert.fail);
  assert.deepEqual(tagger.of("custom_header_value_counts_value=foo_reporter=wasmgosdk"), {
    name: "custom_header_value_counts",
    labels: { reporter: "wasmgosdk", value: "foo" },
  });
  assert.deepEqual(tagger.of("reporter=.=source;.;response_code=.=200;.;istio_requests_total"), {
    name: "istio_requests_total",
    labels: { reporter: "source", response_code: "200" },
  });
});
