import assert from "node:assert/strict";
import { test } from "node:test";
import { Metrics } from "../telemetry/metrics.ts";
import { CallMeter } from "./call-meter.ts";

test("calls are counted by method and status, and their times by buckets", async () => {
  const metrics = new Metrics();
  const [get, save] = [new CallMeter(metrics, "/a.B/Get"), new CallMeter(metrics, "/a.B/Save")];
  for (const durationMs of [0.4, 0.6, 30, 20_000]) get.observe(0, durationMs);
  get.observe(5, 0);
  save.observe(99, 1);
  const lines = (await metrics.expose()).split("\n");
  for (const line of [
    "# TYPE outrigger_grpc_requests_total counter",
    'outrigger_grpc_requests_total{method="/a.B/Get",code="OK"} 4',
    'outrigger_grpc_requests_total{method="/a.B/Get",code="NOT_FOUND"} 1',
    'outrigger_grpc_requests_total{method="/a.B/Save",code="UNKNOWN"} 1',
    "# TYPE outrigger_grpc_request_seconds histogram",
    'outrigger_grpc_request_seconds_bucket{le="0.0005",method="/a.B/Get"} 2',
    'outrigger_grpc_request_seconds_bucket{le="0.001",method="/a.B/Get"} 3',
    'outrigger_grpc_request_seconds_bucket{le="0.05",method="/a.B/Get"} 4',
    'outrigger_grpc_request_seconds_bucket{le="10",method="/a.B/Get"} 4',
    'outrigger_grpc_request_seconds_bucket{le="+Inf",method="/a.B/Get"} 5',
    'outrigger_grpc_request_seconds_count{method="/a.B/Get"} 5',
  ]) {
    assert.ok(lines.includes(line), line);
  }
});

test("a method that was not called has no samples, and meters of one method count together", async () => {
  const metrics = new Metrics();
  const meters = [new CallMeter(metrics, "/a.B/Get"), new CallMeter(metrics, "/a.B/Get")];
  assert.doesNotMatch(await metrics.expose(), /Get/);
  for (const meter of meters) meter.observe(0, 1);
  assert.match(await metrics.expose(), /^outrigger_grpc_requests_total\{method="\/a\.B\/Get",code="OK"\} 2$/m);
});
