import { createHash } from "node:crypto";
import { setImmediate } from "node:timers/promises";

/** Takes some fifty microseconds. */
const partBytes = 64 * 1024;

/** What names bytes by their content: `sha256:` and hex. */
export const digestOf = (content: Uint8Array | string): string =>
  `sha256:${createHash("sha256").update(content).digest("hex")}`;

/** As `digestOf`, of what may be large: traffic that waits for the thread has its turn between the parts. */
export async function digestInParts(content: Uint8Array): Promise<string> {
  return `sha256:${(await sha256InParts(content)).toString("hex")}`;
}

/** The SHA-256 of what may be large and does not change meanwhile, with turns for others between the parts. */
export async function sha256InParts(content: Uint8Array): Promise<Buffer> {
  const hash = createHash("sha256");
  for (let start = 0; start < content.length; start += partBytes) {
    if (start > 0) await setImmediate();
    hash.update(content.subarray(start, start + partBytes));
  }
  return hash.digest();
}
