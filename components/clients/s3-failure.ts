import { RuntimeError } from "../error.ts";
import { messageOf } from "../thrown.ts";
import { isUntrusted } from "./tls-settings.ts";

const credentialErrors = new Set([
  "InvalidAccessKeyId",
  "SignatureDoesNotMatch",
  "ExpiredToken",
  "InvalidToken",
  "AuthorizationHeaderMalformed",
  "CredentialsProviderError",
]);
const badRequests = new Set(["KeyTooLongError", "MetadataTooLarge", "InvalidURI", "EntityTooLarge", "InvalidArgument"]);

/** What is known of an error of the AWS client. */
interface S3Error {
  /** Of the answer; absent when there was none. */
  readonly status: number | undefined;
  /** The server's or Node's word for it. */
  readonly word: string;
}

/**
 * The error of a request that failed. The original does not travel along: it holds the request. What only other settings can
 * mend is not UNAVAILABLE while the component is being opened.
 */
export function s3Failure(component: string, error: unknown, phase: "opening" | "open" = "open"): RuntimeError {
  if (error instanceof RuntimeError) return error;
  const { status, word } = errorOf(error);
  const said = saidBy(error, word);
  const fail = (code: RuntimeError["code"], reason: string, text: string): RuntimeError =>
    new RuntimeError(code, reason, `the S3 of '${component}' ${text}: ${said}`);
  const refused = (code: RuntimeError["code"], reason: string, text: string): RuntimeError =>
    fail(phase === "opening" ? code : "UNAVAILABLE", reason, text);
  if (isUntrusted(error))
    return refused("FAILED_PRECONDITION", "S3_NOT_TRUSTED", "has a certificate that is not trusted");
  if (credentialErrors.has(word)) return refused("UNAUTHENTICATED", "S3_ACCESS_DENIED", "refuses the credentials");
  if (status === undefined) return fail("UNAVAILABLE", "S3_UNREACHABLE", "cannot be reached");
  if (status >= 500 || status === 429 || word === "SlowDown" || word === "RequestTimeout") {
    return status === 507
      ? fail("RESOURCE_EXHAUSTED", "S3_FULL", "has no room left")
      : fail("UNAVAILABLE", "S3_NOT_READY", "cannot serve now");
  }
  if (word === "RequestTimeTooSkewed") return fail("UNAVAILABLE", "S3_CLOCK", "has another time than this machine");
  if (status === 401 || status === 403) return fail("PERMISSION_DENIED", "S3_ACCESS_DENIED", "does not allow it");
  if (word === "NoSuchBucket") return fail("FAILED_PRECONDITION", "S3_BUCKET_MISSING", "has no such bucket");
  if (status === 301 || status === 307)
    return fail("FAILED_PRECONDITION", "S3_REGION", "has the bucket in another region");
  if (badRequests.has(word)) return fail("INVALID_ARGUMENT", "S3_REQUEST_INVALID", "does not take it");
  return fail("INTERNAL", "S3_FAILED", "answered with an error");
}

/** Whether there is no object of the name; other things that are missing are failures. */
export const isAbsent = (error: unknown): boolean => {
  const { status, word } = errorOf(error);
  return status === 404 && word !== "NoSuchBucket";
};

function errorOf(error: unknown): S3Error {
  if (!(error instanceof Error)) return { status: undefined, word: "" };
  const answer = "$metadata" in error ? error.$metadata : undefined;
  const hasStatus = typeof answer === "object" && answer !== null && "httpStatusCode" in answer;
  const status = hasStatus && typeof answer.httpStatusCode === "number" ? answer.httpStatusCode : undefined;
  const code = "code" in error && typeof error.code === "string" ? error.code : undefined;
  return { status, word: status === undefined ? (code ?? error.name) : error.name };
}

/** Answers without a body, such as those to HEAD, have no words of their own; nor has what tried several addresses. */
function saidBy(error: unknown, word: string): string {
  if (error instanceof AggregateError) return error.errors.map((one) => saidBy(one, "")).join(", ");
  const said = messageOf(error);
  return said === "" || said === "UnknownError" ? word : said;
}
