import type { PluginSignatures } from "../../config/plugin-sources.ts";
import type { PluginArtifact } from "../artifact.ts";
import { PluginError } from "../plugin-error.ts";
import { detachedSignature, isSigned, readKeys, requiresSignature, unsigned } from "./signature.ts";
import { SourceError } from "./source-error.ts";

/**
 * Rejects with PluginError (`refused`) when uploads must be signed, and this one is not by one of the keys, with its manifest. The
 * patterns of what must be signed are held against `upload`.
 */
export async function requireSignedUpload(
  { manifest: { name, version }, bytes }: PluginArtifact,
  sent: { readonly signature: string | undefined; readonly hasManifestInside: boolean },
  { keys, require }: PluginSignatures,
): Promise<void> {
  if (!requiresSignature("upload", require)) return;
  const refusal = (why: string): PluginError =>
    new PluginError(name, version, "refused", `plugin '${name}' is not deployed from an upload: ${why}`);
  const signature = sent.signature === undefined ? undefined : detachedSignature(sent.signature);
  const signatures = signature === undefined ? [] : [signature];
  const known = await readKeys(keys).catch((error: unknown) => {
    throw error instanceof SourceError ? refusal(error.message) : error;
  });
  if (!isSigned({ bytes }, signatures, known)) throw refusal(unsigned(signatures));
  if (sent.hasManifestInside) return;
  throw refusal(
    "its signature is over the module alone, and not over the manifest; put that inside with 'outrigger pack' before you sign",
  );
}
