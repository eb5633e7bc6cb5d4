/** Where plugins may be fetched from, and whose signature they need. */
import { isIP } from "node:net";
import { z } from "zod";
import { byteSize, duration } from "./scalars.ts";

const hostPattern = /^(\[[0-9a-fA-F:.]+\]|[^:/\s]+)(:\d{1,5})?$/;
const host = z.string().regex(hostPattern, "expected host or host:port, such as registry.local:5000");

const network = z.string().refine((text) => {
  const [address = "", prefix, ...rest] = text.split("/");
  const version = isIP(address);
  if (version === 0 || rest.length > 0) return false;
  return prefix === undefined || (/^\d{1,3}$/.test(prefix) && Number(prefix) <= (version === 4 ? 32 : 128));
}, "expected an address or a network, such as 10.0.0.0/8");

/** How plugins are fetched from URLs and registries. */
export const pluginSources = z.strictObject({
  insecure: z
    .array(host)
    .default([])
    .describe("Hosts, as host or host:port, that are spoken to without TLS; loopback addresses always are"),
  allowPrivateAddresses: z
    .union([z.boolean(), z.array(network)])
    .default(false)
    .describe(
      "Private, link-local and loopback addresses, all or these networks, to which a host that is asked may pass the sidecar on, by a redirect or for a token; default false",
    ),
  credentials: z
    .string()
    .min(1)
    .optional()
    .describe(
      "A credential file as Docker writes it (Kubernetes: .dockerconfigjson); default $DOCKER_CONFIG/config.json, else ~/.docker/config.json",
    ),
  ca: z.string().min(1).optional().describe("A file with certificates (PEM) to trust beside the usual ones"),
  timeout: duration
    .refine((timeoutMs) => timeoutMs > 0 && timeoutMs <= 3_600_000, "expected a duration above 0 and up to 1h")
    .default(300_000)
    .describe("Longest time to fetch a plugin; default 5m"),
  cacheBytes: byteSize
    .default(1024 ** 3)
    .describe(
      "Most that fetched modules take on the disk, those beyond are dropped that were not used for longest; default 1Gi",
    ),
});
export type PluginSources = z.output<typeof pluginSources>;

/** Whose signature a plugin needs. */
export const pluginSignatures = z
  .strictObject({
    keys: z
      .array(z.string().min(1))
      .default([])
      .describe("Public keys (PEM), each as a file or as text; a signature by one of them is enough"),
    require: z
      .union([z.boolean(), z.array(z.string().min(1)).min(1)])
      .optional()
      .describe(
        "What must be signed: true for all, or references in which * stands for any text, such as oci://registry.local/*; default true with keys, else false",
      ),
  })
  .refine(
    ({ keys, require }) => keys.length > 0 || require === undefined || require === false,
    "expected keys beside require: there is no key that a signature could be checked with",
  )
  .transform(({ keys, require }) => ({ keys, require: require ?? keys.length > 0 }));
export type PluginSignatures = z.output<typeof pluginSignatures>;
