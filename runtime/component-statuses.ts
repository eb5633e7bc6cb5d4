import type { ComponentKind, Reachability } from "../components/component.ts";

/** What the components say of their servers. Those that never said anything are there. */
export class ComponentStatuses {
  readonly #down = new Map<string, string>();

  /** Where one component tells its own. */
  of(kind: ComponentKind, name: string): Reachability {
    const id = idOf(kind, name);
    return {
      down: (why) => void this.#down.set(id, why),
      up: () => void this.#down.delete(id),
    };
  }

  /** Why the component cannot serve; undefined when it can. */
  whyDown(kind: ComponentKind, name: string): string | undefined {
    return this.#down.get(idOf(kind, name));
  }

  /** Those that cannot serve, as `kind/name`, with why. */
  get down(): ReadonlyMap<string, string> {
    return this.#down;
  }
}

const idOf = (kind: ComponentKind, name: string): string => `${kind}/${name}`;
