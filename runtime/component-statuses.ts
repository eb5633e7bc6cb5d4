import type { ComponentKind, Reachability } from "../components/component.ts";
import type { Metrics } from "./telemetry/metrics.ts";

/** What the components say of their servers. Those that never said anything are there. */
export class ComponentStatuses {
  readonly #down = new Map<string, string>();
  readonly #isUp;

  constructor(metrics: Metrics) {
    const help = "1 while the component can serve, 0 while its server is away.";
    this.#isUp = metrics.gauge("outrigger_component_up", help, ["kind", "name"]);
  }

  /** Where one component tells its own. */
  of(kind: ComponentKind, name: string): Reachability {
    const id = idOf(kind, name);
    return {
      down: (why) => {
        this.#down.set(id, why);
        this.#isUp.labels(kind, name).set(0);
      },
      up: () => {
        this.#down.delete(id);
        this.#isUp.labels(kind, name).set(1);
      },
    };
  }

  /** The component is configured no more. */
  forget(kind: ComponentKind, name: string): void {
    this.#down.delete(idOf(kind, name));
    this.#isUp.remove(kind, name);
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
