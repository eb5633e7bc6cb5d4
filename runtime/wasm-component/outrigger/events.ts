import type { StreamHost } from "../../plugin/contract.ts";
import type { ExportedInterface } from "../provider.ts";
import { type GuestEvent, guestEvent } from "./cloud-event.ts";
import { exportedFunction } from "./exported-function.ts";
import { answer, bodyOf, headerFromSidecar } from "./message.ts";
import { serviceStream } from "./service-stream.ts";
import { outriggerVersions } from "./version.ts";

const statuses = { success: "SUCCESS", retry: "RETRY", drop: "DROP" } as const;

export const eventsInterface: ExportedInterface = {
  name: "outrigger:runtime/events",
  versions: outriggerVersions,
  functions: ["on-event"],
  takesWholeRequests: true,
  takes: (host, kind) => kind === "service" && headerFromSidecar(host, "x-outrigger-topic") !== undefined,
  open(guest, exported, host, ended) {
    const onEvent = exportedFunction<GuestEvent, keyof typeof statuses>(exported, "onEvent");
    const serve = async (): Promise<void> => {
      const outcome = await guest.call("on-event", () => onEvent(eventOf(host)));
      const body = Buffer.from(JSON.stringify({ status: statuses[outcome] }));
      answer(host, { status: 200, headers: [["content-type", "application/json"]], body });
    };
    return serviceStream(guest, host, serve, ended);
  },
};

/** The event that a request of the sidecar brings. */
export function eventOf(host: StreamHost): GuestEvent {
  const headers = host.headers("request-headers");
  return guestEvent({
    pubsub: headers?.get("x-outrigger-pubsub") ?? "",
    topic: decodeURIComponent(headers?.get("x-outrigger-topic") ?? ""),
    contentType: headers?.get("content-type") ?? "",
    data: bodyOf(host, "request"),
  });
}
