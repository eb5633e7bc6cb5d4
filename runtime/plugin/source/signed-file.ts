import { readFile } from "node:fs/promises";
import type { PluginSignatures } from "../../config/plugin-sources.ts";
import { type PluginArtifact, signatureExtension } from "../artifact.ts";
import { PluginError } from "../plugin-error.ts";
import { detachedSignature, isSigned, readKeys, requiresSignature, type Signature, unsigned } from "./signature.ts";
import { SourceError } from "./source-error.ts";

/** None when there is none. */
export async function signatureBeside(path: string): Promise<readonly Signature[]> {
  const text = await readFile(`${path}${signatureExtension}`, "utf8").catch(() => "");
  const signature = detachedSignature(text);
  return signature === undefined ? [] : [signature];
}

/** Rejects with PluginError (`refused`) when what lies at the absolute path must be signed, and is not by one of the keys. */
export async function requireSignedFile(
  { manifest: { name, version }, bytes }: PluginArtifact,
  path: string,
  { keys, require }: PluginSignatures,
): Promise<void> {
  if (!requiresSignature(`file:${path}`, require)) return;
  const refusal = (why: string): PluginError =>
    new PluginError(name, version, "refused", `plugin '${name}' is not deployed from ${path}: ${why}`);
  const signatures = await signatureBeside(path);
  const known = await readKeys(keys).catch((error: unknown) => {
    throw error instanceof SourceError ? refusal(error.message) : error;
  });
  if (!isSigned({ bytes }, signatures, known)) throw refusal(unsigned(signatures));
}
