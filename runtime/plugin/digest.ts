import { createHash } from "node:crypto";

/** What names bytes by their content: `sha256:` and hex. */
export const digestOf = (content: Uint8Array | string): string =>
  `sha256:${createHash("sha256").update(content).digest("hex")}`;
