import type { ExportedInterface } from "../provider.ts";
import { HttpStream } from "./http-stream.ts";
import type { IncomingRequest } from "./incoming-request.ts";
import type { ResponseOutparam } from "./outgoing-response.ts";

export type Handle = (request: IncomingRequest, outparam: ResponseOutparam) => void | Promise<void>;

/** `wasi:http/incoming-handler`: requests and their answers, both as they come. */
export const incomingHandler: ExportedInterface = {
  name: "wasi:http/incoming-handler",
  versions: "0.2",
  functions: ["handle"],
  takes: (_host, kind) => kind === "service",
  open(guest, { handle }, host, ended) {
    if (typeof handle !== "function") throw new TypeError("the component exports no function 'handle'");
    return new HttpStream(guest, handle as Handle, host, ended);
  },
};
