import type { ErrorCode } from "../../components/error.ts";
import type { Metrics } from "../telemetry/metrics.ts";

const seconds = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

/** Counts the calls of one method. */
export class CallMeter {
  readonly #requests;
  readonly #duration;
  readonly #method: string;

  constructor(metrics: Metrics, method: string) {
    this.#method = method;
    this.#requests = metrics.counter("outrigger_grpc_requests_total", "gRPC calls served, by method and status.", [
      "method",
      "code",
    ]);
    const durations = metrics.histogram(
      "outrigger_grpc_request_seconds",
      "Time to serve a gRPC call.",
      ["method"],
      seconds,
    );
    this.#duration = durations.labels(method);
  }

  observe(code: ErrorCode | "OK", durationMs: number): void {
    this.#requests.labels(this.#method, code).inc();
    this.#duration.observe(durationMs / 1000);
  }
}
