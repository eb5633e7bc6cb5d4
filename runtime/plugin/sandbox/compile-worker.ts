/** The thread in which modules are rewritten and compiled, so that the sidecar's own is not held up. */
import { queryObjects } from "node:v8";
import { compileFunction } from "node:vm";
import { parentPort } from "node:worker_threads";
import { textsInData } from "./data-texts.ts";
import { type PartBytes, shareLimits } from "./part-limits.ts";
import { rewrite } from "./rewrite.ts";
import { SandboxError } from "./sandbox-error.ts";
import type { FunctionText } from "./sandboxed-component.ts";
import type { SandboxLimits } from "./sandboxed-module.ts";

/** What the worker is asked: one module at a time, or all modules of one component, which share the limits. */
export interface CompileRequest {
  readonly bytes: Uint8Array<ArrayBuffer> | readonly PartBytes[];
  readonly limits: SandboxLimits;
  /** What to look for among the data of a module. */
  readonly texts?: readonly string[] | undefined;
  /** What links the modules of a component: code is made of it, and it does not run. */
  readonly glue?: FunctionText | undefined;
  /** `nothing` of the rewritten bytes is sent back by default. */
  readonly sends?: "nothing" | "rewritten bytes" | undefined;
}

/** Modules that were rewritten before. */
export interface RecompileRequest {
  readonly rewritten: readonly { readonly bytes: Uint8Array<ArrayBuffer>; readonly codeMap: Uint8Array<ArrayBuffer> }[];
}

/** A module as the sandbox rewrote it. */
export interface CompiledBytes {
  readonly module: WebAssembly.Module;
  readonly rewrittenBytes: number;
  readonly codeMap: Uint8Array<ArrayBuffer>;
  /** Those of the texts that are among its data, when it was to be looked for some. */
  readonly texts?: readonly string[];
  /** When they were to be sent. */
  readonly bytes?: Uint8Array<ArrayBuffer>;
}

/** What it answers: of a component, the parts in their order. */
export type CompileReply =
  | {
      readonly outcome: "compiled";
      readonly modules: readonly CompiledBytes[];
      readonly glueCode?: Uint8Array<ArrayBuffer> | undefined;
    }
  | { readonly outcome: "refused"; readonly message: string; readonly offset: number | undefined };

async function compile(request: CompileRequest | RecompileRequest): Promise<CompileReply> {
  if ("rewritten" in request) return { outcome: "compiled", modules: await recompile(request) };
  const { bytes, limits, texts, glue, sends } = request;
  try {
    if (bytes instanceof Uint8Array) {
      const { bytes: _rewritten, ...compiled } = await compileOne(bytes, limits, texts);
      return { outcome: "compiled", modules: [compiled] };
    }
    const modules: CompiledBytes[] = [];
    const shares = shareLimits(bytes, limits);
    for (const [index, part] of bytes.entries()) {
      const { bytes: rewritten, ...compiled } = await compileOne(part.bytes, shares[index] ?? limits);
      modules.push({ ...compiled, ...(sends === "rewritten bytes" && { bytes: rewritten }) });
    }
    return { outcome: "compiled", modules, glueCode: glue && codeOf(glue) };
  } catch (error) {
    if (!(error instanceof SandboxError)) throw error;
    return { outcome: "refused", message: error.message, offset: error.offset };
  }
}

async function recompile({ rewritten }: RecompileRequest): Promise<CompiledBytes[]> {
  return await Promise.all(
    rewritten.map(async ({ bytes, codeMap }) => {
      return { module: await WebAssembly.compile(bytes), rewrittenBytes: bytes.length, codeMap };
    }),
  );
}

async function compileOne(
  bytes: Uint8Array<ArrayBuffer>,
  limits: SandboxLimits,
  texts?: readonly string[],
): Promise<CompiledBytes & { readonly bytes: Uint8Array<ArrayBuffer> }> {
  const { bytes: rewritten, codeMap } = rewrite(bytes, limits);
  const module = await WebAssembly.compile(rewritten).catch((error: unknown) => explain(bytes, error));
  const found = texts && { texts: textsInData(bytes, texts) };
  return { module, rewrittenBytes: rewritten.length, codeMap, bytes: rewritten, ...found };
}

/** For the same engine with the same flags; another refuses it. Undefined when the engine has none to give. */
function codeOf({ text, parameters }: FunctionText): Uint8Array<ArrayBuffer> | undefined {
  const { cachedData } = compileFunction(text, parameters, { produceCachedData: true });
  return cachedData && new Uint8Array(cachedData);
}

/** The engine's message is about the bytes that it was given; an author knows those of the original. */
async function explain(original: Uint8Array<ArrayBuffer>, error: unknown): Promise<never> {
  const reason = await WebAssembly.compile(original).then(
    () => `it is valid, but not as the sandbox rewrites it: ${messageOf(error)}`,
    messageOf,
  );
  throw new SandboxError(`the module does not validate: ${reason.replace(/^WebAssembly\.compile\(\): /, "")}`);
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** So much of modules may wait in this thread to be let go: to collect makes the next module slower. */
const uncollectedBytes = 8 * 1024 ** 2;
/** After the switch to what was compiled, not during it. */
const collectAfterMs = 250;
let uncollected = 0;

/** A class of which there is nothing. */
class Nothing {}

/**
 * Compiled code is freed when no thread knows its module any more. This one has next to no garbage by which the engine would be
 * led to collect, and would keep a hundred megabytes of replaced modules; looking for objects collects first.
 */
function collect(): void {
  queryObjects(Nothing);
}

const lengthOf = (parts: readonly { readonly bytes: Uint8Array }[]): number =>
  parts.reduce((sum, { bytes }) => sum + bytes.length, 0);

function sizeOf(request: CompileRequest | RecompileRequest): number {
  if ("rewritten" in request) return lengthOf(request.rewritten);
  return request.bytes instanceof Uint8Array ? request.bytes.length : lengthOf(request.bytes);
}

parentPort?.on("message", async (request: CompileRequest | RecompileRequest) => {
  const byteLength = sizeOf(request);
  const reply = await compile(request);
  const sent = reply.outcome === "compiled" ? reply.modules.flatMap(({ bytes }) => bytes?.buffer ?? []) : [];
  parentPort?.postMessage(reply, sent);
  uncollected += byteLength;
  if (uncollected < uncollectedBytes) return;
  uncollected = 0;
  setTimeout(collect, collectAfterMs);
});
