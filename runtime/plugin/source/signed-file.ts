import { basename } from "node:path";
import type { PluginSignatures } from "../../config/plugin-sources.ts";
import { hasOwnManifest, type PluginArtifact } from "../artifact.ts";
import { signatureExtension } from "../companion-files.ts";
import { PluginError } from "../plugin-error.ts";
import { readRegularFile } from "../regular-file.ts";
import { detachedSignature, isSigned, readKeys, requiresSignature, type Signature, unsigned } from "./signature.ts";
import { SourceError } from "./source-error.ts";

const maxSignatureBytes = 64 * 1024;

/** Why a signed module is refused whose manifest somebody else could have written. */
export const strayManifest =
  "its manifest is not inside it, and so no signature covers it; put it there with 'outrigger pack' and sign the result";

/** None when there is none. */
export async function signatureBeside(path: string): Promise<readonly Signature[]> {
  const text = await readRegularFile(`${path}${signatureExtension}`, maxSignatureBytes, "a signature").catch(() => "");
  const signature = detachedSignature(text.toString("utf8"));
  return signature === undefined ? [] : [signature];
}

/**
 * Rejects with PluginError (`refused`) when what lies at the absolute path must be signed, and is not by one of the keys or not
 * with its manifest.
 */
export async function requireSignedFile(
  artifact: PluginArtifact,
  path: string,
  { keys, require }: PluginSignatures,
): Promise<void> {
  if (!requiresSignature(`file:${path}`, require)) return;
  const {
    manifest: { name, version },
    bytes,
  } = artifact;
  const refusal = (why: string): PluginError =>
    new PluginError(name, version, "refused", `plugin '${name}' is not deployed from ${path}: ${why}`);
  const signatures = await signatureBeside(path);
  const known = await readKeys(keys).catch((error: unknown) => {
    throw error instanceof SourceError ? refusal(error.message) : error;
  });
  if (!isSigned({ bytes }, signatures, known)) throw refusal(unsigned(signatures));
  if (!hasOwnManifest(artifact, basename(path, ".wasm"))) throw refusal(strayManifest);
}
