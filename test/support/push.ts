/** Pushes images to a registry, as the distribution specification says. */
import { createHash, type KeyObject, sign } from "node:crypto";
import { gzipSync } from "node:zlib";

export interface Part {
  readonly mediaType: string;
  readonly bytes: Uint8Array;
  readonly annotations?: Readonly<Record<string, string>>;
}

export interface Target {
  /** `host:port`. */
  readonly address: string;
  readonly repository: string;
  readonly authorization?: string;
}

export const digestOf = (bytes: Uint8Array): string => `sha256:${createHash("sha256").update(bytes).digest("hex")}`;

const describe = ({ mediaType, bytes, annotations }: Part): Record<string, unknown> => ({
  mediaType,
  digest: digestOf(bytes),
  size: bytes.length,
  ...(annotations !== undefined && { annotations }),
});

/** An image with these layers; the type of the manifest is OCI's unless another is given. */
export function imageManifest(
  config: Part,
  layers: readonly Part[],
  mediaType = "application/vnd.oci.image.manifest.v1+json",
): Part {
  const content = { schemaVersion: 2, mediaType, config: describe(config), layers: layers.map(describe) };
  return { mediaType, bytes: Buffer.from(JSON.stringify(content)) };
}

/** An index over manifests that were pushed. */
export function imageIndex(manifests: readonly (Part & { readonly platform: string })[]): Part {
  const mediaType = "application/vnd.oci.image.index.v1+json";
  const entries = manifests.map(({ platform, ...manifest }) => {
    const [os, architecture] = platform.split("/");
    return { ...describe(manifest), platform: { os, architecture } };
  });
  return { mediaType, bytes: Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType, manifests: entries })) };
}

/** Pushes the blobs, then the manifest by its tag; resolves to the digest of the manifest. */
export async function push(target: Target, tag: string, manifest: Part, blobs: readonly Part[]): Promise<string> {
  for (const { bytes } of blobs) await pushBlob(target, bytes);
  const url = `http://${target.address}/v2/${target.repository}/manifests/${tag}`;
  await put(target, url, manifest);
  return digestOf(manifest.bytes);
}

async function pushBlob(target: Target, bytes: Uint8Array): Promise<void> {
  const base = `http://${target.address}`;
  const begun = await fetch(`${base}/v2/${target.repository}/blobs/uploads/`, {
    method: "POST",
    headers: headersOf(target),
  });
  await begun.arrayBuffer();
  if (begun.status !== 202) throw new Error(`the upload does not begin: ${begun.status}`);
  const url = new URL(begun.headers.get("location") ?? "", base);
  url.searchParams.set("digest", digestOf(bytes));
  await put(target, url.href, { mediaType: "application/octet-stream", bytes });
}

async function put(target: Target, url: string, { mediaType, bytes }: Part): Promise<void> {
  const headers = { ...headersOf(target), "content-type": mediaType };
  const answer = await fetch(url, { method: "PUT", headers, body: new Uint8Array(bytes) });
  const text = await answer.text();
  if (answer.status !== 201) throw new Error(`${url} is not taken: ${answer.status} ${text}`);
}

const headersOf = ({ authorization }: Target): Record<string, string> =>
  authorization === undefined ? {} : { authorization };

const emptyConfig: Part = { mediaType: "application/vnd.oci.image.config.v1+json", bytes: Buffer.from("{}") };

/** Pushes a module as wasm-to-oci, or as the CNCF's artifact, does; resolves to the digest of the manifest. */
export function pushModule(
  target: Target,
  tag: string,
  module: Uint8Array,
  layerType = "application/vnd.module.wasm.content.layer.v1+wasm",
): Promise<string> {
  const config = { ...emptyConfig, mediaType: "application/vnd.wasm.config.v0+json" };
  const layer = { mediaType: layerType, bytes: module };
  return push(target, tag, imageManifest(config, [layer]), [config, layer]);
}

/** Pushes files as a container image with one layer for each list; resolves to the digest of the manifest. */
export function pushImage(
  target: Target,
  tag: string,
  layers: readonly Readonly<Record<string, Uint8Array>>[],
  kind: "oci" | "docker" = "oci",
): Promise<string> {
  const [layerType, manifestType] =
    kind === "oci"
      ? ["application/vnd.oci.image.layer.v1.tar+gzip", undefined]
      : ["application/vnd.docker.image.rootfs.diff.tar.gzip", "application/vnd.docker.distribution.manifest.v2+json"];
  const parts = layers.map((files) => ({ mediaType: layerType, bytes: gzipSync(archive(files)) }));
  return push(target, tag, imageManifest(emptyConfig, parts, manifestType), [emptyConfig, ...parts]);
}

/** A POSIX archive of the files. */
export function archive(files: Readonly<Record<string, Uint8Array>>): Buffer {
  const blocks = Object.entries(files).flatMap(([name, bytes]) => {
    const head = Buffer.alloc(512);
    head.write(name, 0);
    head.write("0000644\0", 100);
    head.write(`${bytes.length.toString(8).padStart(11, "0")}\0`, 124);
    head.write("        0ustar\u000000", 148);
    head.write(
      `${head
        .reduce((sum, byte) => sum + byte, 0)
        .toString(8)
        .padStart(6, "0")}\0 `,
      148,
    );
    return [head, bytes, Buffer.alloc((512 - (bytes.length % 512)) % 512)];
  });
  return Buffer.concat([...blocks, Buffer.alloc(1024)]);
}

/** Signs an image as `cosign sign --key` does. */
export async function signImage(
  target: Target,
  digest: string,
  key: KeyObject,
  claimed: string = digest,
): Promise<void> {
  const payload = Buffer.from(
    JSON.stringify({
      critical: {
        identity: { "docker-reference": `${target.address}/${target.repository}` },
        image: { "docker-manifest-digest": claimed },
        type: "cosign container image signature",
      },
      optional: null,
    }),
  );
  const layer = {
    mediaType: "application/vnd.dev.cosign.simplesigning.v1+json",
    bytes: payload,
    annotations: { "dev.cosignproject.cosign/signature": signatureOf(payload, key) },
  };
  await push(target, `${digest.replace(":", "-")}.sig`, imageManifest(emptyConfig, [layer]), [emptyConfig, layer]);
}

/** In base64, as `cosign sign-blob` prints it. */
export const signatureOf = (bytes: Uint8Array, key: KeyObject): string =>
  sign(key.asymmetricKeyType === "ed25519" ? null : "sha256", bytes, key).toString("base64");
