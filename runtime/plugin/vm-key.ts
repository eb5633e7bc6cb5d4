import type { PreparedPlugin } from "./prepare.ts";

/**
 * Plugins of the same key may share VMs: of one module, held to the same, with the same VM configuration. Without a VM id they
 * must be of that release, with one configuration or another; with one they may be different plugins. Undefined for those that
 * have their VMs to themselves: by their manifest, or because they wait for the host and would make others wait.
 */
export function vmKeyOf(
  { manifest, digest, ...prepared }: PreparedPlugin,
  { release, vmConfiguration }: { readonly release: string; readonly vmConfiguration: string },
): string | undefined {
  // What is each plugin's own in a VM that several share; everything else in their manifests must be alike.
  const { name: _name, version: _version, configuration: _configuration, rootId: _rootId, ...others } = manifest;
  const { fail: _fail, rollout: _rollout, allowOnHeadersStopIteration: _allow, ...alike } = others;
  if (alike.suspends || alike.isolation !== "shared") return undefined;
  const vmId = alike.vmId === "" ? `of release ${release}` : `named ${alike.vmId}`;
  const restrictions = prepared.restrictions.map(({ functions }) => functions);
  return JSON.stringify([digest, { ...alike, vmId, vmConfiguration, restrictions }], sorted);
}

/** Order does not matter, of names as of values in lists: all lists here are of what is allowed. */
function sorted(_key: string, value: unknown): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.every((one) => typeof one === "string") ? value.toSorted() : value;
  return Object.fromEntries(Object.entries(value).toSorted(([left], [right]) => (left < right ? -1 : 1)));
}
