import { RuntimeError } from "../../components/error.ts";
import {
  HealthService,
  HealthCheckResponse_ServingStatus as ServingStatus,
} from "../../proto/gen/grpc/health/v1/health.ts";
import { defineService, type GrpcService, type ResponseStream } from "./service.ts";

/** The health that grpc.health.v1 tells, the same for the server and each of its services. */
export interface HealthState {
  readonly service: GrpcService;
  /** Tells every watcher when it changes. */
  set(isServing: boolean): void;
}

/** Health of the server (the empty name) and of the named services; not serving until told otherwise. */
export function openHealth(services: readonly string[]): HealthState {
  const known = new Set(["", ...services]);
  let current: ServingStatus = ServingStatus.NOT_SERVING;
  let changed = Promise.withResolvers<void>();
  return {
    service: defineService(HealthService, {
      async check({ service }) {
        if (!known.has(service)) {
          throw new RuntimeError(
            "NOT_FOUND",
            "SERVICE_NOT_FOUND",
            `there is no service '${service}'; there are ${services.join(", ")}`,
          );
        }
        return { status: current };
      },
      async watch({ service }, stream) {
        for (;;) {
          const change = changed.promise;
          await stream.write({ status: known.has(service) ? current : ServingStatus.SERVICE_UNKNOWN });
          await untilChangedOrOver(change, stream);
        }
      },
    }),
    set(isServing) {
      const next = isServing ? ServingStatus.SERVING : ServingStatus.NOT_SERVING;
      if (next === current) return;
      current = next;
      changed.resolve();
      changed = Promise.withResolvers();
    },
  };
}

/** Rejects when the call is over, so that a watcher ends with it. */
function untilChangedOrOver(change: Promise<void>, { call: { signal } }: ResponseStream<unknown>): Promise<void> {
  return new Promise((resolve, reject) => {
    const over = (): void => reject(signal.reason);
    signal.throwIfAborted();
    signal.addEventListener("abort", over, { once: true });
    void change.then(() => {
      signal.removeEventListener("abort", over);
      resolve();
    });
  });
}
