import type { ExportedInterface } from "../provider.ts";
import { exportedFunction } from "./exported-function.ts";
import { answer, requestOf, type WitRequest, type WitResponse } from "./message.ts";
import { serviceStream } from "./service-stream.ts";
import { validResponse } from "./valid-response.ts";
import { outriggerVersions } from "./version.ts";

export const handlerInterface: ExportedInterface = {
  name: "outrigger:runtime/handler",
  versions: outriggerVersions,
  functions: ["handle"],
  takesWholeRequests: true,
  takes: (_host, kind) => kind === "service",
  open(guest, exported, host, ended) {
    const handle = exportedFunction<WitRequest, WitResponse>(exported, "handle");
    const serve = async (): Promise<void> => {
      const response = await guest.call("handle", () => handle(requestOf(host)));
      answer(host, validResponse(guest, host, response));
    };
    return serviceStream(guest, host, serve, ended);
  },
};
