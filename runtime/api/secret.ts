import type { CallContext } from "../../components/component.ts";
import { RuntimeError } from "../../components/error.ts";
import type { Secret, SecretStore } from "../../components/secret/secret-store.ts";
import type { OpenedStore, StoreSet } from "./stores.ts";

/** The secrets building block: what the store's `allow` does not name is PERMISSION_DENIED, whether there is such a secret or not. */
export interface SecretBlock {
  /** NOT_FOUND when there is no secret of the name. */
  get(request: { readonly store: string; readonly name: string }, call: CallContext): Promise<Secret>;
  /** The secrets that may be read, and no others, by their names. */
  getAll(request: { readonly store: string }, call: CallContext): Promise<Readonly<Record<string, Secret>>>;
}

/** The block over the stores that are open when a call comes. */
export function createSecrets(stores: StoreSet<SecretStore>): SecretBlock {
  return {
    async get({ store, name }, call) {
      const opened = stores.find(store);
      if (name === "") {
        throw new RuntimeError("INVALID_ARGUMENT", "KEY_EMPTY", `the name of the secret is empty; give one`);
      }
      if (!isAllowed(opened, name)) throw notAllowed(store, name);
      const secret = await opened.store.get({ name }, call);
      if (secret !== undefined) return secret;
      throw new RuntimeError("NOT_FOUND", "SECRET_NOT_FOUND", `secret store '${store}' has no secret '${name}'`);
    },

    async getAll({ store }, call) {
      const opened = stores.find(store);
      if (opened.allow === undefined || opened.allow.length === 0) return {};
      const all = Object.entries(await opened.store.getAll(call));
      return Object.fromEntries(all.filter(([name]) => isAllowed(opened, name)));
    },
  };
}

function isAllowed({ allow = [] }: OpenedStore<SecretStore>, name: string): boolean {
  return allow.some((one) => (one.endsWith("*") ? name.startsWith(one.slice(0, -1)) : name === one));
}

function notAllowed(store: string, name: string): RuntimeError {
  const message = `applications may not read the secret '${name}' of secret store '${store}'; components.secret.${store}.allow lets them: allow: ['${name}']`;
  return new RuntimeError("PERMISSION_DENIED", "SECRET_NOT_ALLOWED", message, { details: { store, name } });
}
