import type { Metrics } from "./metrics.ts";
import type { Tallies, Tally } from "./tallies.ts";
import type { Timing, Timings } from "./timings.ts";

const bounds = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

/** Counts requests with the same labels, by code, and how long they took. */
export class RequestMeter {
  readonly #tallies: Tallies;
  readonly #labels: readonly string[];
  readonly #timing: Timing;
  /** The code that came last, which is mostly the one that comes next. */
  #code = -1;
  #tally: Tally | undefined;

  constructor(tallies: Tallies, labels: readonly string[], timing: Timing) {
    this.#tallies = tallies;
    this.#labels = labels;
    this.#timing = timing;
  }

  /** A request was answered with a code after so long. */
  ended(code: number, durationMs: number): void {
    if (code !== this.#code || this.#tally === undefined) {
      this.#code = code;
      this.#tally = this.#tallies.of(...this.#labels, String(code));
    }
    this.#tally.count += 1;
    this.#timing.observe(durationMs / 1000);
  }
}

interface Family {
  readonly name: string;
  readonly help: string;
}

export interface RequestMetersOptions {
  /** Counts, by the labels and `code`. */
  readonly requests: Family;
  /** Durations, by the first label. */
  readonly durations: Family;
  readonly labels: readonly [string, ...string[]];
}

/** The meters of one kind of requests. */
export class RequestMeters {
  readonly #tallies: Tallies;
  readonly #timings: Timings;
  readonly #meters = new Map<string, RequestMeter>();

  constructor(metrics: Metrics, { requests, durations, labels }: RequestMetersOptions) {
    this.#tallies = metrics.tallies(requests.name, requests.help, [...labels, "code"]);
    this.#timings = metrics.timings(durations.name, durations.help, labels[0], bounds);
  }

  /** The same meter for the same values, in the order of the labels. Keep it: finding it costs more than counting. */
  of(first: string, ...more: readonly string[]): RequestMeter {
    const key = `${first}\0${more.join("\0")}`;
    const known = this.#meters.get(key);
    if (known !== undefined) return known;
    const meter = new RequestMeter(this.#tallies, [first, ...more], this.#timings.of(first));
    this.#meters.set(key, meter);
    return meter;
  }
}
