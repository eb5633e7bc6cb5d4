import type { Capabilities, PluginGrants } from "../config/scalars.ts";
import type { FunctionRestriction } from "./contract.ts";
import type { Manifest } from "./manifest.ts";
import { PluginError } from "./plugin-error.ts";

/** What the configuration lets each plugin reach (`plugins.grants`), by the plugin's name. */
export type Grants = Readonly<Record<string, PluginGrants>>;

const nouns: Readonly<Record<keyof Capabilities, string>> = {
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
const kinds = Object.keys(nouns) as (keyof Capabilities)[];

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

/** Throws PluginError (`refused`) that names everything the manifest asks for and the configuration does not give. */
export function requireGranted({ name, version, capabilities }: Manifest, grants: Grants): void {
  const granted = Object.hasOwn(grants, name) ? grants[name] : undefined;
  const missing = kinds.flatMap((kind) =>
    capabilities[kind]
      .filter((wanted) => granted?.[kind].includes(wanted) !== true)
      .filter((wanted) => kind !== "upstreams" || wanted !== alwaysGranted)
      .map((wanted) => `${nouns[kind]} '${wanted}'`),
  );
  if (missing.length === 0) return;
  const what = missing.length === 1 ? missing[0] : `${missing.slice(0, -1).join(", ")} and ${missing.at(-1)}`;
  const message = `plugin '${name}' asks for ${what}, which plugins.grants does not give it`;
  throw new PluginError(name, version, "refused", message);
}

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
