import { RuntimeError } from "../../components/error.ts";
import type { OpenedStore } from "./stores.ts";

const separator = "||";

/** What stands before the keys of a kind in the backend, and the `keyPrefix` of a store that sets none. */
const kinds = {
  state: { opening: "", keyPrefix: "none" },
  lock: { opening: "lock|||", keyPrefix: "appid" },
  sequencer: { opening: "sequencer|||", keyPrefix: "appid" },
} as const;

type Kind = keyof typeof kinds;
type Place = Pick<OpenedStore<unknown>, "name" | "keyPrefix">;

/** What a name is used for, and by which application; `what` names the field in messages. */
interface Use {
  readonly appId: string;
  readonly what: string;
}

/**
 * The key in the backend of what the API calls `key`: the store's prefix, `||`, the key. Stores that share a backend
 * stay apart because a key may not be empty nor hold `||` itself (INVALID_ARGUMENT).
 */
export function storedKey(kind: Kind, store: Place, key: string, { appId, what }: Use): string {
  if (key === "") throw new RuntimeError("INVALID_ARGUMENT", "KEY_EMPTY", `the ${what} is empty; give one`);
  return storedBeginning(kind, store, key, { appId, what });
}

/** What the keys in the backend begin with of which the API says that they begin with `beginning`, which may be empty. */
export function storedBeginning(kind: Kind, store: Place, beginning: string, { appId, what }: Use): string {
  if (beginning.includes(separator)) {
    const message = `the ${what} '${beginning}' contains '||', which separates a prefix from a key; choose another`;
    throw new RuntimeError("INVALID_ARGUMENT", "KEY_RESERVED", message);
  }
  return openingOf(kind, store, appId) + beginning;
}

/** What the API calls a key of the backend; undefined for one that is not of the store and the application. */
export function keyOfStored(kind: Kind, store: Place, stored: string, appId: string): string | undefined {
  const opening = openingOf(kind, store, appId);
  if (!stored.startsWith(opening)) return undefined;
  const key = stored.slice(opening.length);
  return key === "" || key.includes(separator) ? undefined : key;
}

function openingOf(kind: Kind, { name, keyPrefix }: Place, appId: string): string {
  const { opening, keyPrefix: byDefault } = kinds[kind];
  const strategy = keyPrefix === "" ? byDefault : keyPrefix;
  if (strategy === "none") return opening;
  const prefix = strategy === "appid" ? appId : strategy === "name" ? name : strategy;
  return `${opening}${prefix}${separator}`;
}
