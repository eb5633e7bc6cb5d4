/** Where an upstream can be reached. */
export interface Endpoint {
  readonly host: string;
  readonly port: number;
  /** Of a Unix socket, in place of host and port. */
  readonly path?: string;
}

/** Who knows the endpoints of an upstream: a static list, or later DNS, Kubernetes, a registry. */
export interface EndpointSource {
  /** Known from the start, so that the first request need not wait. */
  readonly initial: readonly Endpoint[];
  /** Yields the whole list each time it changes, until `signal` aborts. */
  watch(signal: AbortSignal): AsyncIterable<readonly Endpoint[]>;
}

/** A list that never changes. */
export function staticEndpoints(endpoints: readonly Endpoint[]): EndpointSource {
  return {
    initial: endpoints,
    watch: async function* () {},
  };
}

/** `host:port`, with brackets around an IPv6 host; `unix:/path` for a Unix socket. */
export function endpointName({ host, port, path }: Endpoint): string {
  if (path !== undefined) return `unix:${path}`;
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}
