import type { Direction } from "../plugin/contract.ts";
import type { PluginError } from "../plugin/plugin-error.ts";
import type { Failure } from "./exchange.ts";

/** The whole answer took longer than the route allows. */
export const responseTimeout: Failure = {
  status: 504,
  details: "response_timeout",
  message: "upstream request timeout",
  flag: "UT",
};

/** A plugin asked for the end of the stream. */
export const pluginReset: Failure = {
  status: 503,
  details: "plugin_reset",
  message: "a plugin reset the stream",
  flag: "LR",
};

/** A request's body is larger than the listener takes. */
export function tooLarge(maxBytes: number | undefined): Failure {
  const message = `the request body exceeds the limit of ${maxBytes} bytes`;
  return { status: 413, details: "request_payload_too_large", message };
}

/** A filter, of the ingress or of an upstream, held back more of a body than it may. */
export function bufferExceeded(direction: Direction, maxBytes: number, upstream: string | undefined): Failure {
  const setting = `${upstream === undefined ? "ingress" : `upstreams.${upstream}`}.maxBufferBytes`;
  const message = `the ${direction} body exceeds the ${maxBytes} bytes that a plugin may hold back (${setting})`;
  return { status: direction === "request" ? 413 : 500, details: `${direction}_payload_too_large`, message };
}

/** A filter changed the length of a body whose head, with another length, was sent already. */
export function lengthChanged(direction: Direction): Failure {
  return {
    status: 500,
    details: `${direction}_length_changed`,
    message: `a filter changed the ${direction}'s length after its head was sent`,
  };
}

/** A filter left a head that cannot be sent, or the only `plugin` that there is. */
export function brokenHead(direction: Direction, fault: string, plugin?: string): Failure {
  const who = plugin === undefined ? "a filter" : `plugin '${plugin}'`;
  return {
    status: 500,
    details: `invalid_${direction}_from_filter`,
    message: `${who} broke the ${direction}: ${fault}`,
  };
}

/** A plugin cannot go on and must not be left out. */
export function pluginFailed(plugin: string, error: PluginError): Failure {
  return { status: 503, details: `plugin_${error.fault}`, message: `plugin '${plugin}' cannot serve now` };
}

/** A request chose a plugin that is not there. */
export const pluginNotFound: Failure = {
  status: 404,
  details: "plugin_not_found",
  message: "there is no such plugin",
};
