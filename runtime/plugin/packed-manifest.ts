/**
 * A manifest inside its module: the first section is a custom one named `outrigger.manifest`. It holds the length (u32, little
 * endian) and the SHA-256 of everything after the section, then the YAML. So a file that was cut off, wherever, is found out.
 */
import { createHash } from "node:crypto";
import { sha256InParts } from "./digest.ts";
import { type FrameProblem, firstSection, leb, readLeb } from "./wasm-sections.ts";

export const manifestSection = "outrigger.manifest";

const name = new TextEncoder().encode(manifestSection);
const preambleBytes = 8;
const digestBytes = 32;
const headBytes = 4 + digestBytes;
const sha256 = (bytes: Uint8Array): Buffer => createHash("sha256").update(bytes).digest();

/** The module with the manifest inside it, in place of one that it had. */
export function packManifest(bytes: Uint8Array, manifest: string): Uint8Array<ArrayBuffer> {
  const preamble = bytes.subarray(0, preambleBytes);
  const packed = findSection(bytes);
  const rest = bytes.subarray(packed?.end ?? preamble.length);
  const length = Buffer.alloc(4);
  length.writeUInt32LE(rest.length);
  const content = Buffer.concat([Buffer.from(leb(name.length)), name, length, sha256(rest), Buffer.from(manifest)]);
  return new Uint8Array(Buffer.concat([preamble, Buffer.from([0, ...leb(content.length)]), content, rest]));
}

/** The module as it was before a manifest was packed into it; the same bytes when there is none in it. */
export function withoutManifest(bytes: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  const packed = splitPacked(bytes);
  if (packed === undefined) return bytes;
  const whole = new Uint8Array(preambleBytes + packed.rest.length);
  whole.set(bytes.subarray(0, preambleBytes));
  whole.set(packed.rest, preambleBytes);
  return whole;
}

/** Whether the module has a manifest inside it. */
export const isPacked = (bytes: Uint8Array): boolean => findSection(bytes) !== undefined;

/** The manifest inside a module, and, read through when it is asked for, what is wrong with the rest of the file; undefined when it has none. */
export function unpackManifest(
  bytes: Uint8Array,
): { readonly manifest: string; readonly problem: FrameProblem | undefined } | undefined {
  const packed = splitPacked(bytes);
  if (packed === undefined) return undefined;
  return {
    manifest: new TextDecoder().decode(packed.content.subarray(headBytes)),
    get problem() {
      return lengthProblem(packed) ?? hashProblem(packed, sha256(packed.rest));
    },
  };
}

/** What `unpackManifest` tells as the problem, read through in parts; undefined also of a module without a manifest inside. */
export async function packedProblem(bytes: Uint8Array): Promise<FrameProblem | undefined> {
  const packed = splitPacked(bytes);
  if (packed === undefined) return undefined;
  return lengthProblem(packed) ?? hashProblem(packed, await sha256InParts(packed.rest));
}

/** What the section holds, and everything after it. */
interface Packed {
  readonly content: Uint8Array;
  readonly rest: Uint8Array;
}

function splitPacked(bytes: Uint8Array): Packed | undefined {
  const section = findSection(bytes);
  if (section === undefined || section.end > bytes.length) return undefined;
  return { content: bytes.subarray(section.contentStart, section.end), rest: bytes.subarray(section.end) };
}

function lengthProblem({ content, rest }: Packed): FrameProblem | undefined {
  if (content.length < headBytes) return foreign(`its section ${manifestSection} is too short`);
  const missing = Buffer.from(content.subarray(0, headBytes)).readUInt32LE() - rest.length;
  if (missing > 0) return { kind: "incomplete", message: `the file is cut off, ${missing} bytes are missing` };
  return missing === 0 ? undefined : foreign(another);
}

const hashProblem = ({ content }: Packed, hash: Buffer): FrameProblem | undefined =>
  hash.equals(content.subarray(4, headBytes)) ? undefined : foreign(another);

const another = "the module is not the one that was packed with its manifest";
const foreign = (message: string): FrameProblem => ({ kind: "foreign", message });

function findSection(bytes: Uint8Array): { readonly contentStart: number; readonly end: number } | undefined {
  const section = firstSection(bytes);
  if (section === undefined || section.id !== 0) return undefined;
  const length = readLeb(bytes, section.contentStart);
  if (length === undefined || length.value !== name.length) return undefined;
  const contentStart = length.end + length.value;
  if (!Buffer.from(name).equals(bytes.subarray(length.end, contentStart))) return undefined;
  return { contentStart, end: section.end };
}
