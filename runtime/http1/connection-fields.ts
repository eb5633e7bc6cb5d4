/** Fields that belong to one connection and its framing (RFC 9110, section 7.6.1): a codec decides on them itself. */
export const connectionFields: ReadonlySet<string> = new Set([
  "connection",
  "http2-settings",
  "keep-alive",
  "proxy-authenticate",
  "proxy-authorization",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
]);
const lengths = Uint8Array.from({ length: 32 }, (_, length) =>
  [...connectionFields].some((name) => name.length === length) ? 1 : 0,
);

/** Whether the field, its name in lower case, is left out of what is forwarded. */
export function isConnectionField(name: string): boolean {
  return lengths[name.length] === 1 && connectionFields.has(name);
}
