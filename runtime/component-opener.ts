import type { Catalog, ComponentOfKind } from "../components/catalog.ts";
import type { ComponentDefinition, ComponentKind, Reachability } from "../components/component.ts";
import type { SecretStore } from "../components/secret/secret-store.ts";
import type { OpenedStore, StoreSet } from "./api/stores.ts";
import type { ComponentSettings } from "./config/load.ts";
import { secretResolver } from "./secret-settings.ts";
import type { Log } from "./telemetry/log.ts";

/** A component that is open, in service or not yet. */
export interface OpenComponent<Kind extends ComponentKind = ComponentKind> {
  readonly kind: Kind;
  readonly name: string;
  readonly settings: ComponentSettings;
  readonly opened: OpenedStore<ComponentOfKind[Kind]>;
  readonly standing: Standing;
}

/** What one component says of its server: it counts while the component is the one in service under its name. */
export class Standing implements Reachability {
  #audience: Reachability | undefined;
  #trouble: string | undefined;

  down(why: string): void {
    this.#trouble = why;
    this.#audience?.down(why);
  }

  up(): void {
    this.#trouble = undefined;
    this.#audience?.up();
  }

  /** From now on it is heard; what it said last is said again. Undefined: nobody listens any more. */
  tell(audience: Reachability | undefined): void {
    this.#audience = audience;
    if (this.#trouble === undefined) audience?.up();
    else audience?.down(this.#trouble);
  }
}

/** Opens components by their definitions. Disposing closes what they share, so they are closed before. */
export class ComponentOpener implements AsyncDisposable {
  readonly #catalog: Catalog;
  readonly #dataDirectory: string;
  readonly #log: Log;
  readonly #shared: AsyncDisposable[] = [];

  constructor(catalog: Catalog, dataDirectory: string, log: Log) {
    this.#catalog = catalog;
    this.#dataDirectory = dataDirectory;
    this.#log = log;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const part of this.#shared.splice(0).reverse()) await part[Symbol.asyncDispose]();
  }

  logOf(kind: ComponentKind, name: string): Log {
    return this.#log.child({ component: name, kind });
  }

  /** Rejects with what the component says: UNAVAILABLE when its server does not answer. */
  async open<Kind extends ComponentKind>(
    kind: Kind,
    name: string,
    settings: ComponentSettings,
    secrets: StoreSet<SecretStore>,
  ): Promise<OpenComponent<Kind>> {
    const definition = await this.#catalog[kind][settings.type]?.();
    if (definition === undefined) throw new RangeError(`'${settings.type}' is not a type of ${kind} component`);
    const standing = new Standing();
    const store = await definition.open(settings.settings, {
      name,
      dataDirectory: this.#dataDirectory,
      log: this.logOf(kind, name),
      reachability: standing,
      secret: secretResolver(secrets, { kind, name, log: this.#log }),
      share: (type) => this.#share(type),
    });
    const capabilities = capabilitiesOf(definition, settings.settings);
    return { kind, name, settings, opened: openedStore(name, store, capabilities, settings), standing };
  }

  /** Makes one part of each type. */
  #share<Part extends AsyncDisposable>(type: new () => Part): Part {
    const known = this.#shared.find((part): part is Part => part instanceof type);
    if (known !== undefined) return known;
    const part = new type();
    this.#shared.push(part);
    return part;
  }
}

/** The same open component under settings that differ only in what belongs to the API. */
export function relabelled(component: OpenComponent, settings: ComponentSettings): OpenComponent {
  const { name, store, capabilities } = component.opened;
  return { ...component, settings, opened: openedStore(name, store, capabilities, settings) };
}

function openedStore<S>(
  name: string,
  store: S,
  capabilities: ReadonlySet<string>,
  { type, keyPrefix = "", allow = [] }: ComponentSettings,
): OpenedStore<S> {
  return { name, type, store, keyPrefix, allow, capabilities };
}

function capabilitiesOf(
  { capabilities, capabilitiesWith }: ComponentDefinition<AsyncDisposable>,
  settings: ComponentSettings["settings"],
): ReadonlySet<string> {
  return new Set(capabilitiesWith?.(settings) ?? capabilities);
}
