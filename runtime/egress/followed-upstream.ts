import type { Log } from "../telemetry/log.ts";
import type { RoundRobin } from "./balancer.ts";
import type { EndpointSource } from "./endpoint-source.ts";
import type { Http2Endpoints } from "./http2-endpoints.ts";
import type { UpstreamFilters } from "./upstream-filters.ts";
import type { UpstreamSettings } from "./upstream-settings.ts";

/** An upstream while it is configured. */
export interface Upstream {
  readonly config: UpstreamSettings;
  readonly balancer: RoundRobin;
  readonly watching: AbortController;
  /** Of one that speaks HTTP/2. */
  readonly http2: Http2Endpoints | undefined;
  /** `closed` where there are some and nobody knows the plugins: no request may pass without them. */
  filters: UpstreamFilters | "closed" | undefined;
}

/** Keeps the endpoints as the source tells of them, until the upstream is watched no more. */
export async function follow(name: string, source: EndpointSource, upstream: Upstream, log: Log): Promise<void> {
  const { signal } = upstream.watching;
  try {
    for await (const endpoints of source.watch(signal)) {
      if (signal.aborted) return;
      upstream.balancer.update(endpoints);
      upstream.http2?.forgetGone();
    }
  } catch (error) {
    if (signal.aborted) return;
    log.error({ upstream: name, err: error }, "the endpoints of an upstream are not followed any more");
  }
}
