/**
 * Signatures as cosign makes them with a key of one's own: of images in the registry beside them, of files beside them.
 * https://github.com/sigstore/cosign/blob/main/specs/SIGNATURE_SPEC.md
 */
import { createPublicKey, type KeyObject, verify } from "node:crypto";
import { readFile } from "node:fs/promises";
import { z } from "zod";
import type { OciRepository } from "./oci-registry.ts";
import { SourceError } from "./source-error.ts";

/** A signature, and what it is over; undefined for the module itself. Both in base64. */
export interface Signature {
  readonly signature: string;
  readonly payload?: string | undefined;
}

const layerType = "application/vnd.dev.cosign.simplesigning.v1+json";
const annotation = "dev.cosignproject.cosign/signature";
const maxPayloadBytes = 64 * 1024;
const maxSignatureCharacters = 16 * 1024;
const mostSignatures = 32;
const leastRsaBits = 2_048;
const base64 = /^[A-Za-z0-9+/]+={0,2}$/;

const payloadShape = z.object({
  critical: z.object({
    image: z.object({ "docker-manifest-digest": z.string() }),
    type: z.literal("cosign container image signature"),
  }),
});

/**
 * Whether what is named must be signed. Names are references as they are shown, and `file:` with an absolute path; a pattern is
 * held against all of one, `*` for any text.
 */
export function requiresSignature(named: string, require: boolean | readonly string[]): boolean {
  if (typeof require === "boolean") return require;
  return require.some((pattern) => {
    const expression = pattern.split("*").map((part) => part.replace(/[\\^$.+?()[\]{}|]/g, "\\$&"));
    return new RegExp(`^${expression.join("[^]*")}$`, "i").test(named);
  });
}

/** Why what has these signatures, none of them good, is refused. */
export const unsigned = (signatures: readonly Signature[]): string =>
  signatures.length === 0
    ? "it is not signed, and plugins.signatures requires that it is"
    : "its signature is by none of the keys in plugins.signatures, or over something else";

/** The public keys, each a file or PEM. Rejects with SourceError that names the one that is none. */
export async function readKeys(keys: readonly string[]): Promise<readonly KeyObject[]> {
  return Promise.all(
    keys.map(async (key, index) => {
      const isText = key.includes("-----BEGIN");
      const shown = isText ? `plugins.signatures.keys[${index}]` : `the file ${key} of plugins.signatures.keys`;
      try {
        return usable(createPublicKey(isText ? key : await readFile(key, "utf8")), shown);
      } catch (cause) {
        if (cause instanceof SourceError) throw cause;
        throw new SourceError(`${shown} is not a public key (PEM)`, { cause });
      }
    }),
  );
}

function usable(key: KeyObject, shown: string): KeyObject {
  const { asymmetricKeyType: type, asymmetricKeyDetails: details } = key;
  if (type === "ec" || type === "ed25519") return key;
  if (type === "rsa" && (details?.modulusLength ?? 0) >= leastRsaBits) return key;
  throw new SourceError(`${shown} is of the kind ${type}; expected EC, Ed25519 or RSA from ${leastRsaBits} bits`);
}

/** The signatures of an image by the digest of its manifest; none when it is not signed. */
export async function signaturesOf(repository: OciRepository, digest: string): Promise<readonly Signature[]> {
  const manifest = await repository.manifest(`${digest.replace(":", "-")}.sig`);
  if (manifest?.kind !== "image") return [];
  const layers = manifest.layers.filter(({ mediaType }) => mediaType === layerType).slice(0, mostSignatures);
  const found: Signature[] = [];
  for (const layer of layers) {
    const signature = layer.annotations?.[annotation];
    if (signature === undefined) continue;
    const payload = Buffer.from(await repository.blob(layer, maxPayloadBytes)).toString("base64");
    found.push({ signature, payload });
  }
  return found;
}

/** The signature in a text as `cosign sign-blob` prints it; undefined when it is none. */
export function detachedSignature(text: string): Signature | undefined {
  const signature = text.trim();
  return signature.length <= maxSignatureCharacters && base64.test(signature) ? { signature } : undefined;
}

/** What was signed: an image by the digests it may be called by, or a module by its bytes. */
export type Subject = { readonly digests: readonly string[] } | { readonly bytes: Uint8Array };

/** Whether one of the keys made one of the signatures, of just this. */
export function isSigned(subject: Subject, signatures: readonly Signature[], keys: readonly KeyObject[]): boolean {
  return signatures.some(({ signature, payload }) => {
    const signed = signedBytes(subject, payload);
    if (signed === undefined || !base64.test(signature)) return false;
    const bytes = Buffer.from(signature, "base64");
    return keys.some((key) => isMadeBy(key, signed, bytes));
  });
}

function signedBytes(subject: Subject, payload: string | undefined): Uint8Array | undefined {
  if ("bytes" in subject) return payload === undefined ? subject.bytes : undefined;
  if (payload === undefined) return undefined;
  const bytes = Buffer.from(payload, "base64");
  const digest = digestIn(bytes);
  return digest !== undefined && subject.digests.includes(digest) ? bytes : undefined;
}

function digestIn(payload: Buffer): string | undefined {
  try {
    const { data } = payloadShape.safeParse(JSON.parse(payload.toString("utf8")));
    return data?.critical.image["docker-manifest-digest"];
  } catch {
    return undefined;
  }
}

function isMadeBy(key: KeyObject, signed: Uint8Array, signature: Uint8Array): boolean {
  try {
    return verify(key.asymmetricKeyType === "ed25519" ? null : "sha256", signed, key, signature);
  } catch {
    // OpenSSL throws for some signatures that are malformed.
    return false;
  }
}
