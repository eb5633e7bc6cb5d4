import type { ComponentKind } from "../../components/component.ts";
import { RuntimeError } from "../../components/error.ts";

/** A configured store that is open, with the settings of it that belong to the API rather than to the backend. */
export interface OpenedStore<S> {
  readonly name: string;
  /** Its type in the configuration. */
  readonly type: string;
  readonly store: S;
  /** What the backend can, with its settings, of the things that not every backend of the kind can. */
  readonly capabilities: ReadonlySet<string>;
  /** `none`, `appid`, `name`, or a literal prefix; empty means the default of the kind. */
  readonly keyPrefix: string;
  /** Of a secret store: the secrets that applications may read, by name or by the beginning of names and `*`; default none. */
  readonly allow?: readonly string[];
}

/** The stores of one kind as they are now: a lookup sees what was opened or closed since the last one. */
export interface StoreSet<S> {
  /**
   * Throws FAILED_PRECONDITION when no store of the kind is configured, INVALID_ARGUMENT when none has the name, and
   * UNAVAILABLE when it could not be opened yet.
   */
  find(name: string): OpenedStore<S>;
  names(): readonly string[];
  /** Tells when another store has the name, or none; the one that had it is closed when the promise has settled. */
  watch(name: string, changed: () => Promise<void>): Disposable;
}

/** Tells those who go on with a store that its place is taken. */
export class StoreChanges {
  readonly #watchers = new Map<string, Set<() => Promise<void>>>();

  watch(name: string, changed: () => Promise<void>): Disposable {
    const watchers = this.#watchers.get(name) ?? new Set();
    this.#watchers.set(name, watchers.add(changed));
    return {
      [Symbol.dispose]: () => {
        watchers.delete(changed);
        if (watchers.size === 0 && this.#watchers.get(name) === watchers) this.#watchers.delete(name);
      },
    };
  }

  /** Resolves when everybody has left the store that had the name. */
  async tell(name: string): Promise<void> {
    await Promise.allSettled([...(this.#watchers.get(name) ?? [])].map((changed) => changed()));
  }
}

/** What a store of each kind is called. */
export const nouns: Readonly<Record<ComponentKind, string>> = {
  state: "state store",
  pubsub: "pub/sub component",
  config: "configuration store",
  lock: "lock store",
  sequencer: "sequencer",
  secret: "secret store",
  binding: "binding",
  object: "file store",
};

/** What reasons begin with: a binding and a pub/sub component are no stores. */
const reasonOf = (kind: ComponentKind): string =>
  kind === "binding" || kind === "pubsub" ? kind.toUpperCase() : `${kind.toUpperCase()}_STORE`;

/** Throws UNIMPLEMENTED, naming the backend and what it lacks, unless the store has the capability. */
export function requireCapability(
  kind: ComponentKind,
  { name, type, capabilities }: OpenedStore<unknown>,
  capability: string,
  what: string,
): void {
  if (capabilities.has(capability)) return;
  const message = `${nouns[kind]} '${name}' is of type ${type}, which has no ${what}`;
  const details = { store: name, type, capability };
  throw new RuntimeError("UNIMPLEMENTED", "CAPABILITY_MISSING", message, { details });
}

/**
 * The set over a map that its owner may change at any time, and tells `changes` of. `whyAbsent` knows the stores that are not
 * open yet.
 */
export function storeSet<S>(
  kind: ComponentKind,
  stores: ReadonlyMap<string, OpenedStore<S>>,
  whyAbsent: (name: string) => string | undefined = () => undefined,
  changes: StoreChanges = new StoreChanges(),
): StoreSet<S> {
  const names = (): readonly string[] => [...stores.keys()].sort();
  return {
    names,
    watch: (name, changed) => changes.watch(name, changed),
    find(name) {
      const found = stores.get(name);
      if (found !== undefined) return found;
      const why = whyAbsent(name);
      if (why !== undefined) {
        const message = `${nouns[kind]} '${name}' cannot be used yet: ${why}`;
        throw new RuntimeError("UNAVAILABLE", `${reasonOf(kind)}_NOT_READY`, message);
      }
      if (stores.size === 0) {
        throw new RuntimeError(
          "FAILED_PRECONDITION",
          `${reasonOf(kind)}_NOT_CONFIGURED`,
          `no ${nouns[kind]} is configured; add one under components.${kind}`,
        );
      }
      throw new RuntimeError(
        "INVALID_ARGUMENT",
        `${reasonOf(kind)}_NOT_FOUND`,
        `${nouns[kind]} '${name}' is not configured; configured: ${names().join(", ")}`,
      );
    },
  };
}
