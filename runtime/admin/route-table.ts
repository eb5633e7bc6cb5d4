import { late } from "../late.ts";
import { matchPath, type Route } from "./route.ts";

/** The routes among which those of a path are found. */
export type RouteTable = (path: string) => Promise<readonly Route[]>;

/** These, whatever is asked for. */
export function onlyRoutes(routes: readonly Route[]): RouteTable {
  return async () => routes;
}

/** What is early answers for its own paths; the first request for another one loads all routes. */
export function withLateRoutes(early: readonly Route[], load: () => Promise<readonly Route[]>): RouteTable {
  const all = late(load);
  return async (path) => (early.some((route) => matchPath(route.path, path) !== undefined) ? early : all());
}
