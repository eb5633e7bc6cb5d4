import type { Capabilities, PluginGrants } from "../config/scalars.ts";
import type { FunctionRestriction } from "./contract.ts";
import type { Manifest } from "./manifest.ts";
import { PluginError } from "./plugin-error.ts";

/** What the configuration lets each plugin reach (`plugins.grants`), by the plugin's name. */
export type Grants = Readonly<Record<string, PluginGrants>>;

/** What each kind of capability is called, of which `s` makes the plural. */
export const nouns: Readonly<Record<keyof Capabilities, string>> = {
  state: "state store",
  pubsub: "pub/sub component",
  config: "configuration store",
  lock: "lock store",
  sequencer: "sequencer",
  secret: "secret store",
  binding: "binding",
  object: "file store",
  invoke: "invoke target",
  upstreams: "upstream",
  foreign: "foreign function",
};
export const kinds = Object.keys(nouns) as (keyof Capabilities)[];

/** Upstreams that nobody needs a grant to name: what lies behind it is granted method by method. */
const alwaysGranted = "outrigger";

/** The functions of its ABI that a plugin is held to: those of its manifest that the configuration leaves it. */
export function restrictionsOf({ name, allowedFunctions }: Manifest, grants: Grants): FunctionRestriction[] {
  const granted = Object.hasOwn(grants, name) ? grants[name]?.allowedFunctions : undefined;
  return [
    { by: "allowedFunctions of its manifest", functions: allowedFunctions },
    { by: `plugins.grants.${name}.allowedFunctions`, functions: granted },
  ].flatMap(({ by, functions }) => (functions === undefined ? [] : [{ by, functions }]));
}

/** Names of one kind that the manifest asks for: who subscribes to a topic asks for its component, too. */
export function wantedOf({ capabilities, subscriptions }: Manifest, kind: keyof Capabilities): readonly string[] {
  if (kind !== "pubsub") return capabilities[kind];
  return [...new Set([...capabilities.pubsub, ...subscriptions.map(({ pubsub }) => pubsub)])];
}

/** Throws PluginError (`refused`) that names everything the manifest asks for and the configuration does not give. */
export function requireGranted(manifest: Manifest, grants: Grants): void {
  const { name, version } = manifest;
  const granted = Object.hasOwn(grants, name) ? grants[name] : undefined;
  const missing = kinds.flatMap((kind) =>
    wantedOf(manifest, kind)
      .filter((wanted) => granted?.[kind].includes(wanted) !== true)
      .filter((wanted) => kind !== "upstreams" || wanted !== alwaysGranted)
      .map((wanted) => `${nouns[kind]} '${wanted}'`),
  );
  if (missing.length === 0) return;
  const message = `plugin '${name}' asks for ${enumerated(missing)}, which plugins.grants does not give it`;
  throw new PluginError(name, version, "refused", message);
}

/** `a`, `a and b`, `a, b and c`. */
export const enumerated = (names: readonly string[]): string =>
  names.length < 2 ? names.join("") : `${names.slice(0, -1).join(", ")} and ${names.at(-1)}`;

/** Why the grants do not suffice for the manifest, or undefined. */
export function ungranted(manifest: Manifest, grants: Grants): PluginError | undefined {
  try {
    requireGranted(manifest, grants);
    return undefined;
  } catch (error) {
    if (error instanceof PluginError) return error;
    throw error;
  }
}

/** Whether other grants might let it run. */
export const isHeldByGrants = (manifest: Manifest, grants: Grants): boolean =>
  ungranted(manifest, grants) !== undefined || grants[manifest.name]?.allowedFunctions !== undefined;
