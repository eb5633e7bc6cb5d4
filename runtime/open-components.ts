import type { Catalog, ComponentOfKind } from "../components/catalog.ts";
import type { ComponentKind, OpenContext } from "../components/component.ts";
import { RuntimeError } from "../components/error.ts";
import type { OpenedStore } from "./api/stores.ts";
import type { ComponentSettings, LoadedConfiguration } from "./config/load.ts";
import type { Log } from "./telemetry/log.ts";

/** The open components of each kind, by name; disposing closes them in reverse. */
export type OpenComponents = AsyncDisposable & {
  readonly [Kind in ComponentKind]: ReadonlyMap<string, OpenedStore<ComponentOfKind[Kind]>>;
};

/**
 * Opens all configured components, side by side; rejects with the name of the first that cannot be, with none left open and
 * none still opening.
 */
export async function openComponents(loaded: LoadedConfiguration, catalog: Catalog, log: Log): Promise<OpenComponents> {
  await using opening = new AsyncDisposableStack();
  const share = sharing(opening);
  const openOne = async <Kind extends ComponentKind>(
    kind: Kind,
    name: string,
    { type, keyPrefix = "", settings }: ComponentSettings,
  ): Promise<OpenedStore<ComponentOfKind[Kind]>> => {
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
    return { name, store: opening.use(store), keyPrefix };
  };
  const open = async <Kind extends ComponentKind>(
    kind: Kind,
  ): Promise<ReadonlyMap<string, OpenedStore<ComponentOfKind[Kind]>>> => {
    const stores = [...loaded.components[kind]].map(([name, settings]) => openOne(kind, name, settings));
    await Promise.allSettled(stores);
    return new Map((await Promise.all(stores)).map((store) => [store.name, store]));
  };
  const kinds = [open("state"), open("pubsub"), open("config"), open("lock"), open("sequencer")] as const;
  await Promise.allSettled(kinds);
  const [state, pubsub, config, lock, sequencer] = await Promise.all(kinds);
  const owned = opening.move();
  return { state, pubsub, config, lock, sequencer, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

/** Makes one part of each type, closed behind whatever is opened after it. */
function sharing(opening: AsyncDisposableStack): NonNullable<OpenContext["share"]> {
  const shared: AsyncDisposable[] = [];
  return <Part extends AsyncDisposable>(type: new () => Part): Part => {
    const known = shared.find((part): part is Part => part instanceof type);
    if (known !== undefined) return known;
    const part = opening.use(new type());
    shared.push(part);
    return part;
  };
}
