import { connectionFields, isConnectionField } from "../http1/connection-fields.ts";
import type { HeaderList } from "./headers.ts";

/** Fields that a sender may not have dropped by listing them in Connection: they say who asks for what. */
const kept = /^(host|content-length|cookie|authorization|x-request-id|x-forwarded-.*|forwarded|:.*)$/;

/**
 * Removes what belongs to the connection the head came over, fields listed in Connection included; `te: trailers` stays.
 * Returns the listed field that must not be dropped, if any: the message is then not to be trusted.
 */
export function removeHopByHop(headers: HeaderList): string | undefined {
  let forbidden: string | undefined;
  for (const value of headers.getAll("connection")) {
    for (const part of value.split(",")) {
      const name = part.trim().toLowerCase();
      if (name === "" || name === "close" || isConnectionField(name)) continue;
      if (kept.test(name)) forbidden ??= name;
      else if (headers.has(name)) headers.remove(name);
    }
  }
  const trailers = headers.getAll("te").some((value) => /(^|,)\s*trailers\s*(;|,|$)/i.test(value));
  for (const name of connectionFields) if (headers.has(name)) headers.remove(name);
  if (trailers) headers.set("te", "trailers");
  return forbidden;
}

/** Removes from trailers what only a head may say: framing, routing and pseudo fields. */
export function cleanTrailers(trailers: HeaderList): void {
  for (const [name] of trailers.entries()) {
    if (isConnectionField(name) || name.startsWith(":") || notInTrailers.test(name)) trailers.remove(name);
  }
}

const notInTrailers =
  /^(host|content-length|content-encoding|content-type|content-range|authorization|cookie|set-cookie|x-forwarded-.*)$/;
