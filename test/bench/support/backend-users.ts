/** Processes that use a backend: the sidecar, and programs with its client and nothing else. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { PublishEventRequest, SaveStateRequest } from "../../../proto/gen/spec/proto/runtime/v1/runtime.ts";
import type { Operation } from "./backend-ways.ts";
import { startBenchSidecar } from "./contenders.ts";
import { lengthPrefixed } from "./grpc-probe.ts";
import { drive, grpcHeaders } from "./h2load.ts";
import { cores, startPinned } from "./pinned-process.ts";
import { checkState, getStateMessage, getStatePath, seedState, storeName, value } from "./state-call.ts";

export interface BackendUser {
  readonly name: string;
  cpuSeconds(): number;
  load(operation: Operation, calls: number, inFlight: number): Promise<void>;
}

const service = "/spec.proto.runtime.v1.Runtime";
const requests: Readonly<Record<Operation, { readonly path: string; readonly message: Uint8Array }>> = {
  get: { path: getStatePath, message: getStateMessage },
  set: {
    path: `${service}/SaveState`,
    message: SaveStateRequest.encode(
      SaveStateRequest.fromPartial({ storeName, states: [{ key: "bench", value }] }),
    ).finish(),
  },
  publish: {
    path: `${service}/PublishEvent`,
    message: PublishEventRequest.encode(
      PublishEventRequest.fromPartial({
        pubsubName: storeName,
        topic: "bench-topic",
        data: value,
        dataContentType: "application/octet-stream",
        metadata: { rawPayload: "true" },
      }),
    ).finish(),
  },
};

export const sidecarName = "outrigger";

/** The sidecar before components of the type, of the kinds that there are. */
export async function sidecarBefore(
  component: Readonly<Record<string, unknown>>,
  kinds: readonly ("state" | "pubsub")[],
  open: AsyncDisposableStack,
): Promise<BackendUser> {
  const state = { [storeName]: { ...component, keyPrefix: "none" } };
  const pubsub = { [storeName]: component };
  const components = { ...(kinds.includes("state") ? { state } : {}), ...(kinds.includes("pubsub") ? { pubsub } : {}) };
  const sidecar = open.use(await startBenchSidecar({ configuration: { components } }));
  if (kinds.includes("state")) {
    await seedState(sidecar.address);
    await checkState(sidecar.address);
  }
  return {
    name: sidecarName,
    cpuSeconds: sidecar.cpuSeconds,
    load: async (operation, calls, streams) => {
      const { path, message } = requests[operation];
      const bodyFile = join(sidecar.directory, operation);
      writeFileSync(bodyFile, lengthPrefixed(message));
      const url = `http://${sidecar.address}${path}`;
      const load = { url, headers: grpcHeaders, bodyFile, connections: 1, streams, requests: calls };
      const { bodyBytes } = await drive(load);
      // A call that failed has no message in its answer, not even an empty one.
      const least = calls * (operation === "get" ? value.length : 5);
      if (bodyBytes < least) throw new Error(`the sidecar answered ${bodyBytes} bytes where ${least} were due`);
    },
  };
}

/** A program that uses the server in one way: one of its own for each way, so that none is warmed up by another. */
export async function programWith(
  way: string,
  { type, address }: { readonly type: string; readonly address: string },
  open: AsyncDisposableStack,
): Promise<BackendUser> {
  const caller = open.use(
    await startPinned({
      core: cores.measured,
      command: process.execPath,
      parameters: [join(import.meta.dirname, "backend-caller.ts"), type, address],
      ready: /^takes orders at (\S+)$/,
    }),
  );
  return {
    name: way,
    cpuSeconds: caller.cpuSeconds,
    load: async (operation, calls, inFlight) => {
      const query = new URLSearchParams({ way, operation, calls: String(calls), inFlight: String(inFlight) });
      const response = await fetch(`http://${caller.announced[1]}/?${query}`);
      if (!response.ok) throw new Error(await response.text());
    },
  };
}
