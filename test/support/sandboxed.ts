import { createHash } from "node:crypto";
import { textsInData } from "../../runtime/plugin/sandbox/data-texts.ts";
import { rewrite } from "../../runtime/plugin/sandbox/rewrite.ts";
import type { SandboxedModule, SandboxLimits } from "../../runtime/plugin/sandbox/sandboxed-module.ts";
import { soughtTexts } from "../../runtime/proxy-wasm/sought-texts.ts";

const testLimits: SandboxLimits = { memoryBytes: 16 << 20, tableEntries: 10_000, startFuel: 1_000_000 };

/** Rewrites and compiles a module in this thread. */
export async function sandboxed(
  wasm: Uint8Array<ArrayBuffer>,
  limits: SandboxLimits = testLimits,
): Promise<SandboxedModule> {
  const { bytes: rewritten, codeMap } = rewrite(wasm, limits);
  return {
    module: await WebAssembly.compile(rewritten),
    digest: `sha256:${createHash("sha256").update(wasm).digest("hex")}`,
    limits,
    originalBytes: wasm.byteLength,
    rewrittenBytes: rewritten.byteLength,
    codeMap,
    texts: textsInData(wasm, soughtTexts),
  };
}
