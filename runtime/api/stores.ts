import type { ComponentKind } from "../../components/component.ts";
import { RuntimeError } from "../../components/error.ts";

/** A configured store that is open, with the settings of it that belong to the API rather than to the backend. */
export interface OpenedStore<S> {
  readonly name: string;
  readonly store: S;
  /** `none`, `appid`, `name`, or a literal prefix; empty means the default of the kind. */
  readonly keyPrefix: string;
}

/** The stores of one kind as they are now: a lookup sees what was opened or closed since the last one. */
export interface StoreSet<S> {
  /** Throws FAILED_PRECONDITION when no store of the kind is configured, INVALID_ARGUMENT when none has the name. */
  find(name: string): OpenedStore<S>;
  names(): readonly string[];
}

const nouns: Readonly<Record<ComponentKind, string>> = {
  state: "state store",
  pubsub: "pub/sub component",
  config: "configuration store",
  lock: "lock store",
  sequencer: "sequencer",
};

/** The set over a map that its owner may change at any time. */
export function storeSet<S>(kind: ComponentKind, stores: ReadonlyMap<string, OpenedStore<S>>): StoreSet<S> {
  const names = (): readonly string[] => [...stores.keys()].sort();
  return {
    names,
    find(name) {
      const found = stores.get(name);
      if (found !== undefined) return found;
      if (stores.size === 0) {
        throw new RuntimeError(
          "FAILED_PRECONDITION",
          `${kind.toUpperCase()}_STORE_NOT_CONFIGURED`,
          `no ${nouns[kind]} is configured; add one under components.${kind}`,
        );
      }
      throw new RuntimeError(
        "INVALID_ARGUMENT",
        `${kind.toUpperCase()}_STORE_NOT_FOUND`,
        `${nouns[kind]} '${name}' is not configured; configured: ${names().join(", ")}`,
      );
    },
  };
}
