import { failure, type IoError, type StreamError } from "../wasi/io-error.ts";

/** The variant `wasi:http/types.error-code`, as far as the sidecar makes one; a guest may make any. */
export interface ErrorCode {
  readonly tag: string;
  readonly val?: unknown;
}

/** Puts an error code behind the error of a stream, where `http-error-code` finds it. */
class HttpCause {
  readonly code: ErrorCode;

  constructor(code: ErrorCode) {
    this.code = code;
  }
}

export const streamFailure = (sentence: string, code: ErrorCode): StreamError => failure(sentence, new HttpCause(code));

export const httpErrorCode = ({ cause }: IoError): ErrorCode | undefined =>
  cause instanceof HttpCause ? cause.code : undefined;

/** What a client is told when the guest answers with an error; those that are missing are 500. */
const statuses: Readonly<Record<string, number>> = {
  "DNS-timeout": 504,
  "DNS-error": 502,
  "destination-not-found": 502,
  "destination-unavailable": 503,
  "destination-IP-prohibited": 502,
  "destination-IP-unroutable": 502,
  "connection-refused": 502,
  "connection-terminated": 502,
  "connection-timeout": 504,
  "connection-read-timeout": 504,
  "connection-write-timeout": 504,
  "connection-limit-reached": 503,
  "TLS-protocol-error": 502,
  "TLS-certificate-error": 502,
  "TLS-alert-received": 502,
  "HTTP-request-denied": 403,
  "HTTP-request-length-required": 411,
  "HTTP-request-body-size": 413,
  "HTTP-request-method-invalid": 405,
  "HTTP-request-URI-invalid": 400,
  "HTTP-request-URI-too-long": 414,
  "HTTP-request-header-section-size": 431,
  "HTTP-request-header-size": 431,
  "HTTP-request-trailer-section-size": 431,
  "HTTP-request-trailer-size": 431,
  "HTTP-response-incomplete": 502,
  "HTTP-response-header-section-size": 502,
  "HTTP-response-header-size": 502,
  "HTTP-response-body-size": 502,
  "HTTP-response-trailer-section-size": 502,
  "HTTP-response-trailer-size": 502,
  "HTTP-response-transfer-coding": 502,
  "HTTP-response-content-coding": 502,
  "HTTP-response-timeout": 504,
  "HTTP-upgrade-failed": 502,
  "HTTP-protocol-error": 502,
  "loop-detected": 508,
};

export const statusOfError = ({ tag }: ErrorCode): number => statuses[tag] ?? 500;

/** What became of a request to an upstream, by the proxy's word for it. */
export function errorCodeOf(details: string, message: string, hasHead: boolean): ErrorCode {
  const [word = "", rest = ""] = details.split("{", 2);
  switch (word) {
    case "upstream_connect_failure":
      return connectFailure(rest);
    case "no_healthy_upstream":
      return { tag: "destination-unavailable" };
    case "upstream_reset":
      return { tag: hasHead ? "HTTP-response-incomplete" : "connection-terminated" };
    case "upstream_protocol_error":
      return { tag: "HTTP-protocol-error" };
    case "request_refused":
      return { tag: "HTTP-request-denied" };
    default:
      return { tag: "internal-error", val: message };
  }
}

function connectFailure(systemCode: string): ErrorCode {
  if (systemCode.startsWith("ETIMEDOUT")) return { tag: "connection-timeout" };
  if (/^(ENOTFOUND|EAI_)/.test(systemCode)) return { tag: "DNS-error", val: {} };
  if (/^(ENETUNREACH|EHOSTUNREACH)/.test(systemCode)) return { tag: "destination-IP-unroutable" };
  return { tag: "connection-refused" };
}
