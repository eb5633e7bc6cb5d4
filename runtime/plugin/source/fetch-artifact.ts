/** Where plugins come from: a file, a URL or a registry. */
import type { KeyObject } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { codeOf } from "../../../components/thrown.ts";
import type { PluginSignatures, PluginSources } from "../../config/plugin-sources.ts";
import { hasOwnManifest, makeArtifact, type PluginArtifact, readManifestBeside, readModule } from "../artifact.ts";
import { checkModule, type ModuleCheck } from "../module-check.ts";
import { PluginError } from "../plugin-error.ts";
import { maxModuleBytes } from "../sandbox/module-limit.ts";
import { AddressGuard } from "./address-guard.ts";
import { fetchFromHttp } from "./fetch-http.ts";
import { fetchFromRegistry } from "./fetch-oci.ts";
import type { Transport } from "./http-get.ts";
import { PullCache } from "./pull-cache.ts";
import { digestPattern, parseReference, type Reference } from "./reference.ts";
import { isSigned, readKeys, requiresSignature, type Signature, type Subject, unsigned } from "./signature.ts";
import { signatureBeside, strayManifest } from "./signed-file.ts";
import { SourceError } from "./source-error.ts";

/** Whether what was fetched before will do, as in Istio. */
export type PullPolicy = "IfNotPresent" | "Always";

export interface FetchOptions {
  readonly sources: PluginSources;
  readonly signatures: PluginSignatures;
  /** Where fetched modules are kept: the folder `pulled` in it. Without it nothing is kept. */
  readonly directory?: string | undefined;
  /** A manifest (YAML) in place of the one beside the module or inside it. */
  readonly manifest?: string | undefined;
  /** What the module must have, or of an image its manifest: `sha256:` and hex, or hex. */
  readonly sha256?: string | undefined;
  /** Default `Always` for `latest` and for what has neither a tag nor a digest, else `IfNotPresent`. */
  readonly pull?: PullPolicy | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Told of the bytes so far, and of how many there are when that is known. */
  readonly progress?: ((received: number, total: number | undefined) => void) | undefined;
  /** Look for signatures also where none is required. */
  readonly wantsSignatures?: boolean | undefined;
}

/** A module with where it is from. */
export interface FetchedModule {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly check: ModuleCheck;
  readonly reference: Reference;
  /** Of an image: the digest of its manifest. */
  readonly image: string | undefined;
  /** `unchecked`: signed, and there is no key that it could be checked with; undefined when nobody looked. */
  readonly signature: "good" | "unchecked" | "wrong" | "none" | undefined;
  readonly mustBeSigned: boolean;
}

/** What a way to fetch is told. */
export interface Errand<Kind extends Reference = Reference> {
  readonly reference: Kind;
  readonly transport: Transport;
  readonly sources: PluginSources;
  readonly maxBytes: number;
  readonly cache: PullCache | undefined;
  readonly pull: PullPolicy | undefined;
  readonly sha256: string | undefined;
  readonly wantsSignatures: boolean;
  /** Whether what was fetched before has the signatures that are wanted. */
  readonly suffices: (haul: Haul) => boolean;
  readonly progress: FetchOptions["progress"];
}

/** What a way to fetch brings. */
export interface Haul {
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** `sha256:` and hex, where it was taken of the bytes. */
  readonly digest?: string;
  /** What may have been signed. */
  readonly subject: Subject;
  readonly image?: string;
  /** Undefined when nobody looked. */
  readonly signatures: readonly Signature[] | undefined;
}

const maxManifestCharacters = 256 * 1024;

/**
 * Fetches a plugin by `file:PATH`, `PATH`, `http(s)://…` or `oci://host/name:tag` or `…@sha256:…`. Rejects with PluginError
 * (`refused`), one sentence without secrets: it is not there, not what was asked for, not signed, too large or too slow.
 */
export async function fetchArtifact(reference: string, options: FetchOptions): Promise<PluginArtifact> {
  const fetched = await fetchModule(reference, options);
  return artifactOf(fetched, options.manifest);
}

/** The artifact that a module is, with a manifest in place of its own. Throws PluginError (`refused`) when it is wrong. */
export async function artifactOf(
  { bytes, check, reference, mustBeSigned }: FetchedModule,
  manifest?: string,
): Promise<PluginArtifact> {
  const { shown, stem } = reference;
  if (manifest !== undefined && manifest.length > maxManifestCharacters) {
    throw refusal(reference, `the manifest has more than ${maxManifestCharacters} characters`);
  }
  const given = manifest === undefined ? undefined : { text: manifest, path: "the manifest given" };
  const beside = given ?? (reference.kind === "file" ? await readManifestBeside(reference.path) : undefined);
  const artifact = makeArtifact(bytes, shown, beside, stem, check);
  if (mustBeSigned && !hasOwnManifest(artifact, stem)) throw refusal(reference, strayManifest);
  return artifact;
}

/** As `fetchArtifact`, of the module alone, with what is known of its origin. */
export async function fetchModule(text: string, options: FetchOptions): Promise<FetchedModule> {
  const reference = parseReference(text);
  const late = timeLimit(options.sources.timeout);
  try {
    return await fetchSigned(reference, options, late.signal);
  } catch (error) {
    throw translated(error, reference);
  } finally {
    late.end();
  }
}

async function fetchSigned(reference: Reference, options: FetchOptions, late: AbortSignal): Promise<FetchedModule> {
  const { sources, signatures: wanted, directory, signal, progress } = options;
  signal?.throwIfAborted();
  const sha256 = options.sha256 === undefined ? undefined : wholeDigest(options.sha256);
  const keys = await readKeys(wanted.keys);
  const named = reference.kind === "file" ? `file:${reference.path}` : reference.shown;
  const mustBeSigned = requiresSignature(named, wanted.require);
  const wantsSignatures = mustBeSigned || options.wantsSignatures === true;
  const errand = {
    transport: {
      signal: signal === undefined ? late : AbortSignal.any([signal, late]),
      home: "",
      insecure: sources.insecure,
      guard: new AddressGuard(sources.allowPrivateAddresses),
      ca: sources.ca === undefined ? undefined : await readCertificates(sources.ca),
    },
    sources,
    maxBytes: maxModuleBytes,
    cache: directory === undefined ? undefined : new PullCache(join(directory, "pulled"), sources.cacheBytes),
    pull: options.pull,
    sha256,
    wantsSignatures,
    suffices: (haul: Haul) => !wantsSignatures || judge(haul, keys) === "good",
    progress,
  };
  const haul = await fetchBy(reference, errand);
  const check = await checkModule(haul.bytes, haul.digest);
  requireDigest(check, haul.image, sha256);
  const signature = judge(haul, keys);
  if (mustBeSigned && signature !== "good") {
    throw new SourceError(unsigned(haul.signatures ?? []));
  }
  return { bytes: haul.bytes, check, reference, image: haul.image, signature, mustBeSigned };
}

function fetchBy(reference: Reference, errand: Omit<Errand, "reference">): Promise<Haul> {
  switch (reference.kind) {
    case "file":
      return fetchFromFile({ ...errand, reference });
    case "http":
      return fetchFromHttp({ ...errand, reference });
    case "oci":
      return fetchFromRegistry({ ...errand, reference });
  }
}

async function fetchFromFile({
  reference: { path },
  wantsSignatures,
}: Errand<Extract<Reference, { kind: "file" }>>): Promise<Haul> {
  const bytes = await readModule(path).catch((cause: unknown) => {
    if (cause instanceof PluginError) throw cause;
    throw new SourceError(`the file cannot be read (${codeOf(cause) ?? "unknown error"})`, {
      cause,
    });
  });
  if (!wantsSignatures) return { bytes, subject: { bytes }, signatures: undefined };
  return { bytes, subject: { bytes }, signatures: await signatureBeside(path) };
}

function judge({ subject, signatures }: Haul, keys: readonly KeyObject[]): FetchedModule["signature"] {
  if (signatures === undefined) return undefined;
  if (signatures.length === 0) return "none";
  if (keys.length === 0) return "unchecked";
  return isSigned(subject, signatures, keys) ? "good" : "wrong";
}

function wholeDigest(text: string): string {
  const digest = `sha256:${text.replace(/^sha256:/, "").toLowerCase()}`;
  if (digestPattern.test(digest)) return digest;
  throw new SourceError("the sha256 that it should have is none; expected 64 hexadecimal digits");
}

function requireDigest({ digest }: ModuleCheck, image: string | undefined, sha256: string | undefined): void {
  if (sha256 === undefined || sha256 === image || sha256 === digest) return;
  const found = image === undefined ? digest : `${digest}, in an image of ${image}`;
  throw new SourceError(`it is ${found}, and ${sha256} was asked for`);
}

async function readCertificates(path: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (cause) {
    throw new SourceError(`the file ${path} of plugins.sources.ca cannot be read`, { cause });
  }
}

function timeLimit(milliseconds: number): { readonly signal: AbortSignal; end(): void } {
  const controller = new AbortController();
  const reason = new SourceError(`it takes longer than ${milliseconds / 1_000}s (plugins.sources.timeout)`);
  const timer = setTimeout(() => controller.abort(reason), milliseconds);
  return { signal: controller.signal, end: () => clearTimeout(timer) };
}

/** What the caller ended by itself stays what it is. */
function translated(error: unknown, reference: Reference): unknown {
  return error instanceof SourceError ? refusal(reference, error.message, error) : error;
}

function refusal({ stem, shown }: Reference, why: string, cause?: unknown): PluginError {
  return new PluginError(stem, "", "refused", `plugin '${stem}' cannot be fetched from ${shown}: ${why}`, { cause });
}
