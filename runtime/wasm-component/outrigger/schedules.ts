import type { StreamHost } from "../../plugin/contract.ts";
import { PluginError } from "../../plugin/plugin-error.ts";
import type { ExportedInterface } from "../provider.ts";
import { exportedFunction } from "./exported-function.ts";
import { answer, bodyOf, headerFromSidecar, noBytes } from "./message.ts";
import { serviceStream } from "./service-stream.ts";
import { outriggerVersions } from "./version.ts";

interface Tick {
  readonly schedule: string;
  readonly dueMs: bigint;
  readonly contentType: string;
  readonly data: Uint8Array;
}

export const schedulesInterface: ExportedInterface = {
  name: "outrigger:runtime/schedules",
  versions: outriggerVersions,
  functions: ["on-schedule"],
  takesWholeRequests: true,
  takes: (host, kind) => kind === "service" && headerFromSidecar(host, "x-outrigger-schedule") !== undefined,
  open(guest, exported, host, ended) {
    const onSchedule = exportedFunction<Tick, void>(exported, "onSchedule");
    const serve = async (): Promise<void> => {
      try {
        await guest.call("on-schedule", () => onSchedule(tickOf(host)));
        answer(host, { status: 204, headers: [], body: noBytes });
      } catch (error) {
        if (error instanceof PluginError) throw error;
        answer(host, { status: 500, headers: [], body: Buffer.from(String(error)) });
      }
    };
    return serviceStream(guest, host, serve, ended);
  },
};

function tickOf(host: StreamHost): Tick {
  const headers = host.headers("request-headers");
  return {
    schedule: headers?.get("x-outrigger-schedule") ?? "",
    dueMs: BigInt(Date.parse(headers?.get("x-outrigger-scheduled-time") ?? "") || 0),
    contentType: headers?.get("content-type") ?? "",
    data: bodyOf(host, "request"),
  };
}
