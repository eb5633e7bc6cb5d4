import { compress, uncompress } from "./compression.ts";
import type { ForeignFunction } from "./foreign-function.ts";
import { sign, verifySignature } from "./signatures.ts";
import { clearRouteCache, declareProperty, setEnvoyFilterState } from "./stream-state.ts";

/** The foreign functions that plugins made for Envoy expect. They reach nothing beyond the guest's own stream: no grant is needed. */
export const standardFunctions: ReadonlyMap<string, ForeignFunction> = new Map([
  ["compress", compress],
  ["uncompress", uncompress],
  ["verify_signature", verifySignature],
  ["sign", sign],
  ["clear_route_cache", clearRouteCache],
  ["set_envoy_filter_state", setEnvoyFilterState],
  ["declare_property", declareProperty],
]);
