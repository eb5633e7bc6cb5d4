import type { ComponentKind, OpenContext } from "../components/component.ts";
import { RuntimeError } from "../components/error.ts";
import type { SecretStore } from "../components/secret/secret-store.ts";
import type { OpenedStore } from "./api/stores.ts";
import type { Log } from "./telemetry/log.ts";

const longestMs = 10_000;

/** Resolves what the settings of one component say of secrets, from the secret stores that are open. */
export function secretResolver(
  stores: ReadonlyMap<string, OpenedStore<SecretStore>>,
  { kind, name: component, log }: { readonly kind: ComponentKind; readonly name: string; readonly log: Log },
): OpenContext["secret"] {
  return async (setting) => {
    if (typeof setting === "string") return setting;
    const { store, name, key = name } = setting.secretKeyRef;
    const opened = stores.get(store);
    if (opened === undefined) throw refused(`there is no secret store '${store}'; add it under components.secret`);
    const signal = AbortSignal.timeout(longestMs);
    const address = `component:${kind}/${component}`;
    const secret = await opened.store.get({ name }, { signal, peer: { address }, appId: "", log });
    const value = secret !== undefined && Object.hasOwn(secret, key) ? secret[key] : undefined;
    if (value === undefined) throw refused(`the secret store '${store}' has no secret '${name}' with the key '${key}'`);
    return value;
  };
}

const refused = (message: string): RuntimeError => new RuntimeError("FAILED_PRECONDITION", "SECRET_NOT_FOUND", message);
