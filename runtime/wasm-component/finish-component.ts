/** What is done with a component in the thread that compiled it, so that the sidecar's own is not held up. */
import { createHash } from "node:crypto";
import { setTimeout } from "node:timers/promises";
import type { Finisher } from "../plugin/sandbox/compile-worker.ts";
import type { SandboxLimits } from "../plugin/sandbox/sandboxed-module.ts";
import { evaluateGlue } from "./evaluate-glue.ts";
import { encodeReady, type ReadyComponent } from "./ready-component.ts";
import { rehearse } from "./rehearsal.ts";
import { TranspileCache } from "./transpile-cache.ts";

export interface FinishTask {
  /** Of the original bytes. */
  readonly digest: string;
  readonly limits: SandboxLimits;
  readonly glue: string;
  /** Under which the glue asks for the parts, in their order. */
  readonly names: readonly string[];
  readonly imports: readonly string[];
  readonly exports: readonly string[];
  /** Made of the glue before. */
  readonly glueCode?: Uint8Array<ArrayBuffer>;
  /** Where it is kept for the next start; nowhere by default. */
  readonly keep?: { readonly directory: string; readonly maxBytes: number; readonly key: string } | undefined;
}

/** What the thread answers. */
export interface Finished {
  /** As the engine takes it for cached data. */
  readonly glueCode: Uint8Array<ArrayBuffer>;
}

/** Longest time that a deploy waits for the disk. */
const keepMs = 2_000;

/**
 * Rehearses what was compiled, and keeps it: without what could not be kept the next start takes a tenth of a second longer. What a
 * slow disk has not taken in time it takes afterwards.
 */
export const finish: Finisher<FinishTask, Finished> = async (parts, task) => {
  const { digest, limits, glue, names, imports, exports, keep } = task;
  const cores = parts.map((part, index) => ({ ...part, name: names[index] ?? "" }));
  const { instantiate, takeCode } = evaluateGlue(glue, digest, task.glueCode);
  const modules = cores.map(({ bytes, name, ...part }) => {
    return [name, { ...part, digest, limits, rewrittenBytes: bytes.length }] as const;
  });
  const sizes = { originalBytes: 0, rewrittenBytes: 0 };
  const garbage = await rehearse({ cores: new Map(modules), instantiate, imports, exports, digest, limits, ...sizes });
  const glueCode = task.glueCode ?? takeCode();
  if (keep !== undefined) {
    const kept = put(keep, { glue, glueCode, cores, imports, exports }).catch(() => undefined);
    const waiting = new AbortController();
    await Promise.race([kept, setTimeout(keepMs, undefined, waiting).catch(() => undefined)]);
    waiting.abort();
  }
  return { made: { glueCode }, garbage };
};

async function put(
  { directory, maxBytes, key }: NonNullable<FinishTask["keep"]>,
  ready: ReadyComponent,
): Promise<void> {
  const pieces = encodeReady(ready);
  const hash = createHash("sha256");
  for (const piece of pieces) hash.update(piece);
  await new TranspileCache(directory, maxBytes).put(key, [...pieces, hash.digest()]);
}
