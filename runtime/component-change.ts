import { isDeepStrictEqual } from "node:util";
import type { ComponentKind } from "../components/component.ts";
import { RuntimeError } from "../components/error.ts";
import type { SecretStore } from "../components/secret/secret-store.ts";
import { messageOf } from "../components/thrown.ts";
import { type OpenedStore, type StoreSet, storeSet } from "./api/stores.ts";
import { type OpenComponent, relabelled } from "./component-opener.ts";
import type { ComponentSettings, LoadedConfiguration } from "./config/load.ts";
import type { OpenComponents } from "./open-components.ts";

/** Components that are open aside, until they are put in service or given up by disposing. */
export interface ComponentChange extends AsyncDisposable {
  /** How many components it touches. */
  readonly size: number;
  /**
   * Puts them in service, in place of those that they replace, and takes out what is configured no more. Rejects, with
   * everything as it was, when one cannot take over what only one can hold, such as a database file.
   */
  commit(): Promise<void>;
}

/** A component as it should be. */
interface Wanted {
  readonly kind: ComponentKind;
  readonly name: string;
  readonly settings: ComponentSettings;
}

const otherKinds = ["state", "pubsub", "config", "lock", "sequencer", "binding", "object"] as const;

/** Opens aside what `next` has and is not in service: the secret stores first and the others side by side. */
export async function openedAside(components: OpenComponents, next: LoadedConfiguration): Promise<ComponentChange> {
  const change = new OpenedAside(components, next);
  try {
    await change.open(["secret"]);
    await change.open(otherKinds);
  } catch (error) {
    await change[Symbol.asyncDispose]();
    throw error;
  }
  return change;
}

class OpenedAside implements ComponentChange {
  readonly #components: OpenComponents;
  readonly #next: LoadedConfiguration;
  readonly #removed: readonly Pick<Wanted, "kind" | "name">[];
  readonly #opened: OpenComponent[] = [];
  /** Those that differ only in what belongs to the API, or go back to what is in service. */
  readonly #kept: Wanted[] = [];
  /** Those whose server does not answer. */
  readonly #away: (Wanted & { readonly trouble: RuntimeError })[] = [];
  /** Those that can be opened once what is in service has let go. */
  readonly #successors: Wanted[] = [];

  constructor(components: OpenComponents, next: LoadedConfiguration) {
    this.#components = components;
    this.#next = next;
    this.#removed = [...components.all()]
      .filter(([kind, name]) => !next.components[kind].has(name))
      .map(([kind, name]) => ({ kind, name }));
  }

  get size(): number {
    return [this.#removed, this.#opened, this.#kept, this.#away, this.#successors].reduce(
      (sum, one) => sum + one.length,
      0,
    );
  }

  async open(kinds: readonly ComponentKind[]): Promise<void> {
    const opening = kinds.flatMap((kind) =>
      [...this.#next.components[kind]].map(([name, settings]) => this.#open({ kind, name, settings })),
    );
    await Promise.allSettled(opening);
    await Promise.all(opening);
  }

  async commit(): Promise<void> {
    const components = this.#components;
    if (this.#successors.length > 0) await this.#succeed();
    for (const { kind, name, settings } of this.#kept) {
      const component = components.inService(kind, name);
      if (component !== undefined) components.put(relabelled(component, settings));
    }
    for (const component of this.#opened.splice(0)) components.put(component);
    for (const { kind, name, settings, trouble } of this.#away) components.awaitServer(kind, name, settings, trouble);
    for (const { kind, name } of this.#removed) void components.remove(kind, name);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const opened = this.#opened.splice(0).reverse();
    await Promise.allSettled(opened.map(({ opened: { store } }) => store[Symbol.asyncDispose]()));
  }

  /** Resolves when the component is open, or it is known what it waits for. */
  async #open(wanted: Wanted): Promise<void> {
    const { kind, name, settings } = wanted;
    if (isDeepStrictEqual(this.#components.configured(kind, name), settings)) return;
    const current = this.#components.inService(kind, name)?.settings;
    if (current?.type === settings.type && isDeepStrictEqual(current.settings, settings.settings)) {
      this.#kept.push(wanted);
      return;
    }
    try {
      this.#opened.push(await this.#components.opener.open(kind, name, settings, this.#secrets()));
    } catch (cause) {
      if (cause instanceof RuntimeError && cause.code === "UNAVAILABLE") this.#away.push({ ...wanted, trouble: cause });
      else if (this.#mayBeLetGo(wanted, cause)) this.#successors.push(wanted);
      else throw notOpened(wanted, cause);
    }
  }

  /** Whether what keeps it from being opened may be held by what it replaces, or by what is removed. */
  #mayBeLetGo({ kind, name }: Wanted, cause: unknown): boolean {
    const isHeld = cause instanceof RuntimeError && cause.reason.endsWith("_IN_USE");
    return isHeld && (this.#removed.length > 0 || this.#components.inService(kind, name) !== undefined);
  }

  /** Takes out of service what holds what others need, and opens those; when one cannot be opened, all is as before. */
  async #succeed(): Promise<void> {
    const components = this.#components;
    const leaving = [...this.#removed, ...this.#successors]
      .map(({ kind, name }) => components.inService(kind, name))
      .filter((component) => component !== undefined);
    await Promise.all(
      leaving.map(({ kind, name }) => {
        const gone = components.remove(kind, name);
        components.statuses.of(kind, name).down("it is being replaced");
        return gone;
      }),
    );
    const opened: OpenComponent[] = [];
    try {
      for (const { kind, name, settings } of this.#successors)
        opened.push(await this.#reopen({ kind, name, settings }, this.#secrets()));
    } catch (error) {
      for (const {
        opened: { store },
      } of opened)
        await store[Symbol.asyncDispose]();
      for (const component of leaving) components.put(await this.#reopen(component, components.storesOf("secret")));
      throw error;
    }
    for (const component of opened) components.put(component);
    for (const { kind, name } of this.#removed) components.statuses.forget(kind, name);
  }

  async #reopen({ kind, name, settings }: Wanted, secrets: StoreSet<SecretStore>): Promise<OpenComponent> {
    try {
      return await this.#components.opener.open(kind, name, settings, secrets);
    } catch (cause) {
      throw notOpened({ kind, name, settings }, cause);
    }
  }

  /** The secret stores as they will be. */
  #secrets(): StoreSet<SecretStore> {
    const stores = new Map<string, OpenedStore<SecretStore>>();
    const inService = this.#components.storesOf("secret");
    for (const name of this.#next.components.secret.keys()) {
      const aside = this.#opened.find(
        (one): one is OpenComponent<"secret"> => one.kind === "secret" && one.name === name,
      );
      if (aside !== undefined) stores.set(name, aside.opened);
      else if (inService.names().includes(name)) stores.set(name, inService.find(name));
    }
    const away = (name: string): string | undefined =>
      this.#away.find((one) => one.kind === "secret" && one.name === name)?.trouble.message;
    return storeSet("secret", stores, (name) => away(name) ?? this.#components.statuses.whyDown("secret", name));
  }
}

function notOpened({ kind, name }: Wanted, cause: unknown): RuntimeError {
  const message = `the ${kind} component '${name}' cannot be opened: ${messageOf(cause)}`;
  return new RuntimeError("FAILED_PRECONDITION", "COMPONENT_NOT_OPENED", message, { cause });
}
