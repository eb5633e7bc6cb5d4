/** A repository of a registry: https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md, the part that pulls. */
import { z } from "zod";
import { digestOf } from "../digest.ts";
import type { Answer, Question } from "./http-get.ts";
import { digestPattern, dockerHub } from "./reference.ts";
import type { SignedInHost } from "./signed-in-host.ts";
import { SourceError } from "./source-error.ts";

const descriptor = z.object({
  mediaType: z.string(),
  digest: z.string(),
  size: z.int().min(0),
  annotations: z.record(z.string(), z.string()).optional(),
  platform: z.object({ architecture: z.string(), os: z.string() }).optional(),
});
/** What a manifest says of one of its parts. */
export type Descriptor = z.output<typeof descriptor>;

const mostParts = 128;
const imageManifest = z.object({
  schemaVersion: z.literal(2),
  config: descriptor,
  layers: z.array(descriptor),
});
const imageIndex = z.object({ schemaVersion: z.literal(2), manifests: z.array(descriptor) });

export type Manifest =
  | { readonly kind: "image"; readonly digest: string; readonly layers: readonly Descriptor[] }
  | { readonly kind: "index"; readonly digest: string; readonly manifests: readonly Descriptor[] };

/** The least that registries must take, in the specification. */
const maxManifestBytes = 4 * 1024 ** 2;
const imageTypes = [
  "application/vnd.oci.image.manifest.v1+json",
  "application/vnd.docker.distribution.manifest.v2+json",
];
const indexTypes = [
  "application/vnd.oci.image.index.v1+json",
  "application/vnd.docker.distribution.manifest.list.v2+json",
];

/** Reads manifests and blobs. Everything that has a digest is held against it. All throw SourceError. */
export class OciRepository {
  readonly #host: SignedInHost;
  readonly #base: string;

  constructor(host: SignedInHost, protocol: "http" | "https", registry: string, repository: string) {
    this.#host = host;
    this.#base = `${protocol}://${apiHost(registry)}/v2/${repository}`;
  }

  /** By tag or by digest; undefined when there is none. */
  async manifest(reference: string): Promise<Manifest | undefined> {
    const url = new URL(`${this.#base}/manifests/${reference}`);
    const accept = [...imageTypes, ...indexTypes].join(", ");
    const answer = await this.#host.get({ url, accept, maxBytes: maxManifestBytes });
    if (answer.status === 404) return undefined;
    requireGood(answer, `the manifest ${reference}`);
    const digest = digestOf(answer.body);
    const isDigest = reference.includes(":");
    const said = isDigest ? reference : answer.headers["docker-content-digest"];
    if (typeof said === "string" && said.startsWith("sha256:") && said !== digest) {
      throw new SourceError(
        `the manifest has the digest ${digest}, and ${said} was ${isDigest ? "asked for" : "announced"}`,
      );
    }
    return parseManifest(answer, digest);
  }

  /** Rejects when the size or the digest is another than the manifest says, or it is larger than `maxBytes`. */
  async blob(part: Descriptor, maxBytes: number, progress?: Question["progress"]): Promise<Uint8Array<ArrayBuffer>> {
    const { digest, size } = part;
    if (!digestPattern.test(digest)) throw new SourceError("the manifest names a part by a digest that is not SHA-256");
    if (size > maxBytes) throw new SourceError(`${digest} has ${size} bytes; at most ${maxBytes} are taken`);
    const url = new URL(`${this.#base}/blobs/${digest}`);
    const answer = await this.#host.get({ url, maxBytes: size, progress: (received) => progress?.(received, size) });
    requireGood(answer, `the blob ${digest}`);
    const found = digestOf(answer.body);
    if (found === digest && answer.body.length === size) return answer.body;
    throw new SourceError(
      `the blob has the digest ${found} and ${answer.body.length} bytes, and the manifest says ${digest} and ${size}`,
    );
  }
}

/** Docker Hub is asked at another name than it is called by. */
export const apiHost = (registry: string): string => (dockerHub.has(registry) ? "registry-1.docker.io" : registry);

function requireGood({ status, body, url }: Answer, what: string): void {
  if (status === 200) return;
  const code = /"code"\s*:\s*"([A-Z_]{1,40})"/.exec(Buffer.from(body).toString("utf8"))?.[1];
  throw new SourceError(`${url.host} does not give ${what} (${code === undefined ? status : `${status} ${code}`})`);
}

function parseManifest({ body, headers }: Answer, digest: string): Manifest {
  let content: unknown;
  try {
    content = JSON.parse(Buffer.from(body).toString("utf8"));
  } catch {
    throw new SourceError("the manifest is not JSON");
  }
  const type = mediaTypeOf(content) ?? headers["content-type"]?.split(";")[0]?.trim() ?? "";
  const isIndex = indexTypes.includes(type);
  if (!isIndex && !imageTypes.includes(type)) {
    throw new SourceError(
      `the manifest is not one of an image: its type is '${type.replace(/[^ -~]/g, "?").slice(0, 80)}'`,
    );
  }
  const malformed = `the manifest is malformed, and says that its type is '${type}'`;
  if (isIndex) {
    const { data } = imageIndex.safeParse(content);
    if (data === undefined) throw new SourceError(malformed);
    requireFew("index", "images", data.manifests.length);
    return { kind: "index", digest, manifests: data.manifests };
  }
  const { data } = imageManifest.safeParse(content);
  if (data === undefined) throw new SourceError(malformed);
  requireFew("image", "layers", data.layers.length);
  return { kind: "image", digest, layers: data.layers };
}

function requireFew(what: string, parts: string, count: number): void {
  if (count > mostParts)
    throw new SourceError(`the ${what} has too many ${parts}: ${count}, and at most ${mostParts} are taken`);
}

const mediaTypeOf = (content: unknown): string | undefined =>
  z.object({ mediaType: z.string() }).safeParse(content).data?.mediaType;
