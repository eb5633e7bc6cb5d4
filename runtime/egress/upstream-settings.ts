import type { UpstreamConfiguration } from "../config/schema.ts";
import { parseHostPort } from "../listen.ts";
import type { Endpoint } from "./endpoint-source.ts";

/** Names under which the application is an upstream, by what it speaks; no name in the configuration can equal them. */
export const application = ":app";
export const grpcApplication = ":app.grpc";

/** Where the application is. */
export interface ApplicationAddresses {
  /** `host:port` where it serves HTTP/1.1. */
  readonly http?: string | undefined;
  /** `host:port` or `unix:/path` where it serves gRPC. */
  readonly grpc?: string | undefined;
}

/** An upstream as it is configured; without filters unless it says so. */
export type UpstreamSettings = Pick<UpstreamConfiguration, "endpoints" | "protocol"> &
  Partial<Pick<UpstreamConfiguration, "filters" | "maxBufferBytes">>;

/** Why a name of the application is no upstream. */
export const absent: Readonly<Record<string, string>> = {
  [application]: "the application has no HTTP address; set app.http",
  [grpcApplication]: "the application has no gRPC address; set app.grpc",
};

/** The upstreams by their names, the application among them as far as it has addresses. */
export function withApplication(
  upstreams: Readonly<Record<string, UpstreamSettings>>,
  { http, grpc }: ApplicationAddresses,
): Map<string, UpstreamSettings> {
  const named = new Map<string, UpstreamSettings>(Object.entries(upstreams));
  if (http !== undefined) named.set(application, { endpoints: [http], protocol: "http" });
  if (grpc !== undefined) named.set(grpcApplication, { endpoints: [grpc], protocol: "grpc" });
  return named;
}

/** An endpoint by its `host:port` or `unix:/path`. */
export function endpointOf(address: string): Endpoint {
  return address.startsWith("unix:")
    ? { host: "", port: 0, path: address.slice("unix:".length) }
    : parseHostPort(address);
}
