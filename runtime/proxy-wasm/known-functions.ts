/** What a list of allowed functions may name: for whoever checks one without running a module. */
import { nearest } from "../config/nearest.ts";
import { hostFunctionNames } from "./function-names.ts";
import { callbackNames } from "./guest-exports.ts";

/** Callbacks that this host never calls; a list that was made for another host may name them. */
const neverCalled = [
  "proxy_on_foreign_function",
  "proxy_on_memory_allocate",
  "proxy_on_request_metadata",
  "proxy_on_response_metadata",
  "proxy_validate_configuration",
];

const known = [...new Set([...Object.values(hostFunctionNames).flat(), ...callbackNames, ...neverCalled])];

/** Why a list cannot hold a plugin to that name, as the end of a sentence about it; undefined when there is such a function. */
export function unknownFunction(name: string): string | undefined {
  if (known.includes(name)) return undefined;
  const near = nearest(name, known);
  const hint = near === undefined ? "docs/reference/proxy-wasm.md lists all" : `did you mean '${near}'?`;
  return `is no function of Proxy-Wasm or of WASI that this host knows; ${hint}`;
}
