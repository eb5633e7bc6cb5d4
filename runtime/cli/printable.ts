/** Text of others, such as what a plugin logs, as it can do no harm to a terminal: a `?` for what controls it. */
export const printable = (text: string): string => text.replace(/\p{Cc}|[\u2028-\u202e\u2066-\u2069]/gu, "?");

/** A digest as it is shown where there is little room. */
export const shortDigest = (digest: string): string => printable(digest.replace(/^sha256:/, "").slice(0, 12));
