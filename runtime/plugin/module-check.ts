import { digestInParts } from "./digest.ts";
import { packedProblem } from "./packed-manifest.ts";
import { type FrameProblem, frameProblem } from "./wasm-sections.ts";

/** What reading a module through tells of it. */
export interface ModuleCheck {
  /** `sha256:` and hex, of the module as it lies in its file. */
  readonly digest: string;
  /** What is wrong with the file as a file: it is cut off, or is not WebAssembly. */
  readonly problem: FrameProblem | undefined;
}

/**
 * Reads a module through, once for a deploy, in parts between which others have their turn. Its digest is taken as it is given
 * when whoever brought the bytes took it of them on the way.
 */
export async function checkModule(bytes: Uint8Array, digest?: string): Promise<ModuleCheck> {
  return {
    digest: digest ?? (await digestInParts(bytes)),
    problem: (await packedProblem(bytes)) ?? frameProblem(bytes),
  };
}
