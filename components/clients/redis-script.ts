import { createHash } from "node:crypto";

/** A Lua script, called by its digest so that its text travels once. */
export interface RedisScript {
  readonly lua: string;
  /** SHA-1 of the text, in hexadecimal. */
  readonly digest: string;
}

export const redisScript = (lua: string): RedisScript => ({
  lua,
  digest: createHash("sha1").update(lua).digest("hex"),
});
