import type { z } from "zod";
import type { CallContext, ComponentDefinition } from "../component.ts";

/** The values of one secret by their keys. A secret of a single value has it under its own name. */
export type Secret = Readonly<Record<string, string>>;

/** Secrets that applications, and other components, read. Nothing of a value appears in a log or an error. */
export interface SecretStore extends AsyncDisposable {
  /** The secret as it is now; undefined when there is none of the name. */
  get(request: { readonly name: string }, call: CallContext): Promise<Secret | undefined>;
  /** Every secret of the store by its name. */
  getAll(call: CallContext): Promise<Readonly<Record<string, Secret>>>;
}

export const defineSecretStore = <Schema extends z.ZodObject>(
  definition: ComponentDefinition<SecretStore, Schema, never>,
): ComponentDefinition<SecretStore, Schema, never> => definition;
