import { boundClass } from "../bound-class.ts";
import type { ImportedInterface } from "../provider.ts";
import { httpErrorCode } from "./error-code.ts";
import { Fields } from "./fields.ts";
import { FutureTrailers, IncomingBody } from "./incoming-body.ts";
import { IncomingRequest } from "./incoming-request.ts";
import { FutureIncomingResponse, IncomingResponse } from "./incoming-response.ts";
import { OutgoingBody } from "./outgoing-body.ts";
import { OutgoingRequest, RequestOptions } from "./outgoing-request.ts";
import { OutgoingResponse, ResponseOutparam } from "./outgoing-response.ts";

/** `wasi:http/types`. */
export const httpTypes: ImportedInterface = {
  name: "wasi:http/types",
  versions: "0.2",
  waiting: [],
  make: (host) => ({
    Fields: boundClass(Fields, () => new Fields(host), {
      fromList: (entries: Parameters<typeof Fields.fromList>[1]) => Fields.fromList(host, entries),
    }),
    IncomingRequest,
    IncomingBody,
    FutureTrailers,
    OutgoingResponse: boundClass(OutgoingResponse, (headers: Fields) => new OutgoingResponse(host, headers)),
    ResponseOutparam,
    OutgoingBody,
    OutgoingRequest: boundClass(OutgoingRequest, (headers: Fields) => new OutgoingRequest(host, headers)),
    RequestOptions,
    FutureIncomingResponse,
    IncomingResponse,
    httpErrorCode,
  }),
};
