import { RuntimeError } from "../error.ts";
import { codeOf, messageOf } from "../thrown.ts";

/** What JetStream answers a request that it refuses. */
export interface JetStreamRefusal {
  readonly code: number;
  readonly err_code?: number | undefined;
  readonly description?: string | undefined;
}

/** Numbers of JetStream's errors that mean something here. */
export const jetStreamCodes = {
  wrongLastSequence: 10071,
  streamNotFound: 10059,
  consumerNotFound: 10014,
  messageNotFound: 10037,
  streamNameInUse: 10058,
} as const;

const full = new Set([10077, 10023, 10047, 10028, 10122]);
const tooLarge = new Set([10054, 10097]);
const notEnabled = new Set([10076, 10039]);
const passing = new Set([10008, 10005, 10118]);

/** JetStream refused a request; `errorCode` is one of its numbers. */
export class JetStreamError extends RuntimeError {
  readonly errorCode: number;

  constructor(component: string, { code, err_code = 0, description = "" }: JetStreamRefusal) {
    const [status, reason, text] = meaningOf(err_code, code);
    super(status, reason, `the NATS of '${component}' ${text}: ${description}`);
    this.errorCode = err_code;
  }
}

function meaningOf(errorCode: number, code: number): readonly [RuntimeError["code"], string, string] {
  if (full.has(errorCode)) return ["RESOURCE_EXHAUSTED", "NATS_FULL", "has no room left"];
  if (tooLarge.has(errorCode)) return ["RESOURCE_EXHAUSTED", "NATS_TOO_LARGE", "takes no message of that size"];
  if (notEnabled.has(errorCode)) {
    return ["FAILED_PRECONDITION", "NATS_NO_JETSTREAM", "has no JetStream for the account; enable it on the server"];
  }
  if (passing.has(errorCode) || code === 503) return ["UNAVAILABLE", "NATS_NOT_READY", "cannot serve now"];
  return ["INTERNAL", "NATS_FAILED", "answered with an error"];
}

/** What `connect` of the client rejects with, as an error of ours: credentials and settings are refused for good. */
export function natsConnectFailure(component: string, error: unknown): RuntimeError {
  if (error instanceof RuntimeError) return error;
  const code = codeOf(error) ?? "";
  const fail = (status: RuntimeError["code"], reason: string, text: string): RuntimeError =>
    new RuntimeError(status, reason, `the NATS of '${component}' ${text}`);
  if (refusals.has(code)) {
    return fail("UNAUTHENTICATED", "NATS_ACCESS_DENIED", "refuses the credentials of the component; correct them");
  }
  if (code === "BAD_CREDS" || /nkey|seed|checksum|base32/i.test(textOf(error))) {
    return fail("INVALID_ARGUMENT", "NATS_BAD_CREDENTIALS", "cannot be asked: the credentials are not well formed");
  }
  if (code === "SERVER_OPT_NA") {
    return fail("FAILED_PRECONDITION", "NATS_NO_TLS", "does not speak TLS; enable it there or leave tls out");
  }
  if (isCertificateFault(error)) {
    return fail("FAILED_PRECONDITION", "NATS_UNTRUSTED", `cannot be trusted: ${textOf(error)}; give tls.ca`);
  }
  return fail("UNAVAILABLE", "NATS_UNREACHABLE", `cannot be reached: ${whyOf(error)}`);
}

const refusals = new Set(["AUTHORIZATION_VIOLATION", "AUTHENTICATION_EXPIRED", "ACCOUNT_EXPIRED"]);

/** The client's short codes in plain words. */
export function whyOf(error: unknown): string {
  const code = codeOf(error) ?? "";
  return words.get(code) ?? textOf(error);
}

const words = new Map([
  ["CONNECTION_REFUSED", "connection refused"],
  ["TIMEOUT", "it does not answer"],
  ["CONNECTION_TIMEOUT", "it does not answer"],
  ["MAX_PAYLOAD_EXCEEDED", "the message is longer than the server takes (max_payload)"],
  ["DISCONNECT", "the connection was closed"],
  ["CONNECTION_CLOSED", "the connection was closed"],
  ["AUTHORIZATION_VIOLATION", "it refuses the credentials"],
]);

const isCertificateFault = (error: unknown): boolean =>
  /^(ERR_TLS|ERR_SSL|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO|CERT_|EPROTO)/.test(codeOf(error) ?? "") ||
  /certificate|altnames/i.test(messageOf(error));

const textOf = (error: unknown): string => (error === undefined ? "the connection was closed" : messageOf(error));
