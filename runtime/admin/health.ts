/** Health as Layotto's actuator words it. */
export type HealthStatus = "UP" | "DOWN" | "INIT";

export interface HealthReport {
  readonly status: HealthStatus;
  /** Each part that can be unhealthy, with the reason when it is. */
  readonly components: Readonly<
    Record<string, { readonly status: HealthStatus; readonly details?: { readonly reason: string } }>
  >;
}

/** The whole is as healthy as its worst part. */
export function healthOf(components: HealthReport["components"]): HealthReport {
  const statuses = Object.values(components).map(({ status }) => status);
  const status = statuses.includes("DOWN") ? "DOWN" : statuses.includes("INIT") ? "INIT" : "UP";
  return { status, components };
}
