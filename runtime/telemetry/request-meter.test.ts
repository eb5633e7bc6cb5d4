import assert from "node:assert/strict";
import { test } from "node:test";
import { Metrics } from "./metrics.ts";
import { RequestMeters } from "./request-meter.ts";

test("requests are counted by their labels and codes, and their durations by the first label", async () => {
  const metrics = new Metrics();
  const meters = new RequestMeters(metrics, {
    requests: { name: "asked_total", help: "Requests" },
    durations: { name: "asked_seconds", help: "Durations" },
    labels: ["route", "upstream"],
  });
  const one = meters.of('/"a"', "backend");
  assert.equal(meters.of('/"a"', "backend"), one);
  one.ended(200, 0.4);
  one.ended(503, 20_000);
  one.ended(200, 30);
  meters.of('/"a"', "other").ended(200, 1);
  meters.of("none", "").ended(404, 1);
  const lines = (await metrics.expose()).split("\n");
  const expected = [
    "# TYPE asked_total counter",
    'asked_total{route="/\\"a\\"",upstream="backend",code="200"} 2',
    'asked_total{route="/\\"a\\"",upstream="backend",code="503"} 1',
    'asked_total{route="/\\"a\\"",upstream="other",code="200"} 1',
    'asked_total{route="none",upstream="",code="404"} 1',
    "# TYPE asked_seconds histogram",
    'asked_seconds_bucket{le="0.0005",route="/\\"a\\""} 1',
    'asked_seconds_bucket{le="0.05",route="/\\"a\\""} 3',
    'asked_seconds_bucket{le="+Inf",route="/\\"a\\""} 4',
    'asked_seconds_count{route="/\\"a\\""} 4',
  ];
  for (const line of expected) assert.ok(lines.includes(line), line);
});
