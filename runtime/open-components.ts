import { setTimeout as delay } from "node:timers/promises";
import type { Catalog, ComponentOfKind } from "../components/catalog.ts";
import type { ComponentDefinition, ComponentKind, OpenContext } from "../components/component.ts";
import { RuntimeError } from "../components/error.ts";
import { type OpenedStore, type StoreSet, storeSet } from "./api/stores.ts";
import { ComponentStatuses } from "./component-statuses.ts";
import type { ComponentSettings, LoadedConfiguration } from "./config/load.ts";
import { secretResolver } from "./secret-settings.ts";
import type { Log } from "./telemetry/log.ts";
import type { Metrics } from "./telemetry/metrics.ts";

/** The components of each kind that are open, by name. One whose server did not answer at first comes later. */
type OpenedOfKind = { readonly [Kind in ComponentKind]: Map<string, OpenedStore<ComponentOfKind[Kind]>> };

/** The configured components; disposing closes them in reverse. */
export interface OpenComponents extends OpenedOfKind, AsyncDisposable {
  readonly statuses: ComponentStatuses;
}

const firstRetryMs = 500;
const longestRetryMs = 15_000;

/**
 * Opens all configured components, the secret stores first and the others side by side. One whose server does not answer is
 * tried again until it does, while the others serve. Rejects with the name of the first that is refused, with none left open
 * and none still opening.
 */
export async function openComponents(
  loaded: LoadedConfiguration,
  catalog: Catalog,
  { log, metrics }: { readonly log: Log; readonly metrics: Metrics },
): Promise<OpenComponents> {
  const opener = new ComponentOpener(loaded, catalog, { log, metrics });
  try {
    await opener.openAll();
  } catch (error) {
    await opener[Symbol.asyncDispose]();
    throw error;
  }
  return {
    ...opener.opened,
    statuses: opener.statuses,
    [Symbol.asyncDispose]: () => opener[Symbol.asyncDispose](),
  };
}

/** The stores of each kind, for the API over them. */
export function storeSets(components: OpenComponents): {
  readonly [Kind in ComponentKind]: StoreSet<ComponentOfKind[Kind]>;
} {
  const set = <S>(kind: ComponentKind, stores: ReadonlyMap<string, OpenedStore<S>>): StoreSet<S> =>
    storeSet(kind, stores, (name) => components.statuses.whyDown(kind, name));
  return {
    state: set("state", components.state),
    pubsub: set("pubsub", components.pubsub),
    config: set("config", components.config),
    lock: set("lock", components.lock),
    sequencer: set("sequencer", components.sequencer),
    secret: set("secret", components.secret),
    binding: set("binding", components.binding),
    object: set("object", components.object),
  };
}

class ComponentOpener implements AsyncDisposable {
  readonly #loaded: LoadedConfiguration;
  readonly #catalog: Catalog;
  readonly #log: Log;
  readonly #parts = new AsyncDisposableStack();
  readonly #shared: AsyncDisposable[] = [];
  readonly #stopping = new AbortController();
  readonly #retrying = new Set<Promise<void>>();
  readonly statuses: ComponentStatuses;
  readonly opened: OpenedOfKind = {
    state: new Map(),
    pubsub: new Map(),
    config: new Map(),
    lock: new Map(),
    sequencer: new Map(),
    secret: new Map(),
    binding: new Map(),
    object: new Map(),
  };

  constructor(
    loaded: LoadedConfiguration,
    catalog: Catalog,
    { log, metrics }: { readonly log: Log; readonly metrics: Metrics },
  ) {
    this.#loaded = loaded;
    this.#catalog = catalog;
    this.#log = log;
    this.statuses = new ComponentStatuses(metrics);
  }

  async openAll(): Promise<void> {
    await this.#openKinds("secret");
    await this.#openKinds("state", "pubsub", "config", "lock", "sequencer", "binding", "object");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping.abort();
    await Promise.all(this.#retrying);
    await this.#parts.disposeAsync();
  }

  async #openKinds(...kinds: readonly ComponentKind[]): Promise<void> {
    const opening = kinds.flatMap((kind) =>
      [...this.#loaded.components[kind]].map(([name, settings]) => this.#openOrRetry(kind, name, settings)),
    );
    await Promise.allSettled(opening);
    await Promise.all(opening);
  }

  /** Resolves when the component is open or waits for its server; rejects when it never will be. */
  async #openOrRetry<Kind extends ComponentKind>(kind: Kind, name: string, settings: ComponentSettings): Promise<void> {
    try {
      await this.#open(kind, name, settings);
    } catch (cause) {
      if (!(cause instanceof RuntimeError) || cause.code !== "UNAVAILABLE") throw notOpened(kind, name, cause);
      const log = this.#log.child({ component: name, kind });
      log.warn({ err: cause }, "a component cannot be opened yet; it is tried again");
      this.statuses.of(kind, name).down(cause.message);
      const retrying = this.#retry(kind, name, settings, log).finally(() => this.#retrying.delete(retrying));
      this.#retrying.add(retrying);
    }
  }

  async #retry<Kind extends ComponentKind>(
    kind: Kind,
    name: string,
    settings: ComponentSettings,
    log: Log,
  ): Promise<void> {
    const { signal } = this.#stopping;
    for (let waitMs = firstRetryMs; !signal.aborted; waitMs = Math.min(2 * waitMs, longestRetryMs)) {
      await delay(waitMs * (0.5 + Math.random() / 2), undefined, { signal }).catch(() => undefined);
      if (signal.aborted) return;
      try {
        await this.#open(kind, name, settings);
        log.info("the component is open");
        return;
      } catch (error) {
        this.statuses.of(kind, name).down(error instanceof Error ? error.message : String(error));
        log.debug({ err: error }, "a component still cannot be opened");
      }
    }
  }

  async #open<Kind extends ComponentKind>(
    kind: Kind,
    name: string,
    { type, keyPrefix = "", allow = [], settings }: ComponentSettings,
  ): Promise<void> {
    const definition = await this.#catalog[kind][type]?.();
    if (definition === undefined) throw new RangeError(`'${type}' is not a type of ${kind} component`);
    const store = await definition.open(settings, this.#contextOf(kind, name));
    this.#parts.use(store);
    const capabilities = capabilitiesOf(definition, settings);
    this.opened[kind].set(name, { name, type, store, keyPrefix, allow, capabilities });
    this.statuses.of(kind, name).up();
  }

  #contextOf(kind: ComponentKind, name: string): OpenContext {
    const secrets = storeSet("secret", this.opened.secret, (store) => this.statuses.whyDown("secret", store));
    return {
      name,
      dataDirectory: this.#loaded.configuration.data.directory,
      log: this.#log.child({ component: name, kind }),
      reachability: this.statuses.of(kind, name),
      secret: secretResolver(secrets, { kind, name, log: this.#log }),
      share: (type) => this.#share(type),
    };
  }

  /** Makes one part of each type, closed behind whatever is opened after it. */
  #share<Part extends AsyncDisposable>(type: new () => Part): Part {
    const known = this.#shared.find((part): part is Part => part instanceof type);
    if (known !== undefined) return known;
    const part = this.#parts.use(new type());
    this.#shared.push(part);
    return part;
  }
}

function capabilitiesOf(
  { capabilities, capabilitiesWith }: ComponentDefinition<AsyncDisposable>,
  settings: ComponentSettings["settings"],
): ReadonlySet<string> {
  return new Set(capabilitiesWith?.(settings) ?? capabilities);
}

function notOpened(kind: ComponentKind, name: string, cause: unknown): RuntimeError {
  const why = cause instanceof Error ? cause.message : String(cause);
  const message = `the ${kind} component '${name}' cannot be opened: ${why}`;
  return new RuntimeError("FAILED_PRECONDITION", "COMPONENT_NOT_OPENED", message, { cause });
}
