import { Status } from "./abi.ts";

const maxDeclared = 1_000;
const longestName = 1_024;

/** What a guest said about the properties that it sets (`declare_property`). */
export class DeclaredProperties {
  #readOnly: Map<string, boolean> | undefined = undefined;

  /** Declares a property; the status when that is not possible. */
  add(name: string, isReadOnly: boolean): Status | undefined {
    this.#readOnly ??= new Map();
    if (this.#readOnly.has(name) || name.length > longestName) return Status.BAD_ARGUMENT;
    if (this.#readOnly.size >= maxDeclared) return Status.INTERNAL_FAILURE;
    this.#readOnly.set(name, isReadOnly);
    return undefined;
  }

  /** Whether a stream may have the property set only once. */
  isReadOnly(path: readonly string[]): boolean {
    return this.#readOnly?.get(path.join("\0")) === true;
  }
}
