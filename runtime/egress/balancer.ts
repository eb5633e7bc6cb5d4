import { type Endpoint, endpointName } from "./endpoint-source.ts";

/** How long an endpoint that refused a connection is tried only when no other is left. */
const coolDownMs = 5_000;

/** Lets endpoints take turns; those that could not be connected to a moment ago come last. */
export class RoundRobin {
  #endpoints: readonly Endpoint[];
  #next = 0;
  readonly #coolUntil = new Map<string, number>();

  constructor(endpoints: readonly Endpoint[]) {
    this.#endpoints = endpoints;
  }

  get endpoints(): readonly Endpoint[] {
    return this.#endpoints;
  }

  update(endpoints: readonly Endpoint[]): void {
    this.#endpoints = endpoints;
    const names = new Set(endpoints.map(endpointName));
    for (const name of this.#coolUntil.keys()) if (!names.has(name)) this.#coolUntil.delete(name);
  }

  /** The next endpoint that is not in `tried`; undefined when all are. */
  pick(tried?: ReadonlySet<Endpoint>): Endpoint | undefined {
    const { length } = this.#endpoints;
    let fallback: Endpoint | undefined;
    for (let step = 0; step < length; step += 1) {
      const at = (this.#next + step) % length;
      const endpoint = this.#endpoints[at];
      if (endpoint === undefined || tried?.has(endpoint)) continue;
      if (this.#cooling(endpoint)) {
        fallback ??= endpoint;
        continue;
      }
      this.#next = at + 1;
      return endpoint;
    }
    return fallback;
  }

  failed(endpoint: Endpoint): void {
    this.#coolUntil.set(endpointName(endpoint), performance.now() + coolDownMs);
  }

  connected(endpoint: Endpoint): void {
    if (this.#coolUntil.size > 0) this.#coolUntil.delete(endpointName(endpoint));
  }

  #cooling(endpoint: Endpoint): boolean {
    if (this.#coolUntil.size === 0) return false;
    return (this.#coolUntil.get(endpointName(endpoint)) ?? 0) > performance.now();
  }
}
