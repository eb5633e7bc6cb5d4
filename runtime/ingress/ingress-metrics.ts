import type { Metrics } from "../telemetry/metrics.ts";
import { type RequestMeter, RequestMeters } from "../telemetry/request-meter.ts";

/** What the ingress counts. Requests that match no route have the route `none`; those that reach no upstream, none. */
export class IngressMetrics {
  readonly #meters: RequestMeters;
  /** By route and upstream. */
  readonly #known = new Map<string, Map<string, RequestMeter>>();

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
    metrics.reading("outrigger_ingress_active_requests", "Requests not yet answered in full", active);
  }

  meter(route = "none", upstream = ""): RequestMeter {
    let byUpstream = this.#known.get(route);
    if (byUpstream === undefined) {
      byUpstream = new Map();
      this.#known.set(route, byUpstream);
    }
    let meter = byUpstream.get(upstream);
    if (meter === undefined) {
      meter = this.#meters.of(route, upstream);
      byUpstream.set(upstream, meter);
    }
    return meter;
  }
}
