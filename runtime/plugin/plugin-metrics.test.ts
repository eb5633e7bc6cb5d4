import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Metrics } from "../telemetry/metrics.ts";
import { type PluginMetricsOptions, PluginMetricsStore } from "./plugin-metrics.ts";

function open(options: PluginMetricsOptions = {}) {
  const metrics = new Metrics();
  const store = new PluginMetricsStore(metrics, options);
  const exposed = async (): Promise<string[]> =>
    (await metrics.expose()).split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  return { metrics, store, exposed };
}

describe("metrics that plugins define", () => {
  it("are exposed under a name that Prometheus takes, labelled with the plugin", async () => {
    const { store, exposed } = open();
    const one = store.of("auth");
    one.increment(one.define("counter", "wasmcustom.requests-denied"), 2);
    one.record(one.define("gauge", "queue"), 7);
    const other = store.of("audit");
    other.increment(other.define("counter", "wasmcustom.requests-denied"), 5);
    assert.deepEqual(await exposed(), [
      'outrigger_plugin_wasmcustom_requests_denied{plugin="auth"} 2',
      'outrigger_plugin_wasmcustom_requests_denied{plugin="audit"} 5',
      'outrigger_plugin_queue{plugin="auth"} 7',
    ]);
  });

  it("go on in the same series when the plugin defines them again, as its next version does", () => {
    const { store } = open();
    const id = store.of("auth").define("counter", "denied");
    store.of("auth").increment(id, 3);
    assert.equal(store.of("auth").define("counter", "denied"), id);
    assert.equal(store.of("auth").get(id), 3);
  });

  it("count, set and observe by their type", async () => {
    const { store, exposed } = open();
    const auth = store.of("auth");
    const counter = auth.define("counter", "c");
    const gauge = auth.define("gauge", "g");
    const histogram = auth.define("histogram", "h");
    auth.record(counter, 2);
    auth.increment(counter, 3);
    auth.increment(gauge, 5);
    auth.increment(gauge, -2);
    auth.record(histogram, 30);
    assert.equal(auth.get(counter), 5);
    assert.equal(auth.get(gauge), 3);
    assert.equal(auth.typeOf(histogram), "histogram");
    const lines = await exposed();
    assert.ok(lines.includes('outrigger_plugin_h_bucket{le="25",plugin="auth"} 0'));
    assert.ok(lines.includes('outrigger_plugin_h_bucket{le="50",plugin="auth"} 1'));
    assert.ok(lines.includes('outrigger_plugin_h_sum{plugin="auth"} 30'));
  });

  it("get labels from their names, by the tags of the configuration", async () => {
    const { store, exposed } = open({
      tags: [
        { tag: "value", regex: "(_value=([a-zA-Z]+))" },
        { tag: "reporter", regex: "(_reporter=([a-zA-Z]+))" },
      ],
    });
    const census = store.of("census");
    for (const value of ["foo", "bar", "foo"]) {
      const id = census.define("counter", `custom_header_value_counts_value=${value}_reporter=wasmgosdk`);
      census.increment(id, 1);
    }
    census.define("gauge", "open");
    assert.deepEqual(await exposed(), [
      'outrigger_plugin_custom_header_value_counts{plugin="census",reporter="wasmgosdk",value="foo"} 2',
      'outrigger_plugin_custom_header_value_counts{plugin="census",reporter="wasmgosdk",value="bar"} 1',
      'outrigger_plugin_open{plugin="census"} 0',
    ]);
  });

  it("get labels from Istio's separators without any configuration, histograms too", async () => {
    const { store, exposed } = open();
    const stats = store.of("stats");
    const tags = 'reporter=.=source;.;source_workload=.=web "v1";.;response_flags=.=;.;plugin=.=mine;.;';
    stats.increment(stats.define("counter", `istio_${tags}requests_total`), 1);
    stats.record(stats.define("histogram", "reporter=.=destination;.;le=.=x;.;request_bytes"), 3);
    const lines = await exposed();
    assert.equal(
      lines[0],
      'outrigger_plugin_requests_total{plugin="stats",exported_plugin="mine",istio_reporter="source",source_workload="web \\"v1\\""} 1',
    );
    assert.ok(
      lines.includes(
        'outrigger_plugin_request_bytes_bucket{le="5",plugin="stats",exported_le="x",reporter="destination"} 1',
      ),
      lines.join("\n"),
    );
  });

  it("keep their types apart, and leave the runtime's own metrics alone", async () => {
    const { metrics, store, exposed } = open();
    metrics.counter("outrigger_plugin_calls_total", "Callbacks run.", ["plugin"]).inc({ plugin: "auth" }, 9);
    const auth = store.of("auth");
    auth.increment(auth.define("counter", "calls_total"), 1);
    auth.record(auth.define("gauge", "size"), 1);
    const other = store.of("audit");
    other.increment(other.define("counter", "size"), 4);
    assert.deepEqual((await exposed()).sort(), [
      'outrigger_plugin_calls_total_counter{plugin="auth"} 1',
      'outrigger_plugin_calls_total{plugin="auth"} 9',
      'outrigger_plugin_size_counter{plugin="audit"} 4',
      'outrigger_plugin_size{plugin="auth"} 1',
    ]);
  });

  it("cannot be kept from other plugins", async () => {
    const { store, exposed } = open();
    const squatter = store.of("squatter");
    for (const name of ["requests", "requests_counter", "requests_counter_2"]) squatter.define("gauge", name);
    const auth = store.of("auth");
    auth.increment(auth.define("counter", "requests"), 4);
    assert.equal(auth.define("counter", "requests"), 1);
    store.of("audit").define("counter", "requests");
    assert.deepEqual(
      (await exposed()).filter((line) => !line.includes("squatter")),
      ['outrigger_plugin_requests_counter_3{plugin="auth"} 4', 'outrigger_plugin_requests_counter_3{plugin="audit"} 0'],
    );
  });

  it("never are those that a histogram exposes, of a plugin or of the runtime", async () => {
    const { metrics, store } = open();
    metrics.histogram("outrigger_plugin_own_seconds", "Time.", [], [1]).observe({}, 1);
    const auth = store.of("auth");
    for (const name of ["first", "own_seconds"])
      for (const suffix of ["_count", "_sum", "_bucket"]) auth.define("counter", `${name}${suffix}`);
    auth.define("histogram", "first");
    auth.define("histogram", "second");
    for (const suffix of ["_count", "_sum", "_bucket"]) auth.define("gauge", `second${suffix}`);
    const lines = (await metrics.expose()).split("\n");
    const families = lines.flatMap((line) => /^# TYPE (outrigger_plugin_\S+) (\w+)/.exec(line)?.slice(1) ?? []);
    const names: string[] = [];
    for (let at = 0; at < families.length; at += 2) {
      const [name = "", type] = families.slice(at, at + 2);
      const suffixes = type === "histogram" ? ["", "_count", "_sum", "_bucket"] : [""];
      names.push(...suffixes.map((suffix) => `${name}${suffix}`));
    }
    assert.ok(names.includes("outrigger_plugin_second_count"));
    assert.deepEqual(names.toSorted(), [...new Set(names)].toSorted());
  });

  it("cost fuel when they are new, more with tags, and nothing when they are known", () => {
    const costsOf = (options: PluginMetricsOptions) => {
      const costs: number[] = [];
      const { store } = open(options);
      for (let times = 0; times < 2; times += 1) store.of("auth").define("counter", "a", (fuel) => costs.push(fuel));
      return costs;
    };
    const [plain = 0, ...others] = costsOf({});
    const [tagged = 0] = costsOf({ tags: [{ tag: "b", regex: "(b)" }] });
    assert.deepEqual([plain > 0, tagged > plain, others], [true, true, []]);
  });

  it("are limited for each plugin", () => {
    const { store } = open({ maxSeriesPerPlugin: 2 });
    store.of("auth").define("counter", "a");
    store.of("auth").define("counter", "b");
    assert.throws(() => store.of("auth").define("counter", "c"), RangeError);
    assert.equal(store.of("auth").define("counter", "a"), 1);
    store.of("audit").define("counter", "c");
  });

  it("do not take a name that is empty or too long, an id that is none, or a counter that goes down", () => {
    const auth = open().store.of("auth");
    assert.throws(() => auth.define("counter", ""), RangeError);
    assert.throws(() => auth.define("counter", "x".repeat(300)), RangeError);
    assert.equal(auth.typeOf(5), undefined);
    assert.throws(() => auth.increment(5, 1), RangeError);
    assert.throws(() => auth.increment(auth.define("counter", "down"), -1), RangeError);
  });
});
