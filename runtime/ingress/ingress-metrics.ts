import type { AccessRecord } from "../telemetry/access-log.ts";
import type { Metrics } from "../telemetry/metrics.ts";

const buckets = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

/** What the ingress counts. Requests that match no route have the route `none`. */
export class IngressMetrics {
  readonly #requests;
  readonly #durations;
  readonly #active;

  constructor(metrics: Metrics) {
    this.#requests = metrics.counter("outrigger_ingress_requests_total", "Requests answered by the ingress", [
      "route",
      "code",
    ]);
    this.#durations = metrics.histogram(
      "outrigger_ingress_request_duration_seconds",
      "Time from the head of a request to the end of its response",
      ["route"],
      buckets,
    );
    this.#active = metrics.gauge("outrigger_ingress_active_requests", "Requests not yet answered in full");
  }

  began(): void {
    this.#active.inc();
  }

  ended(record: AccessRecord): void {
    const route = record.route ?? "none";
    this.#active.dec();
    this.#requests.inc({ route, code: record.status });
    this.#durations.observe({ route }, record.durationMs / 1000);
  }

  /** A request that was not even readable. */
  refused(status: number): void {
    this.#requests.inc({ route: "none", code: status });
  }
}
