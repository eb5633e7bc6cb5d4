import type { ComponentKind, OpenContext } from "../components/component.ts";
import { RuntimeError } from "../components/error.ts";
import type { SecretStore } from "../components/secret/secret-store.ts";
import type { StoreSet } from "./api/stores.ts";
import type { Log } from "./telemetry/log.ts";

const longestMs = 10_000;

/**
 * Resolves what the settings of one component say of secrets, whatever applications may read, without the line break that
 * editors put at the end of a file. Rejects with UNAVAILABLE while the secret store is not open yet.
 */
export function secretResolver(
  stores: StoreSet<SecretStore>,
  { kind, name: component, log }: { readonly kind: ComponentKind; readonly name: string; readonly log: Log },
): OpenContext["secret"] {
  return async (setting) => {
    if (typeof setting === "string") return setting;
    const { store, name, key = name } = setting.secretKeyRef;
    const opened = stores.find(store);
    const signal = AbortSignal.timeout(longestMs);
    const address = `component:${kind}/${component}`;
    const secret = await opened.store.get({ name }, { signal, peer: { address }, appId: "", log });
    const value = secret !== undefined && Object.hasOwn(secret, key) ? secret[key] : undefined;
    if (value !== undefined) return value.replace(/\r?\n$/, "");
    const message = `secret store '${store}' has no secret '${name}' with the key '${key}'`;
    throw new RuntimeError("FAILED_PRECONDITION", "SECRET_NOT_FOUND", message);
  };
}
