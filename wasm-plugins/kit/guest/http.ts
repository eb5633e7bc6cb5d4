/** Requests and responses, read and made. */
import type { Request, Response } from "outrigger:runtime/http@0.1.0";

/** The path without the query. */
export const pathOf = ({ path }: Request): string => path.split("?", 1)[0] ?? path;

/** The parameters of the query; of a name that comes twice, the last. */
export function queryOf({ path }: Request): ReadonlyMap<string, string> {
  const start = path.indexOf("?");
  const pairs = start < 0 ? [] : path.slice(start + 1).split("&");
  return new Map(
    pairs
      .filter((pair) => pair !== "")
      .map((pair) => {
        const [name = "", ...value] = pair.split("=");
        return [decoded(name), decoded(value.join("="))];
      }),
  );
}

/** The first header of the name, which is lower-case. */
export const headerOf = ({ headers }: Request, name: string): string | undefined =>
  headers.find(([header]) => header === name)?.[1];

/** The body as JSON; undefined when it is not. */
export function jsonOf({ body }: Request): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(body));
  } catch {
    return undefined;
  }
}

/** A response of JSON. */
export function json(status: number, value: unknown): Response {
  const body = new TextEncoder().encode(JSON.stringify(value));
  return { status, headers: [["content-type", "application/json"]], body };
}

/** What is not properly encoded stays as it is. */
function decoded(text: string): string {
  const spaced = text.replaceAll("+", " ");
  try {
    return decodeURIComponent(spaced);
  } catch {
    return spaced;
  }
}
