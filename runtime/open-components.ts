import type { Catalog, ComponentOfKind } from "../components/catalog.ts";
import type { ComponentKind } from "../components/component.ts";
import { RuntimeError } from "../components/error.ts";
import type { OpenedStore } from "./api/stores.ts";
import type { LoadedConfiguration } from "./config/load.ts";
import type { Log } from "./telemetry/log.ts";

/** The open components of each kind, by name; disposing closes them in reverse. */
export type OpenComponents = AsyncDisposable & {
  readonly [Kind in ComponentKind]: ReadonlyMap<string, OpenedStore<ComponentOfKind[Kind]>>;
};

/** Opens every configured component, one after the other; rejects with the name of the one that cannot be, with none left open. */
export async function openComponents(loaded: LoadedConfiguration, catalog: Catalog, log: Log): Promise<OpenComponents> {
  await using opening = new AsyncDisposableStack();
  const shared: AsyncDisposable[] = [];
  const share = <Part extends AsyncDisposable>(type: new () => Part): Part => {
    const known = shared.find((part): part is Part => part instanceof type);
    if (known !== undefined) return known;
    const part = opening.use(new type());
    shared.push(part);
    return part;
  };
  const open = async <Kind extends ComponentKind>(
    kind: Kind,
  ): Promise<Map<string, OpenedStore<ComponentOfKind[Kind]>>> => {
    const opened = new Map<string, OpenedStore<ComponentOfKind[Kind]>>();
    for (const [name, { type, keyPrefix = "", settings }] of loaded.components[kind]) {
      const definition = await catalog[kind][type]?.();
      if (definition === undefined) throw new RangeError(`'${type}' is not a type of ${kind} component`);
      const context = {
        name,
        dataDirectory: loaded.configuration.data.directory,
        log: log.child({ component: name, kind }),
        share,
      };
      const store = await definition.open(settings, context).catch((cause: unknown) => {
        const why = cause instanceof Error ? cause.message : String(cause);
        throw new RuntimeError(
          "UNAVAILABLE",
          "COMPONENT_NOT_OPENED",
          `the ${kind} component '${name}' cannot be opened: ${why}`,
          { cause },
        );
      });
      opened.set(name, { name, store: opening.use(store), keyPrefix });
    }
    return opened;
  };
  const components = {
    state: await open("state"),
    pubsub: await open("pubsub"),
    config: await open("config"),
    lock: await open("lock"),
    sequencer: await open("sequencer"),
  };
  const owned = opening.move();
  return { ...components, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}
