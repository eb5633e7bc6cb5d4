import type { Metrics } from "../telemetry/metrics.ts";
import { type RequestMeter, RequestMeters } from "../telemetry/request-meter.ts";

/** What the ingress counts. Requests that match no route have the route `none`; those that reach no upstream, none. */
export class IngressMetrics {
  readonly #meters: RequestMeters;

  /** `active` tells the requests not yet answered in full. */
  constructor(metrics: Metrics, active: () => number) {
    this.#meters = new RequestMeters(metrics, {
      requests: { name: "outrigger_ingress_requests_total", help: "Requests answered by the ingress" },
      durations: {
        name: "outrigger_ingress_request_duration_seconds",
        help: "Time from the head of a request to the end of its response",
      },
      labels: ["route", "upstream"],
    });
    const name = "outrigger_ingress_active_requests";
    metrics.addText(
      () => `# HELP ${name} Requests not yet answered in full\n# TYPE ${name} gauge\n${name} ${active()}\n`,
    );
  }

  meter(route: string | undefined, upstream: string | undefined): RequestMeter {
    return this.#meters.of(route ?? "none", upstream ?? "");
  }
}
