import { moduleInLayer } from "./image-layer.ts";
import type { Descriptor, Manifest, OciRepository } from "./oci-registry.ts";
import { SourceError } from "./source-error.ts";

/** Layers that are the module itself: of wasm-to-oci, of Istio and Envoy, and of the CNCF's artifact for WebAssembly. */
const moduleTypes: ReadonlySet<string> = new Set([
  "application/vnd.module.wasm.content.layer.v1+wasm",
  "application/vnd.wasm.content.layer.v1+wasm",
  "application/wasm",
]);

/** Layers of container images, which hold the module as the file `plugin.wasm`, and how they are compressed. */
const archiveTypes: Readonly<Record<string, "gzip" | "zstd" | "none">> = {
  "application/vnd.oci.image.layer.v1.tar+gzip": "gzip",
  "application/vnd.docker.image.rootfs.diff.tar.gzip": "gzip",
  "application/vnd.oci.image.layer.v1.tar+zstd": "zstd",
  "application/vnd.oci.image.layer.v1.tar": "none",
};

type Image = Extract<Manifest, { kind: "image" }>;

/** The image that a manifest is, or leads to. Throws SourceError when that is not clear, or there is none. */
export async function imageOf(repository: OciRepository, manifest: Manifest): Promise<Image> {
  if (manifest.kind === "image") return manifest;
  const { digest } = moduleManifest(manifest.manifests);
  const image = await repository.manifest(digest);
  if (image?.kind === "image") return image;
  throw new SourceError(
    `the index leads to ${digest}, which is ${image === undefined ? "not there" : "an index again"}`,
  );
}

function moduleManifest(manifests: readonly Descriptor[]): Descriptor {
  // What builders say of an image stands beside it, for no platform.
  const images = manifests.filter(({ platform }) => platform?.os !== "unknown");
  const wasm = images.filter(({ platform }) => /^wasm/.test(platform?.architecture ?? ""));
  const [only, ...others] = wasm.length > 0 ? wasm : images;
  if (only !== undefined && others.length === 0) return only;
  const platforms = images.map(({ platform }) =>
    platform === undefined ? "none" : `${platform.os}/${platform.architecture}`,
  );
  const shown = platforms
    .slice(0, 8)
    .join(", ")
    .replace(/[^ -~]/g, "?")
    .slice(0, 200);
  throw new SourceError(
    `it is an index of ${images.length} images (${shown}), and not one is for wasm alone; name one by its digest`,
  );
}

/** The module in an image, in any of the forms that are in use. Throws SourceError when there is none. */
export async function moduleOf(
  repository: OciRepository,
  { layers }: Image,
  maxBytes: number,
  progress?: (received: number, total: number | undefined) => void,
): Promise<Uint8Array<ArrayBuffer>> {
  const [module, ...others] = layers.filter(({ mediaType }) => moduleTypes.has(mediaType));
  if (others.length > 0) throw new SourceError(`the image has ${others.length + 1} modules; expected one`);
  if (module !== undefined) return repository.blob(module, maxBytes, progress);
  // What a later layer holds lies over what earlier ones do.
  for (const layer of layers.toReversed()) {
    const compression = archiveTypes[layer.mediaType];
    if (compression === undefined) continue;
    const found = await moduleInLayer(await repository.blob(layer, maxBytes, progress), compression, maxBytes);
    if (found !== undefined) return found;
  }
  const types = [...new Set(layers.map(({ mediaType }) => mediaType))]
    .join(", ")
    .replace(/[^ -~]/g, "?")
    .slice(0, 200);
  const known = layers.some(({ mediaType }) => Object.hasOwn(archiveTypes, mediaType));
  throw new SourceError(
    known
      ? "the image has no file plugin.wasm at its root"
      : `the image has no layer that may hold a module; its layers are of ${types || "no type"}`,
  );
}
