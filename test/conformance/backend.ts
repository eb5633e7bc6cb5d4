/** What every conformance suite needs: a backend to open, a call, names that nothing else uses, and patience. */
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type {
  CallContext,
  ComponentDefinition,
  ComponentKind,
  ComponentLog,
  OpenContext,
} from "../../components/component.ts";
import { RuntimeError } from "../../components/error.ts";
import type { Secret } from "../../components/secret/secret-store.ts";
import { type StoreSet, storeSet } from "../../runtime/api/stores.ts";
import { openContext } from "../support/open-context.ts";
import type { ServerProcess } from "../support/server-process.ts";
import type { Checks } from "./checks.ts";

export type Settings = Readonly<Record<string, unknown>>;

/** A component type to hold against the suite of its kind, with the settings that a configuration file would give it. */
export interface Backend<Component extends AsyncDisposable> {
  readonly definition: ComponentDefinition<Component>;
  /** What it claims with these settings. */
  readonly capabilities: ReadonlySet<string>;
  readonly checks: Checks;
  /** The settings of one component; what it keeps is found again with the same ones. Default none. */
  settings?(directory: string): Settings | Promise<Settings>;
  /** Makes a store of secrets, beside which others may be, below the directory or elsewhere; resolves to the settings that open it. */
  prepare?(secrets: Readonly<Record<string, Secret>>, directory: string): Settings | Promise<Settings>;
  /** Has an event come in to a binding that listens; absent where events come by themselves. */
  bringEvent?(): Promise<void>;
  /** Something that a binding with a way out can be asked on its server at any time. */
  readonly invocation?: { readonly operation: string; readonly metadata: Readonly<Record<string, string>> };
  /** The server it stands on, for checks that kill it and start it again; absent when it needs none. */
  server?(): ServerProcess;
}

/** Where one component keeps its data: it can be opened there again and again. */
export interface Place<Component> extends AsyncDisposable {
  readonly directory: string;
  open(changes?: Partial<OpenContext>): Promise<Component>;
}

const silent = (): void => undefined;
export const silentLog: ComponentLog = { debug: silent, info: silent, warn: silent, error: silent };

/** A fresh place for a component of the backend. */
export async function placeFor<Component extends AsyncDisposable>({
  definition,
  settings,
}: Pick<Backend<Component>, "definition" | "settings">): Promise<Place<Component>> {
  const directory = await mkdtemp(join(tmpdir(), "outrigger-conformance-"));
  const config = definition.config.parse((await settings?.(directory)) ?? {});
  return {
    directory,
    open: (changes) => definition.open(config, openContext("conformance", { dataDirectory: directory, ...changes })),
    [Symbol.asyncDispose]: () => rm(directory, { recursive: true, force: true }),
  };
}

/** The component alone, as the blocks of the API find it under the name `conformance`. */
export const storesOf = <Component extends AsyncDisposable>(
  kind: ComponentKind,
  { definition: { type }, capabilities }: Backend<Component>,
  store: Component,
): StoreSet<Component> =>
  storeSet(kind, new Map([["conformance", { name: "conformance", type, store, capabilities, keyPrefix: "" }]]));

/** Holds for an unclaimed capability: the API refuses with a sentence that names the backend. */
export async function isRefused(
  { definition: { type } }: Backend<AsyncDisposable>,
  ask: () => Promise<unknown>,
): Promise<void> {
  await assert.rejects(
    ask,
    (error: unknown) =>
      error instanceof RuntimeError && error.code === "UNIMPLEMENTED" && error.message.includes(`of type ${type}`),
  );
}

/** Opens a component before the checks and closes it after them. */
export function openedFor<Component extends AsyncDisposable>(backend: Backend<Component>): () => Component {
  const opened = new AsyncDisposableStack();
  let component: Component | undefined;
  backend.checks.before(async () => {
    const place = opened.use(await placeFor(backend));
    component = opened.use(await place.open());
  });
  backend.checks.after(() => opened.disposeAsync());
  return () => {
    if (component === undefined) throw new Error("the component is open only while checks run");
    return component;
  };
}

/** A call that nobody cancels, unless a signal is given. */
export const callWith = (signal: AbortSignal = new AbortController().signal): CallContext => ({
  signal,
  peer: { address: "test" },
  appId: "conformance",
  log: silentLog,
});

/** A name that no other test and no other run uses. */
export const unique = (name: string): string => `${name}-${randomUUID()}`;

/** Asks again and again until the answer is true; fails when it is not within half a minute. */
export async function eventually(what: string, isSo: () => boolean | Promise<boolean>): Promise<void> {
  const giveUpAtMs = performance.now() + 30_000;
  while (!(await isSo())) {
    if (performance.now() > giveUpAtMs) throw new Error(`it did not come to pass that ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

export const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);

/** Names that have been trouble to one store or another; each means something else than every other. */
export const oddNames: readonly string[] = [
  "ключ-🔑-鍵",
  "caf\u00e9",
  "cafe\u0301",
  "case",
  "CASE",
  "nul\0inside",
  "nul",
  "a||b",
  "a|b",
  "per%cent",
  "under_score",
  "quote'\"; DROP TABLE state; --",
  "back\\slash",
  "../up/and/away",
  "new\nline",
  "tab\tand trailing space ",
  "tab\tand trailing space",
  "{hash}tag*?[a-z]",
  "__proto__",
  "constructor",
  "true",
  "1.10",
  "~",
  "long".repeat(1000),
];
