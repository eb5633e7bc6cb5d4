import { RuntimeError } from "../../components/error.ts";
import type { OpenedStore } from "./stores.ts";

const separator = "||";

/** What stands before the keys of a kind in the backend, and the `keyPrefix` of a store that sets none. */
const kinds = {
  state: { opening: "", keyPrefix: "none" },
  lock: { opening: "lock|||", keyPrefix: "appid" },
  sequencer: { opening: "sequencer|||", keyPrefix: "appid" },
} as const;

/**
 * The key in the backend of what the API calls `key`: the store's prefix, `||`, the key. Stores that share a backend
 * stay apart because a key may not be empty nor hold `||` itself (INVALID_ARGUMENT); `what` names the field in messages.
 */
export function storedKey(
  kind: keyof typeof kinds,
  { name, keyPrefix }: Pick<OpenedStore<unknown>, "name" | "keyPrefix">,
  key: string,
  { appId, what }: { readonly appId: string; readonly what: string },
): string {
  if (key === "") throw new RuntimeError("INVALID_ARGUMENT", "KEY_EMPTY", `the ${what} is empty; give one`);
  if (key.includes(separator)) {
    const message = `the ${what} '${key}' contains '||', which separates a prefix from a key; choose another`;
    throw new RuntimeError("INVALID_ARGUMENT", "KEY_RESERVED", message);
  }
  const { opening, keyPrefix: byDefault } = kinds[kind];
  const strategy = keyPrefix === "" ? byDefault : keyPrefix;
  if (strategy === "none") return opening + key;
  const prefix = strategy === "appid" ? appId : strategy === "name" ? name : strategy;
  return `${opening}${prefix}${separator}${key}`;
}
