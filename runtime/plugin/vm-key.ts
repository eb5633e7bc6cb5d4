import type { Manifest } from "./manifest.ts";
import type { PreparedPlugin } from "./prepare.ts";

/** What is each plugin's own in a VM that several share; everything else in their manifests must be alike. */
type Own =
  | "name"
  | "version"
  | "configuration"
  | "rootId"
  | "fail"
  | "allowOnHeadersStopIteration"
  | "suspends"
  | "isolation";

/**
 * Plugins of the same key may share VMs: of one module, held to the same, with the same VM configuration. Without a VM id they
 * must be of that release, with one configuration or another; with one they may be different plugins. Undefined for those that
 * have their VMs to themselves: one that waits for the host would make others wait, and each stream may want its own.
 */
export function vmKeyOf(
  { manifest, digest, restrictions }: PreparedPlugin,
  { release, vmConfiguration }: { readonly release: string; readonly vmConfiguration: string },
): string | undefined {
  const { suspends, isolation, name: _n, version: _v, configuration: _c, rootId: _r, fail: _f, ...rest } = manifest;
  if (suspends || isolation === "stream") return undefined;
  const { vmId, allowOnHeadersStopIteration: _a, ...alike } = rest;
  const key: Omit<Manifest, Own> = {
    ...alike,
    vmId: vmId === "" ? `of release ${release}` : `named ${vmId}`,
    vmConfiguration,
  };
  return JSON.stringify([digest, key, restrictions.map(({ functions }) => functions)], sorted);
}

/** Order does not matter, of names as of values in lists: all lists here are of what is allowed. */
function sorted(_key: string, value: unknown): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.every((one) => typeof one === "string") ? value.toSorted() : value;
  return Object.fromEntries(Object.entries(value).toSorted(([left], [right]) => (left < right ? -1 : 1)));
}
