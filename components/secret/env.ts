import { z } from "zod";
import type { CallContext } from "../component.ts";
import { defineSecretStore, type Secret, type SecretStore } from "./secret-store.ts";

/** Secrets in the environment variables of the sidecar. */
export const envSecretStore = defineSecretStore({
  type: "env",
  capabilities: [],
  config: z.strictObject({
    prefix: z
      .string()
      .regex(/^[^=\0]*$/, "expected the beginning of names of environment variables")
      .default("")
      .describe(
        "Only variables whose names begin with it are secrets, and what follows it is the secret's name; default none: every variable is one",
      ),
  }),
  open: async ({ prefix }) => new EnvSecretStore(prefix),
});

class EnvSecretStore implements SecretStore {
  readonly #prefix: string;

  constructor(prefix: string) {
    this.#prefix = prefix;
  }

  async get({ name }: { readonly name: string }, { signal }: CallContext): Promise<Secret | undefined> {
    signal.throwIfAborted();
    // To the system a name ends at the first NUL.
    if (name === "" || /[=\0]/.test(name)) return undefined;
    const variable = this.#prefix + name;
    const value = Object.hasOwn(process.env, variable) ? process.env[variable] : undefined;
    return value === undefined ? undefined : secretOf(name, value);
  }

  async getAll({ signal }: CallContext): Promise<Readonly<Record<string, Secret>>> {
    signal.throwIfAborted();
    const all = Object.entries(process.env).flatMap(([variable, value]) => {
      if (value === undefined || !variable.startsWith(this.#prefix) || variable === this.#prefix) return [];
      const name = variable.slice(this.#prefix.length);
      return [[name, secretOf(name, value)] as const];
    });
    return Object.fromEntries(all);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // The environment stays.
  }
}

const secretOf = (name: string, value: string): Secret => Object.fromEntries([[name, value]]);
