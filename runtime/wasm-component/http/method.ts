/** The variant `wasi:http/types.method`. */
export interface Method {
  readonly tag: string;
  readonly val?: string;
}

/** The variant `wasi:http/types.scheme`. */
export interface Scheme {
  readonly tag: string;
  readonly val?: string;
}

const known: ReadonlyMap<string, Method> = new Map(
  ["get", "head", "post", "put", "delete", "connect", "options", "trace", "patch"].map((tag) => [
    tag.toUpperCase(),
    { tag },
  ]),
);
const http: Scheme = { tag: "HTTP" };
const https: Scheme = { tag: "HTTPS" };

export const methodOf = (text: string): Method => known.get(text) ?? { tag: "other", val: text };

/** As it stands in a request. */
export const methodText = ({ tag, val }: Method): string => (tag === "other" ? (val ?? "") : tag.toUpperCase());

export function schemeOf(text: string): Scheme {
  if (text === "http") return http;
  return text === "https" ? https : { tag: "other", val: text };
}
