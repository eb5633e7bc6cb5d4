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
  /** Told of each change; a watcher is here only while it waits. */
  const waiting = new Set<() => void>();
  let current: ServingStatus = ServingStatus.NOT_SERVING;
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
          const told = known.has(service) ? current : ServingStatus.SERVICE_UNKNOWN;
          await stream.write({ status: told });
          while (told === ServingStatus.SERVICE_UNKNOWN || told === current) await untilChanged(waiting, stream);
        }
      },
    }),
    set(isServing) {
      const next = isServing ? ServingStatus.SERVING : ServingStatus.NOT_SERVING;
      if (next === current) return;
      current = next;
      for (const tell of waiting) tell();
    },
  };
}

/** Rejects when the call is over or the server drains, so that a watcher ends with them. */
function untilChanged(waiting: Set<() => void>, { call, draining }: ResponseStream<unknown>): Promise<void> {
  return new Promise((resolve, reject) => {
    const leave = (): void => {
      waiting.delete(changed);
      for (const signal of [call.signal, draining]) signal.removeEventListener("abort", over);
    };
    const changed = (): void => {
      leave();
      resolve();
    };
    const over = (): void => {
      leave();
      reject(call.signal.aborted ? call.signal.reason : draining.reason);
    };
    waiting.add(changed);
    for (const signal of [call.signal, draining]) signal.addEventListener("abort", over, { once: true });
    if (call.signal.aborted || draining.aborted) over();
  });
}
