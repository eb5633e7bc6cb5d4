import { setFlagsFromString } from "node:v8";
import type { RouteConfiguration } from "../config/schema.ts";
import type { HeaderList } from "./headers.ts";

/** What a route asks of a request; the query is no part of the path. */
export type RouteMatch = RouteConfiguration["match"];

/** Whether the request, with its path cut before the query, is one of the route's. */
export type RouteTest = (request: HeaderList, path: string) => boolean;

/** Longest path that is held against a regular expression; a longer one matches none. */
export const maxRegexPath = 8 * 1024;

/** Compiles a match. Throws a sentence when its regular expression is not acceptable. */
export function routeTest(match: RouteMatch): RouteTest {
  const onPath = pathTest(match);
  const methods = match.method === undefined ? undefined : new Set(match.method.map((method) => method.toUpperCase()));
  const headers = Object.entries(match.headers ?? {}).map(([name, value]) => [name.toLowerCase(), value] as const);
  return (request, path) =>
    onPath(path) &&
    (methods === undefined || methods.has(request.get(":method") ?? "")) &&
    headers.every(([name, value]) => fieldValue(request, name) === value);
}

/** How a route is called in metrics, logs and `route_name`: its path, its prefix with `*`, its expression after `~`. */
export function routeName(match: RouteMatch): string {
  if (match.path !== undefined) return match.path;
  return match.prefix === undefined ? `~${match.regex ?? ""}` : `${match.prefix}*`;
}

/** The path of a request target, without its query. */
export function pathOf(target: string): string {
  const query = target.indexOf("?");
  return query < 0 ? target : target.slice(0, query);
}

function pathTest(match: RouteMatch): (path: string) => boolean {
  const { path, prefix, regex } = match;
  if (path !== undefined) return (candidate) => candidate === path;
  if (prefix !== undefined) return (candidate) => candidate.startsWith(prefix);
  const expression = compileLinear(regex ?? "");
  return (candidate) => candidate.length <= maxRegexPath && expression.test(candidate);
}

/** Several fields of one name count as one, joined by commas, as RFC 9110 section 5.3 reads them. */
function fieldValue(request: HeaderList, name: string): string | undefined {
  if (name === "host") return request.get(":authority");
  const values = request.getAll(name);
  return values.length > 1 ? values.join(", ") : values[0];
}

/**
 * Compiles an expression for V8's engine that never backtracks, so that no path can make it slow. Like RE2 it has no
 * lookaround and no backreferences.
 */
function compileLinear(source: string): RegExp {
  try {
    new RegExp(source);
  } catch (error) {
    throw new Error(`the route's regex ${JSON.stringify(source)} is not valid: ${String(error)}`, { cause: error });
  }
  // It only makes V8 accept the `l` of expressions, and must stay set: V8 compiles them again when it pleases.
  setFlagsFromString("--enable-experimental-regexp-engine");
  try {
    return new RegExp(`^(?:${source})$`, "l");
  } catch (error) {
    throw new Error(
      `the route's regex ${JSON.stringify(source)} cannot be matched in linear time; use no lookaround, backreferences or long counted repetitions`,
      { cause: error },
    );
  }
}
