import { RuntimeError } from "../error.ts";
import { messageOf } from "../thrown.ts";
import { isUntrusted } from "./tls-settings.ts";

/** An error that the server answered with, and not one of the way to it. https://www.postgresql.org/docs/current/errcodes-appendix.html */
interface PostgresRefusal extends Error {
  readonly code: string;
  readonly severity: string;
}

/** What the client itself says of a server that wants something else than the settings have. */
const clientRefusal = /^SASL|does not support SSL|establishing an SSL/;

/**
 * The error of a statement that failed or a connection that could not be had. The original does not travel along: it may
 * hold somebody's data. What only other settings can mend is UNAUTHENTICATED or FAILED_PRECONDITION while the component is being opened.
 */
export function postgresFailure(component: string, error: unknown, phase: "opening" | "open" = "open"): RuntimeError {
  if (error instanceof RuntimeError) return error;
  const said = saidBy(error);
  const fail = (code: RuntimeError["code"], reason: string, text: string): RuntimeError =>
    new RuntimeError(code, reason, `the Postgres of '${component}' ${text}: ${said}`);
  const denied = (code: RuntimeError["code"], text: string): RuntimeError =>
    fail(phase === "opening" ? code : "UNAVAILABLE", "POSTGRES_ACCESS_DENIED", text);
  if (!isRefusal(error)) {
    if (clientRefusal.test(said)) return denied("UNAUTHENTICATED", "wants another way to log in");
    if (isUntrusted(error)) return denied("FAILED_PRECONDITION", "has a certificate that is not trusted");
    return fail("UNAVAILABLE", "POSTGRES_UNREACHABLE", "cannot be reached");
  }
  const { code } = error;
  if (/^(28|3D)/.test(code)) return denied("UNAUTHENTICATED", "refuses the user of the component");
  if (code === "53300" || code === "25006") return fail("UNAVAILABLE", "POSTGRES_NOT_READY", "cannot serve now");
  if (isOfLostServer(error)) return fail("UNAVAILABLE", "POSTGRES_UNREACHABLE", "cannot be reached");
  if (code === "57014") return fail("UNAVAILABLE", "POSTGRES_SLOW", "did not finish in time");
  if (isConflict(error)) return fail("ABORTED", "POSTGRES_CONFLICT", "met too many conflicting writes");
  if (/^53/.test(code)) return fail("RESOURCE_EXHAUSTED", "POSTGRES_FULL", "has no room left");
  if (/^(42|3F)/.test(code)) return fail("FAILED_PRECONDITION", "POSTGRES_SETUP", "lacks a table or a right");
  return fail("INTERNAL", "POSTGRES_FAILED", "answered with an error");
}

/** Whether the connection is of no more use, and maybe the server gone: 25006 comes from one that is no longer the primary. */
export const isOfLostServer = (error: unknown): boolean => !isRefusal(error) || /^(08|57P0|25006)/.test(error.code);

/** Whether the table or its schema is not there. */
export const isOfLostTable = (error: unknown): boolean => isRefusal(error) && /^(42P01|3F000)$/.test(error.code);

/** Whether the server undid a transaction for the sake of another, so that it may be tried again. */
export const isConflict = (error: unknown): boolean => isRefusal(error) && /^(40001|40P01)$/.test(error.code);

const isRefusal = (error: unknown): error is PostgresRefusal => error instanceof Error && "severity" in error;

/** What tried several addresses has an error for each of them, and no words of its own. */
function saidBy(error: unknown): string {
  if (error instanceof AggregateError) return error.errors.map(saidBy).join(", ");
  return messageOf(error);
}
