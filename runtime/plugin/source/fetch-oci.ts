import { digestInParts } from "../digest.ts";
import { dockerCredentials } from "./docker-credentials.ts";
import type { Errand, Haul, PullPolicy } from "./fetch-artifact.ts";
import { speaksPlain } from "./http-get.ts";
import { imageOf, moduleOf } from "./oci-module.ts";
import { apiHost, OciRepository } from "./oci-registry.ts";
import type { PullCache, PullRecord } from "./pull-cache.ts";
import type { OciReference } from "./reference.ts";
import { type Signature, signaturesOf } from "./signature.ts";
import { SignedInHost } from "./signed-in-host.ts";
import { SourceError } from "./source-error.ts";

type Kept = NonNullable<Awaited<ReturnType<PullCache["find"]>>>;

/** Fetches a module from a registry, or takes what was fetched before as far as the policy allows that. */
export async function fetchFromRegistry(errand: Errand<OciReference>): Promise<Haul> {
  const { reference, cache, sha256 } = errand;
  const kept = await cache?.find(reference.shown);
  const isRight = kept !== undefined && (sha256 === undefined || hasDigest(kept.record, sha256));
  if (isRight && policyOf(errand) === "IfNotPresent") {
    const haul = haulOf(kept);
    if (errand.suffices(haul)) return haul;
  }
  return pull(errand, kept);
}

/** As in Istio: what is named by a digest does not change, and `latest` may at any time. */
function policyOf({ reference: { tag, digest }, sha256, pull }: Errand<OciReference>): PullPolicy {
  if (digest !== undefined || sha256 !== undefined) return "IfNotPresent";
  return pull ?? (tag === "latest" ? "Always" : "IfNotPresent");
}

const hasDigest = ({ module, image }: PullRecord, digest: string): boolean => module === digest || image === digest;

async function pull(errand: Errand<OciReference>, kept: Kept | undefined): Promise<Haul> {
  const { reference, cache, wantsSignatures, maxBytes, progress } = errand;
  const repository = repositoryOf(errand);
  const manifest = await repository.manifest(reference.digest ?? reference.tag);
  if (manifest === undefined) throw new SourceError("the registry has no such image");
  const image = await imageOf(repository, manifest);
  // An index may be what was signed, or the image that it leads to.
  const digests = [...new Set([manifest.digest, image.digest])];
  const signatures = wantsSignatures ? await signaturesOfAny(repository, digests) : undefined;
  const bytes =
    kept?.record.image === manifest.digest ? kept.bytes : await moduleOf(repository, image, maxBytes, progress);
  const module = kept?.bytes === bytes ? kept.record.module : await digestInParts(bytes);
  const record = {
    reference: reference.shown,
    module,
    image: manifest.digest,
    images: digests,
    signatures: [...(signatures ?? [])],
  };
  if (errand.sha256 === undefined || hasDigest(record, errand.sha256)) await cache?.keep(record, bytes);
  return { bytes, digest: module, subject: { digests }, image: manifest.digest, signatures };
}

function repositoryOf({ reference, transport, sources }: Errand<OciReference>): OciRepository {
  const { host, repository } = reference;
  const protocol = speaksPlain(host, sources.insecure) ? "http" : "https";
  const signedIn = new SignedInHost(
    { ...transport, home: new URL(`${protocol}://${apiHost(host)}`).host },
    () => dockerCredentials(sources.credentials, host, repository),
    `repository:${repository}:pull`,
  );
  return new OciRepository(signedIn, protocol, host, repository);
}

async function signaturesOfAny(repository: OciRepository, digests: readonly string[]): Promise<readonly Signature[]> {
  const found: Signature[] = [];
  for (const digest of digests) found.push(...(await signaturesOf(repository, digest)));
  return found;
}

function haulOf({ bytes, record: { module, image, images = [], signatures } }: Kept): Haul {
  return { bytes, digest: module, subject: { digests: images }, ...(image !== undefined && { image }), signatures };
}
