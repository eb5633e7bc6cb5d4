import { RuntimeError } from "../error.ts";

/** What Redis says in the first word of an error when it cannot serve anyone now, and would later or elsewhere. */
const passing = new Set([
  "LOADING",
  "READONLY",
  "MASTERDOWN",
  "CLUSTERDOWN",
  "TRYAGAIN",
  "BUSY",
  "NOREPLICAS",
  "MISCONF",
]);
/** The reason of errors that say so. */
export const accessDenied = "REDIS_ACCESS_DENIED";
const refusals = new Set(["NOAUTH", "WRONGPASS", "NOPERM"]);

/**
 * The error of a command that failed. The original does not travel along: it holds the arguments of the command, which may
 * be a password or somebody's data. `lost` says why there is no connection, where that is known: the client's own words are
 * about options that nobody here can set.
 */
export function redisFailure(component: string, error: unknown, lost?: string): RuntimeError {
  if (error instanceof RuntimeError) return error;
  const said = messageOf(error);
  const word = /^[A-Z]+/.exec(said)?.[0] ?? "";
  const isReply = error instanceof Error && error.name === "ReplyError";
  const fail = (code: RuntimeError["code"], reason: string, text: string, why = said): RuntimeError =>
    new RuntimeError(code, reason, `the Redis of '${component}' ${text}: ${why}`);
  if (!isReply) return fail("UNAVAILABLE", "REDIS_UNREACHABLE", "cannot be reached", lost);
  if (passing.has(word)) return fail("UNAVAILABLE", "REDIS_NOT_READY", "cannot serve now");
  if (word === "OOM") return fail("RESOURCE_EXHAUSTED", "REDIS_FULL", "has no memory left");
  if (word === "CROSSSLOT") return fail("FAILED_PRECONDITION", "REDIS_CROSS_SLOT", acrossNodes);
  if (refusals.has(word)) return fail("UNAVAILABLE", accessDenied, "refuses the user of the component");
  return fail("INTERNAL", "REDIS_FAILED", "answered with an error");
}

/** The error of a connection that the server refuses for good, which trying again does not mend; undefined for any other. */
export function redisRefusal(component: string, error: unknown): RuntimeError | undefined {
  const said = messageOf(error);
  // Sentinels and clusters tell it inside a sentence of the client's.
  const refusal =
    /\b(NOAUTH|WRONGPASS|NOPERM|NOPROTO)\b.*/.exec(said)?.[0] ?? /^ERR (?!max number of clients).*/.exec(said)?.[0];
  if (refusal === undefined) return undefined;
  const message = `the Redis of '${component}' refuses the connection: ${refusal}; check username, password and db`;
  return new RuntimeError("UNAUTHENTICATED", accessDenied, message);
}

/** Whether the server refused a script as a whole, before anything of it was done. */
export const isRefusedAsWhole = (error: unknown): boolean =>
  error instanceof RuntimeError && error.reason !== "REDIS_UNREACHABLE" && error.reason !== "REDIS_NOT_READY";

const acrossNodes =
  "is a cluster and cannot change keys of several slots together; give keys that belong together a common {tag}";

/** Whether a command found no connection, which tells nothing of why there is none. */
export const isUnsent = (error: unknown): boolean => error instanceof Error && /^Stream isn't/.test(error.message);

/** What an error says; of a cluster of which no node answers, what the last of them said. */
export function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { message } = "lastNodeError" in error && error.lastNodeError instanceof Error ? error.lastNodeError : error;
  if (/^(Unknown RESP type|Protocol error)/.test(message)) return "what answers there does not speak as Redis does";
  if (isUnsent(error)) return "there is no connection";
  // Of sentinels that are away the client says when it asks them again, to the trillionth of a second.
  return message.replace(/ Retrying from scratch after [\d.]+ms\./, "");
}
