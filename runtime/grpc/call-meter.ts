import type { Metrics } from "../telemetry/metrics.ts";
import type { Tallies, Tally } from "../telemetry/tallies.ts";
import type { Timing } from "../telemetry/timings.ts";
import { errorCodeOf } from "./status.ts";

const seconds = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

/** Counts the calls of one method. */
export class CallMeter {
  readonly #method: string;
  readonly #requests: Tallies;
  readonly #duration: Timing;
  /** By the number of the status code. */
  readonly #byCode: (Tally | undefined)[] = new Array(17).fill(undefined);

  constructor(metrics: Metrics, method: string) {
    this.#method = method;
    this.#requests = metrics.tallies("outrigger_grpc_requests_total", "gRPC calls served, by method and status.", [
      "method",
      "code",
    ]);
    this.#duration = metrics
      .timings("outrigger_grpc_request_seconds", "Time to serve a gRPC call.", "method", seconds)
      .of(method);
  }

  /** `code` is the number of a status code. */
  observe(code: number, durationMs: number): void {
    const tally = this.#byCode[code] ?? this.#tallyOf(code);
    tally.count += 1;
    this.#duration.observe(durationMs / 1000);
  }

  #tallyOf(code: number): Tally {
    const tally = this.#requests.of(this.#method, errorCodeOf(code));
    this.#byCode[code] = tally;
    return tally;
  }
}
