/** The thread in which modules are rewritten and compiled, so that the sidecar's own is not held up. */
import { queryObjects } from "node:v8";
import { parentPort } from "node:worker_threads";
import { messageOf } from "../../../components/thrown.ts";
import { textsInData } from "./data-texts.ts";
import { fuelShares, type PartBytes, shareLimits } from "./part-limits.ts";
import { rewrite } from "./rewrite.ts";
import { SandboxError } from "./sandbox-error.ts";
import type { SandboxLimits } from "./sandboxed-module.ts";

/** What the worker is asked: one module at a time, or all modules of one component, which share the limits. */
export interface CompileRequest {
  readonly bytes: Uint8Array<ArrayBuffer> | readonly PartBytes[];
  readonly limits: SandboxLimits;
  /** What to look for among the data of a module. */
  readonly texts?: readonly string[] | undefined;
  readonly finish?: Finish | undefined;
}

/** Modules that were rewritten before. */
export interface RecompileRequest {
  readonly rewritten: readonly RewrittenPart[];
  readonly finish: Finish;
}

/** What else is done in the thread before it answers. */
export interface Finish {
  /** Address of a module that exports a Finisher as `finish`. */
  readonly module: string;
  /** What it is told. */
  readonly task: unknown;
}

/** A module for a request that comes soon; nothing is answered. */
export interface LoadRequest {
  readonly load: string;
}

/** Never rejects. */
export type Finisher<Task, Made> = (
  parts: readonly (RewrittenPart & { readonly module: WebAssembly.Module })[],
  task: Task,
) => Promise<{
  /** What is answered beside the modules. */
  readonly made: Made;
  /** Bytes that it left to be collected. */
  readonly garbage: number;
}>;

/** A core module of a component, rewritten with the limits that it has. */
export interface RewrittenPart {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly codeMap: Uint8Array<ArrayBuffer>;
  readonly originalBytes: number;
  readonly fuelShare: number;
}

/** A module that was compiled. */
export interface CompiledBytes {
  readonly module: WebAssembly.Module;
  readonly originalBytes: number;
  readonly rewrittenBytes: number;
  readonly codeMap: Uint8Array<ArrayBuffer>;
  /** Of a part of a component. */
  readonly fuelShare?: number;
  /** Those of the texts that are among its data, when it was to be looked for some. */
  readonly texts?: readonly string[];
}

/** What it answers: of a component, the parts in their order. */
export type CompileReply =
  | {
      readonly outcome: "compiled";
      readonly modules: readonly CompiledBytes[];
      /** By the finisher. */
      readonly made?: unknown;
    }
  | { readonly outcome: "refused"; readonly message: string; readonly offset: number | undefined };

async function compile(request: CompileRequest | RecompileRequest): Promise<CompileReply> {
  if ("rewritten" in request) return await recompile(request);
  const { bytes, limits, texts, finish } = request;
  try {
    if (!(bytes instanceof Uint8Array)) return await compileParts(bytes, limits, finish);
    const { module, ...compiled } = await compileOne(bytes, limits);
    const found = texts && { texts: textsInData(bytes, texts) };
    const rewrittenBytes = compiled.bytes.length;
    const { codeMap } = compiled;
    return {
      outcome: "compiled",
      modules: [{ module, codeMap, originalBytes: bytes.length, rewrittenBytes, ...found }],
    };
  } catch (error) {
    if (!(error instanceof SandboxError)) throw error;
    return { outcome: "refused", message: error.message, offset: error.offset };
  }
}

async function compileParts(
  originals: readonly PartBytes[],
  limits: SandboxLimits,
  finish: Finish | undefined,
): Promise<CompileReply> {
  const shares = shareLimits(originals, limits);
  const fuel = fuelShares(originals);
  const parts: FinishedPart[] = [];
  for (const [index, { bytes }] of originals.entries()) {
    const compiled = await compileOne(bytes, shares[index] ?? limits);
    parts.push({ ...compiled, originalBytes: bytes.length, fuelShare: fuel[index] ?? 1 });
  }
  return await finished(parts, finish);
}

async function recompile({ rewritten, finish }: RecompileRequest): Promise<CompileReply> {
  const compiled = rewritten.map(async (part) => ({ ...part, module: await WebAssembly.compile(part.bytes) }));
  return await finished(await Promise.all(compiled), finish);
}

type FinishedPart = Parameters<Finisher<unknown, unknown>>[0][number];

async function finished(parts: readonly FinishedPart[], finish: Finish | undefined): Promise<CompileReply> {
  const modules = parts.map(({ bytes, ...part }) => ({ ...part, rewrittenBytes: bytes.length }));
  if (finish === undefined) return { outcome: "compiled", modules };
  const loaded: { readonly finish: Finisher<unknown, unknown> } = await import(finish.module);
  const { made, garbage } = await loaded.finish(parts, finish.task);
  uncollected += garbage;
  return { outcome: "compiled", modules, made };
}

async function compileOne(
  bytes: Uint8Array<ArrayBuffer>,
  limits: SandboxLimits,
): Promise<{ module: WebAssembly.Module; bytes: Uint8Array<ArrayBuffer>; codeMap: Uint8Array<ArrayBuffer> }> {
  const rewritten = rewrite(bytes, limits);
  const module = await WebAssembly.compile(rewritten.bytes).catch((error: unknown) => explain(bytes, error));
  return { module, ...rewritten };
}

/** The engine's message is about the bytes that it was given; an author knows those of the original. */
async function explain(original: Uint8Array<ArrayBuffer>, error: unknown): Promise<never> {
  const reason = await WebAssembly.compile(original).then(
    () => `it is valid, but not as the sandbox rewrites it: ${messageOf(error)}`,
    messageOf,
  );
  throw new SandboxError(`the module does not validate: ${reason.replace(/^WebAssembly\.compile\(\): /, "")}`);
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

parentPort?.on("message", async (request: CompileRequest | RecompileRequest | LoadRequest) => {
  // What cannot be loaded fails the request that needs it.
  if ("load" in request) return await import(request.load).catch(() => undefined);
  const byteLength = sizeOf(request);
  const reply = await compile(request);
  parentPort?.postMessage(reply);
  uncollected += byteLength;
  if (uncollected < uncollectedBytes) return;
  uncollected = 0;
  setTimeout(collect, collectAfterMs);
});
