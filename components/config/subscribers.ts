import type { ComponentLog } from "../component.ts";
import { RuntimeError } from "../error.ts";
import type { ConfigChange, ConfigSelection, ConfigStore } from "./config-store.ts";

type Listener = Parameters<ConfigStore["subscribe"]>[1];

/** Who wants to be told of which items, for stores that see their own changes. */
export class ConfigSubscribers {
  readonly #store: string;
  readonly #log: ComponentLog;
  readonly #subscribers = new Set<{ readonly selection: ConfigSelection; readonly listener: Listener }>();

  constructor(store: string, log: ComponentLog) {
    this.#store = store;
    this.#log = log;
  }

  add(selection: ConfigSelection, listener: Listener): AsyncDisposable {
    const subscriber = { selection, listener };
    this.#subscribers.add(subscriber);
    return {
      [Symbol.asyncDispose]: async () => {
        this.#subscribers.delete(subscriber);
      },
    };
  }

  /** Tells each subscriber those of the changes that it selected. One that throws does not keep them from the others. */
  tell(appId: string, changes: readonly ConfigChange[]): void {
    for (const { selection, listener } of [...this.#subscribers]) {
      const wanted = changes.filter((change) => isSelected(selection, appId, change));
      if (wanted.length > 0) this.#attempt(() => listener.changed(wanted));
    }
  }

  /** Tells those who are still here that nothing more will come. */
  close(): void {
    const message = `configuration store '${this.#store}' was closed; subscribe again`;
    const error = new RuntimeError("UNAVAILABLE", "CONFIG_STORE_CLOSED", message);
    const left = [...this.#subscribers];
    this.#subscribers.clear();
    for (const { listener } of left) this.#attempt(() => listener.lost(error));
  }

  #attempt(tell: () => void): void {
    try {
      tell();
    } catch (error) {
      this.#log.error({ err: error, store: this.#store }, "a subscriber to configuration failed");
    }
  }
}

function isSelected(selection: ConfigSelection, appId: string, change: ConfigChange): boolean {
  return (
    selection.appId === appId &&
    selection.group === change.group &&
    selection.label === change.label &&
    (selection.keys.length === 0 || selection.keys.includes(change.key))
  );
}
