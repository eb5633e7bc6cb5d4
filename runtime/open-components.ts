import { setTimeout as delay } from "node:timers/promises";
import type { Catalog, ComponentOfKind } from "../components/catalog.ts";
import type { ComponentKind } from "../components/component.ts";
import type { RuntimeError } from "../components/error.ts";
import type { SecretStore } from "../components/secret/secret-store.ts";
import { messageOf } from "../components/thrown.ts";
import { type OpenedStore, StoreChanges, type StoreSet, storeSet } from "./api/stores.ts";
import { type ComponentChange, openedAside } from "./component-change.ts";
import { ComponentOpener, type OpenComponent } from "./component-opener.ts";
import { ComponentStatuses } from "./component-statuses.ts";
import type { ComponentSettings, LoadedConfiguration } from "./config/load.ts";
import { CallsInFlight } from "./grpc/calls-in-flight.ts";
import type { Log } from "./telemetry/log.ts";
import type { Metrics } from "./telemetry/metrics.ts";

/** The stores that are open, by name. One whose server did not answer at first comes later. */
type OpenedOfKind = { readonly [Kind in ComponentKind]: Map<string, OpenedStore<ComponentOfKind[Kind]>> };

export interface ComponentTelemetry {
  readonly log: Log;
  readonly metrics: Metrics;
  /** The calls that may be using a component. */
  readonly calls?: CallsInFlight;
  /** Longest time that calls under way may go on on a component that was replaced; default 30 seconds. */
  readonly drainMs?: number;
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
  telemetry: ComponentTelemetry,
): Promise<OpenComponents> {
  const components = new OpenComponents(loaded.configuration.data.directory, catalog, telemetry);
  try {
    await (await components.change(loaded)).commit();
  } catch (error) {
    await components[Symbol.asyncDispose]();
    throw error;
  }
  return components;
}

/** The components in service. Disposing closes them, those that were opened last first. */
export class OpenComponents implements AsyncDisposable {
  readonly statuses: ComponentStatuses;
  readonly opener: ComponentOpener;
  readonly #log: Log;
  readonly #calls: CallsInFlight;
  readonly #drainMs: number;
  readonly #stores: OpenedOfKind = {
    state: new Map(),
    pubsub: new Map(),
    config: new Map(),
    lock: new Map(),
    sequencer: new Map(),
    secret: new Map(),
    binding: new Map(),
    object: new Map(),
  };
  /** Who goes on with the stores of a kind. */
  readonly #changes = new Map<ComponentKind, StoreChanges>();
  /** In service, by id. */
  readonly #open = new Map<string, OpenComponent>();
  /** As configured, open or not, by id. */
  readonly #configured = new Map<string, ComponentSettings>();
  /** Those whose server is waited for, by id. */
  readonly #awaited = new Map<string, AbortController>();
  readonly #tasks = new Set<Promise<void>>();
  readonly #stopping = new AbortController();

  constructor(dataDirectory: string, catalog: Catalog, telemetry: ComponentTelemetry) {
    const { log, metrics, calls = new CallsInFlight(), drainMs = 30_000 } = telemetry;
    this.statuses = new ComponentStatuses(metrics);
    this.opener = new ComponentOpener(catalog, dataDirectory, log);
    this.#log = log;
    this.#calls = calls;
    this.#drainMs = drainMs;
  }

  /** The stores of a kind, for the API over them. */
  storesOf<Kind extends ComponentKind>(kind: Kind): StoreSet<ComponentOfKind[Kind]> {
    const whyAbsent = (name: string): string | undefined => this.statuses.whyDown(kind, name);
    return storeSet<ComponentOfKind[Kind]>(kind, this.#stores[kind], whyAbsent, this.#changesOf(kind));
  }

  /** What is configured under that name, open or not. */
  configured(kind: ComponentKind, name: string): ComponentSettings | undefined {
    return this.#configured.get(idOf(kind, name));
  }

  /** What is in service under that name. */
  inService(kind: ComponentKind, name: string): OpenComponent | undefined {
    return this.#open.get(idOf(kind, name));
  }

  /**
   * Opens aside what differs from what is in service, and gives the change that puts it there. Rejects with the first that is
   * refused; then nothing of it is left.
   */
  change(next: LoadedConfiguration): Promise<ComponentChange> {
    return openedAside(this, next);
  }

  /** Every component that is configured now. */
  *all(): Generator<readonly [kind: ComponentKind, name: string]> {
    for (const id of this.#configured.keys()) {
      const [kind, ...name] = id.split("/");
      yield [kind as ComponentKind, name.join("/")];
    }
  }

  /** Puts the component in service; what had its name is left by everybody, drained and closed. */
  put(component: OpenComponent): void {
    const { kind, name, settings } = component;
    const replaced = this.#swap(component);
    this.#configured.set(idOf(kind, name), settings);
    if (replaced !== undefined && replaced.opened.store === component.opened.store) return;
    component.standing.tell(this.statuses.of(kind, name));
    void this.#track(
      this.#changesOf(kind)
        .tell(name)
        .then(() => replaced && this.#retire(replaced)),
    );
  }

  /** Takes the component out of service; resolves when it is closed. */
  async remove(kind: ComponentKind, name: string): Promise<void> {
    const id = idOf(kind, name);
    const removed = this.#open.get(id);
    this.#forget(id);
    this.#configured.delete(id);
    this.#open.delete(id);
    this.#stores[kind].delete(name);
    removed?.standing.tell(undefined);
    this.statuses.forget(kind, name);
    await this.#track(
      this.#changesOf(kind)
        .tell(name)
        .then(() => removed && this.#retire(removed)),
    );
  }

  /** Opens the component when its server answers, and puts it in service then; until then what has its name goes on. */
  awaitServer(kind: ComponentKind, name: string, settings: ComponentSettings, trouble: RuntimeError): void {
    const id = idOf(kind, name);
    const log = this.opener.logOf(kind, name);
    this.#forget(id);
    this.#configured.set(id, settings);
    log.warn({ err: trouble }, "a component cannot be opened yet; it is tried again");
    if (!this.#open.has(id)) this.statuses.of(kind, name).down(trouble.message);
    const awaited = new AbortController();
    this.#awaited.set(id, awaited);
    void this.#track(this.#retry(kind, name, settings, AbortSignal.any([awaited.signal, this.#stopping.signal])));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping.abort();
    while (this.#tasks.size > 0) await Promise.all(this.#tasks);
    for (const { opened } of [...this.#open.values()].reverse()) await opened.store[Symbol.asyncDispose]();
    this.#open.clear();
    for (const stores of Object.values(this.#stores)) stores.clear();
    await this.opener[Symbol.asyncDispose]();
  }

  async #retry(kind: ComponentKind, name: string, settings: ComponentSettings, signal: AbortSignal): Promise<void> {
    const log = this.opener.logOf(kind, name);
    for (let waitMs = firstRetryMs; ; waitMs = Math.min(2 * waitMs, longestRetryMs)) {
      await delay(waitMs * (0.5 + Math.random() / 2), undefined, { signal }).catch(() => undefined);
      if (signal.aborted) return;
      try {
        const component = await this.opener.open(kind, name, settings, this.#secrets());
        if (signal.aborted) return await component.opened.store[Symbol.asyncDispose]();
        this.#awaited.delete(idOf(kind, name));
        this.put(component);
        log.info("the component is open");
        return;
      } catch (error) {
        if (!this.#open.has(idOf(kind, name))) this.statuses.of(kind, name).down(messageOf(error));
        log.debug({ err: error }, "a component still cannot be opened");
      }
    }
  }

  #secrets(): StoreSet<SecretStore> {
    return this.storesOf("secret");
  }

  #swap<Kind extends ComponentKind>(component: OpenComponent<Kind>): OpenComponent | undefined {
    const { kind, name, opened } = component;
    const id = idOf(kind, name);
    const replaced = this.#open.get(id);
    this.#forget(id);
    if (replaced?.opened.store !== opened.store) replaced?.standing.tell(undefined);
    this.#open.delete(id);
    this.#open.set(id, component);
    this.#stores[kind].set(name, opened);
    return replaced;
  }

  /** Waits for its server no more. */
  #forget(id: string): void {
    this.#awaited.get(id)?.abort();
    this.#awaited.delete(id);
  }

  /** Lets the calls that are under way end, and closes. */
  async #retire({ kind, name, opened }: OpenComponent): Promise<void> {
    const stopped = new Promise<void>((resolve) => {
      if (this.#stopping.signal.aborted) resolve();
      this.#stopping.signal.addEventListener("abort", () => resolve(), { once: true });
    });
    await Promise.race([this.#calls.settled(this.#drainMs), stopped]);
    await opened.store[Symbol.asyncDispose]();
    this.opener.logOf(kind, name).info({ type: opened.type }, "a component that is no longer in service is closed");
  }

  #track(task: Promise<void>): Promise<void> {
    const tracked: Promise<void> = task
      .catch((error: unknown) => this.#log.error({ err: error }, "a component could not be closed"))
      .finally(() => this.#tasks.delete(tracked));
    this.#tasks.add(tracked);
    return tracked;
  }

  #changesOf(kind: ComponentKind): StoreChanges {
    const known = this.#changes.get(kind) ?? new StoreChanges();
    this.#changes.set(kind, known);
    return known;
  }
}

const idOf = (kind: ComponentKind, name: string): string => `${kind}/${name}`;
