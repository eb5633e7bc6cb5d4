import { digestInParts } from "../digest.ts";
import { dockerCredentials } from "./docker-credentials.ts";
import type { Errand, Haul } from "./fetch-artifact.ts";
import type { HttpReference } from "./reference.ts";
import { detachedSignature, type Signature } from "./signature.ts";
import { SignedInHost } from "./signed-in-host.ts";
import { SourceError } from "./source-error.ts";

const maxSignatureBytes = 16 * 1024;

/** Fetches a module by its URL. What lies there may change at any time, so only with a sha256 is what was fetched before any good. */
export async function fetchFromHttp(errand: Errand<HttpReference>): Promise<Haul> {
  const { reference, cache, sha256, pull } = errand;
  const mayBeKept = sha256 !== undefined || pull === "IfNotPresent";
  const kept = mayBeKept ? await cache?.find(reference.url.href) : undefined;
  if (kept !== undefined && (sha256 === undefined || kept.record.module === sha256)) {
    const { bytes, record } = kept;
    const haul = { bytes, digest: record.module, subject: { bytes }, signatures: record.signatures };
    if (errand.suffices(haul)) return haul;
  }
  return download(errand);
}

async function download(errand: Errand<HttpReference>): Promise<Haul> {
  const { reference, maxBytes, progress, cache, sha256, wantsSignatures } = errand;
  const { url } = reference;
  const transport = { ...errand.transport, home: url.host };
  const host = new SignedInHost(transport, () => dockerCredentials(errand.sources.credentials, url.host, ""));
  const { status, body: bytes } = await host.get({ url, maxBytes, progress });
  if (status !== 200) throw new SourceError(`${url.host} answers with status ${status}`);
  const signatures = wantsSignatures ? await signatureBeside(host, url) : undefined;
  const module = await digestInParts(bytes);
  if (sha256 === undefined || sha256 === module) {
    await cache?.keep({ reference: url.href, module, signatures: [...(signatures ?? [])] }, bytes);
  }
  return { bytes, digest: module, subject: { bytes }, signatures };
}

async function signatureBeside(host: SignedInHost, url: URL): Promise<readonly Signature[]> {
  const beside = new URL(url);
  beside.pathname += ".sig";
  const { status, body } = await host.get({ url: beside, maxBytes: maxSignatureBytes });
  const signature = status === 200 ? detachedSignature(Buffer.from(body).toString("latin1")) : undefined;
  return signature === undefined ? [] : [signature];
}
