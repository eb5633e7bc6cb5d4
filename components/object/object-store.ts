import type { z } from "zod";
import type { CallContext, ComponentDefinition } from "../component.ts";

export interface ObjectMeta {
  readonly name: string;
  /** In bytes. */
  readonly size: number;
  /** Milliseconds since the epoch. */
  readonly modifiedAtMs: number;
  /** What was given when it was put, as far as the store keeps it, and what the store knows besides. */
  readonly metadata: Readonly<Record<string, string>>;
}

export interface PutObject {
  readonly name: string;
  readonly data: AsyncIterable<Uint8Array>;
  readonly metadata: Readonly<Record<string, string>>;
}

export interface ListObjects {
  /** Only names that begin with it; empty lists all. */
  readonly prefix: string;
  /** Most objects to list; at least 1. */
  readonly pageSize: number;
  /** The marker of the page before; empty for the first. */
  readonly marker: string;
}

export interface ObjectPage {
  /** In the order of their names' UTF-8 bytes, as far as it goes for a store that is not `ordered`. */
  readonly objects: readonly ObjectMeta[];
  /** What to ask the next page with; empty on the last. */
  readonly marker: string;
}

/** Files by name. `/` in a name separates folders only for those who look at it so. */
export interface ObjectStore extends AsyncDisposable {
  /** The object's bytes from one version of it; undefined when there is none of the name. Ending the iteration early lets go of it. */
  get(request: { readonly name: string }, call: CallContext): Promise<AsyncIterable<Uint8Array> | undefined>;
  /** The object is there as a whole once this resolves; when it rejects, what was there before still is. */
  put(request: PutObject, call: CallContext): Promise<void>;
  /** Deleting what does not exist succeeds. */
  delete(request: { readonly name: string }, call: CallContext): Promise<void>;
  list(request: ListObjects, call: CallContext): Promise<ObjectPage>;
  /** Undefined when there is no object of the name. */
  stat(request: { readonly name: string }, call: CallContext): Promise<ObjectMeta | undefined>;
}

/**
 * `metadata`: what is given when an object is put is given back. `ordered`: lists are in the order of the names' bytes
 * whatever their characters; others may put those from U+E000 to U+FFFF behind those beyond.
 */
export type ObjectCapability = "metadata" | "ordered";

export const defineObjectStore = <Schema extends z.ZodObject>(
  definition: ComponentDefinition<ObjectStore, Schema, ObjectCapability>,
): ComponentDefinition<ObjectStore, Schema, ObjectCapability> => definition;
