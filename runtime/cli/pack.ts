import { randomUUID } from "node:crypto";
import { readFile, rename, rm, writeFile } from "node:fs/promises";
import { messageOf } from "../../components/thrown.ts";
import { makeArtifact, readManifestBeside, readModule, requireWhole } from "../plugin/artifact.ts";
import { packManifest, unpackManifest } from "../plugin/packed-manifest.ts";
import { isComponentBinary } from "../plugin/sandbox/sandboxed-component.ts";
import { readComponent } from "../wasm-component/component-binary.ts";
import type { CliOptions } from "./cli.ts";

export interface PackOptions {
  /** The manifest; default the one beside the module, else the one inside it. */
  readonly manifest: string | undefined;
  /** Default the module's own file. */
  readonly output: string | undefined;
}

/** `outrigger pack FILE.wasm`: puts a manifest into its module, which stays valid WebAssembly. Throws when either is wrong. */
export async function pack(
  file: string,
  { manifest, output = file }: PackOptions,
  { out }: Pick<CliOptions, "out">,
): Promise<number> {
  const bytes = await readModule(file);
  const given =
    manifest === undefined
      ? ((await readManifestBeside(file)) ?? insideOf(bytes, file))
      : { text: await readFile(manifest, "utf8"), path: manifest };
  if (given === undefined) throw new Error(`there is no manifest beside ${file}; name one with --manifest`);
  const packed = packManifest(bytes, given.text);
  // What was wrong with the old file, the module of another manifest, must not be made good by packing it anew.
  requireWhole(makeArtifact(bytes, file, given));
  const artifact = makeArtifact(packed, output, given);
  await requireValid(packed).catch((cause: unknown) => {
    throw new Error(`${file} is not a valid module: ${messageOf(cause)}`, { cause });
  });
  await replace(output, packed);
  const { name, version } = artifact.manifest;
  out(`${output}: ${name} ${version}, ${packed.length} bytes, ${artifact.digest}`);
  return 0;
}

/** A component is read where its outside is concerned: whether it is valid within is found out when it is deployed. */
async function requireValid(bytes: Uint8Array<ArrayBuffer>): Promise<void> {
  if (isComponentBinary(bytes)) readComponent(bytes);
  else await WebAssembly.compile(bytes);
}

function insideOf(bytes: Uint8Array, path: string): { readonly text: string; readonly path: string } | undefined {
  const packed = unpackManifest(bytes);
  return packed === undefined ? undefined : { text: packed.manifest, path };
}

/** A sidecar that watches the folder sees the old file or the new one, and passes over what is being written. */
async function replace(path: string, bytes: Uint8Array): Promise<void> {
  const part = `${path}.${randomUUID()}.part`;
  try {
    await writeFile(part, bytes);
    await rename(part, path);
  } catch (error) {
    await rm(part, { force: true });
    throw error;
  }
}
