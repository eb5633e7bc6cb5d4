/** What an answer, or a call without one, says to gRPC. */
import { errorCode } from "../http2/error-code.ts";
import type { StreamFault } from "../http2/stream-contract.ts";
import type { AnswerSection } from "./answer-section.ts";
import { statusCode } from "./status-code.ts";

/** How a call ended. */
export interface CallStatus {
  readonly code: number;
  readonly message: string;
  /** Where the status came from; undefined when the peer did not tell it. */
  readonly trailers: AnswerSection | undefined;
}

/** A status that this side found. */
export const localStatus = (code: number, message: string): CallStatus => ({ code, message, trailers: undefined });

/** The status in trailers, or in a head that is the whole answer. */
export const statusIn = (trailers: AnswerSection, address: string): CallStatus =>
  trailers.code >= 0
    ? { code: trailers.code, message: trailers.message, trailers }
    : { code: statusCode.INTERNAL, message: `${address} ended its answer without a gRPC status`, trailers };

/** The code that stands for an HTTP status without a gRPC status (gRPC's http-grpc-status-mapping). */
const codeOfHttpStatus: Readonly<Record<number, number>> = {
  400: statusCode.INTERNAL,
  401: statusCode.UNAUTHENTICATED,
  403: statusCode.PERMISSION_DENIED,
  404: statusCode.UNIMPLEMENTED,
  429: statusCode.UNAVAILABLE,
  502: statusCode.UNAVAILABLE,
  503: statusCode.UNAVAILABLE,
  504: statusCode.UNAVAILABLE,
};

/** The status of an answer that is not of gRPC; undefined when it is. */
export function statusOfHttp(head: AnswerSection, address: string): CallStatus | undefined {
  const { httpStatus, contentType, isGrpc } = head;
  if (isGrpc && (httpStatus === 200 || head.code >= 0)) return undefined;
  const what = contentType === "" ? "" : ` and the content type '${contentType}'`;
  const message = `${address} answered with the HTTP status ${httpStatus}${what} instead of gRPC`;
  return { code: codeOfHttpStatus[httpStatus] ?? statusCode.UNKNOWN, message, trailers: head };
}

/** The codes of RST_STREAM (gRPC over HTTP/2, section "Errors"); others are INTERNAL. */
const codeOfReset: Readonly<Record<number, number>> = {
  [errorCode.REFUSED_STREAM]: statusCode.UNAVAILABLE,
  [errorCode.CANCEL]: statusCode.CANCELLED,
  [errorCode.ENHANCE_YOUR_CALM]: statusCode.RESOURCE_EXHAUSTED,
  [errorCode.INADEQUATE_SECURITY]: statusCode.PERMISSION_DENIED,
};

/** The status of a call whose stream ended with a fault. */
export function statusOfFault({ code, origin, message }: StreamFault, address: string): CallStatus {
  switch (origin) {
    case "connect":
      return localStatus(statusCode.UNAVAILABLE, message);
    case "connection":
      return localStatus(statusCode.UNAVAILABLE, `the connection to ${address} was lost: ${message}`);
    case "protocol":
      return localStatus(statusCode.INTERNAL, `the answer of ${address} is malformed: ${message}`);
    case "peer":
      return localStatus(codeOfReset[code] ?? statusCode.INTERNAL, `${address} broke off the call (${message})`);
  }
}
