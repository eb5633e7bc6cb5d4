import type { ConfigChange, ConfigSelection, ConfigStore } from "./config-store.ts";

type Listener = Parameters<ConfigStore["subscribe"]>[1];

/** Who wants to be told of which items, for stores that see their own changes. */
export class ConfigSubscribers {
  readonly #subscribers = new Set<{ readonly selection: ConfigSelection; readonly listener: Listener }>();

  add(selection: ConfigSelection, listener: Listener): AsyncDisposable {
    const subscriber = { selection, listener };
    this.#subscribers.add(subscriber);
    return {
      [Symbol.asyncDispose]: async () => {
        this.#subscribers.delete(subscriber);
      },
    };
  }

  /** Tells each subscriber those of the changes that it selected. */
  tell(appId: string, changes: readonly ConfigChange[]): void {
    for (const { selection, listener } of this.#subscribers) {
      const wanted = changes.filter((change) => isSelected(selection, appId, change));
      if (wanted.length > 0) listener.changed(wanted);
    }
  }

  close(): void {
    this.#subscribers.clear();
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
