import { Status } from "../abi.ts";
import { compress, uncompress } from "./compression.ts";
import { type ForeignFunction, refuse } from "./foreign-function.ts";
import { sign, verifySignature } from "./signatures.ts";
import { clearRouteCache, declareProperty, setEnvoyFilterState } from "./stream-state.ts";

const notReady = refuse(
  Status.INTERNAL_FAILURE,
  "expressions are there for guests that hold the name 'expr_create' in their memory when they start",
);

/** The foreign functions that plugins made for Envoy expect. They reach nothing beyond the guest's own stream: no grant is needed. */
export const standardFunctions: ReadonlyMap<string, ForeignFunction> = new Map([
  ["compress", compress],
  ["uncompress", uncompress],
  ["verify_signature", verifySignature],
  ["sign", sign],
  ["clear_route_cache", clearRouteCache],
  ["set_envoy_filter_state", setEnvoyFilterState],
  ["declare_property", declareProperty],
  ["expr_create", ({ expressions }, argument) => expressions?.create(argument) ?? notReady],
  ["expr_evaluate", ({ expressions }, argument) => expressions?.evaluate(argument) ?? notReady],
  ["expr_delete", ({ expressions }, argument) => expressions?.delete(argument) ?? notReady],
]);
