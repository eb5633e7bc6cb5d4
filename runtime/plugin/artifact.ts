import { basename } from "node:path";
import { codeOf } from "../../components/thrown.ts";
import { manifestExtensions } from "./companion-files.ts";
import { digestOf } from "./digest.ts";
import { bareManifest, type Manifest, parseManifest } from "./manifest.ts";
import { checkModule, type ModuleCheck } from "./module-check.ts";
import { unpackManifest } from "./packed-manifest.ts";
import { PluginError } from "./plugin-error.ts";
import { kindByExports } from "./plugin-kind.ts";
import { readRegularFile, UnreadableFile } from "./regular-file.ts";
import { maxModuleBytes } from "./sandbox/module-limit.ts";
import { type FrameProblem, frameProblem } from "./wasm-sections.ts";

/** What is deployed: a module and its manifest. */
export interface PluginArtifact extends ModuleCheck {
  readonly manifest: Manifest;
  /** The manifest as it was given, in YAML; of a bare module its name alone. */
  readonly manifestText: string;
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Where it came from, for messages. */
  readonly origin: string;
}

/** The largest manifest that is read from a file. */
const maxManifestBytes = 1024 ** 2;

/**
 * Reads `orders.wasm` and the manifest beside it, or inside it; without either it is a plugin named after the file. A
 * manifest beside the module replaces the one inside. Throws PluginError (`refused`) when the manifest is wrong.
 */
export async function readArtifact(path: string): Promise<PluginArtifact> {
  const bytes = await readModule(path);
  return makeArtifact(bytes, path, await readManifestBeside(path), undefined, await checkModule(bytes));
}

/** The module in a file. Rejects with PluginError (`refused`) when it is larger than any may be, or no file. */
export async function readModule(path: string): Promise<Uint8Array<ArrayBuffer>> {
  const { buffer, byteOffset, length } = await readBeside(path, path, maxModuleBytes, "a module");
  return new Uint8Array(buffer, byteOffset, length);
}

/** The manifest beside a module in a file. Rejects with PluginError (`refused`) when it is too large, or no file. */
export async function readManifestBeside(path: string): Promise<{ text: string; path: string } | undefined> {
  for (const extension of manifestExtensions) {
    const beside = path.replace(/\.wasm$/, extension);
    try {
      const bytes = await readBeside(path, beside, maxManifestBytes, "a manifest");
      return { text: bytes.toString("utf8"), path: beside };
    } catch (error) {
      if (codeOf(error) !== "ENOENT") throw error;
    }
  }
  return undefined;
}

/**
 * Whether the manifest is of the module itself: inside it or, where there is none, that of a bare one. Otherwise it was beside
 * the module or given, and a signature of the module does not cover it.
 */
export function hasOwnManifest({ bytes, manifestText }: PluginArtifact, fileName: string): boolean {
  return manifestText === (unpackManifest(bytes)?.manifest ?? bareText(fileName));
}

async function readBeside(module: string, path: string, maxBytes: number, what: string): Promise<Buffer<ArrayBuffer>> {
  try {
    return await readRegularFile(path, maxBytes, what);
  } catch (error) {
    if (!(error instanceof UnreadableFile)) throw error;
    throw new PluginError(basename(module, ".wasm"), "", "refused", error.message, { cause: error });
  }
}

/**
 * As `readArtifact`, of bytes that are at hand; without a manifest it is called `fileName`. They are read through at once unless
 * that was done before.
 */
export function makeArtifact(
  bytes: Uint8Array<ArrayBuffer>,
  path: string,
  beside?: { readonly text: string; readonly path: string },
  fileName: string = basename(path, ".wasm"),
  { digest, problem }: ModuleCheck = { digest: digestOf(bytes), problem: moduleProblem(bytes) },
): PluginArtifact {
  const { text, source } = givenManifest(bytes, path, beside);
  const kind = kindByExports(bytes);
  const manifest =
    text === undefined ? bareManifest(fileName, path, kind) : parseManifest(text, source, fileName, kind);
  const manifestText = text ?? bareText(manifest.name);
  return { manifest, manifestText, bytes, digest, problem, origin: path };
}

const bareText = (name: string): string => `name: ${name}\n`;

function givenManifest(
  bytes: Uint8Array,
  path: string,
  beside: { readonly text: string; readonly path: string } | undefined,
): { readonly text: string | undefined; readonly source: string } {
  if (beside !== undefined) return { text: beside.text, source: beside.path };
  return { text: unpackManifest(bytes)?.manifest, source: path };
}

/** What is wrong with the file as a file: it is cut off, or is not WebAssembly. */
export const moduleProblem = (bytes: Uint8Array): FrameProblem | undefined =>
  unpackManifest(bytes)?.problem ?? frameProblem(bytes);

/** Throws PluginError (`refused`) when the file is cut off, or is not WebAssembly. */
export function requireWhole({ manifest, problem, origin }: PluginArtifact): void {
  if (problem === undefined) return;
  const message = `plugin '${manifest.name}' cannot be deployed from ${origin}: ${problem.message}`;
  throw new PluginError(manifest.name, manifest.version, "refused", message);
}
