import type { PluginUse } from "../plugin/contract.ts";
import type { DeadlineQueue, Expiring } from "./deadline-queue.ts";
import type { Handler } from "./exchange.ts";
import type { LateUse } from "./filter-slot.ts";
import type { Stream } from "./stream.ts";

/** Where a request goes when the filters let it pass. */
export type Target =
  | {
      readonly kind: "handler";
      readonly handler: Handler;
      /** Name of the upstream behind it. */
      readonly upstream?: string;
    }
  | { readonly kind: "service"; readonly use: PluginUse | LateUse };

/** What was chosen for a request by its head. */
export interface Choice {
  /** In the order of the request; the same list for every request of a route. */
  readonly filters: readonly PluginUse[];
  readonly target: Target;
  /** Of the time from the end of the request to the end of the response; undefined without a limit. */
  readonly deadlines: DeadlineQueue | undefined;
}

/**
 * Whether what the filters in front of this place did may lead the request elsewhere. `unroutedFilters` see it before its
 * route counts; a later one may have cleared the route.
 */
export function wantsChoice(
  at: number,
  unroutedFilters: number,
  { request, route }: Stream,
  { filters }: Choice,
  routeCleared: boolean,
): boolean {
  const isUnrouted = at === unroutedFilters && at > 0;
  if (isUnrouted && (request.changed || route === undefined)) return true;
  return routeCleared && (isUnrouted || at === filters.length);
}

/** What holds from this place on: behind the filters of every route all of the new choice, later not its filters. */
export function choiceFrom(at: number, unroutedFilters: number, { filters }: Choice, next: Choice): Choice {
  return at === unroutedFilters ? next : { ...next, filters };
}

/** Puts an exchange whose time runs under another limit. */
export function changeDeadline(
  exchange: Expiring,
  from: DeadlineQueue | undefined,
  to: DeadlineQueue | undefined,
): void {
  if (from === to) return;
  from?.remove(exchange);
  to?.add(exchange);
}
