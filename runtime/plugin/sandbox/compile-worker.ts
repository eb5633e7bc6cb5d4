/** The thread in which modules are rewritten and compiled, so that the sidecar's own is not held up. */
import { queryObjects } from "node:v8";
import { compileFunction } from "node:vm";
import { parentPort } from "node:worker_threads";
import { textsInData } from "./data-texts.ts";
import { type PartBytes, shareLimits } from "./part-limits.ts";
import { rewrite } from "./rewrite.ts";
import { SandboxError } from "./sandbox-error.ts";
import type { SandboxLimits } from "./sandboxed-module.ts";

/** What the worker is asked: one module at a time, or all modules of one component, which share the limits. */
export interface CompileRequest {
  readonly bytes: Uint8Array<ArrayBuffer> | readonly PartBytes[];
  readonly limits: SandboxLimits;
  /** What to look for among the data of a module. */
  readonly texts?: readonly string[] | undefined;
  /** What links the modules of a component: code is made of it, and it does not run. */
  readonly glue?: FunctionText | undefined;
}

/** JavaScript: the body of a function, and what its parameters are called. */
export interface FunctionText {
  readonly text: string;
  readonly parameters: readonly string[];
}

/** A module as the sandbox rewrote it. */
export interface CompiledBytes {
  readonly module: WebAssembly.Module;
  readonly rewrittenBytes: number;
  readonly codeMap: Uint8Array<ArrayBuffer>;
  /** Those of the texts that are among its data, when it was to be looked for some. */
  readonly texts?: readonly string[];
}

/** What it answers: of a component, the parts in their order. */
export type CompileReply =
  | {
      readonly outcome: "compiled";
      readonly modules: readonly CompiledBytes[];
      readonly glueCode?: Uint8Array<ArrayBuffer> | undefined;
    }
  | { readonly outcome: "refused"; readonly message: string; readonly offset: number | undefined };

async function compile({ bytes, limits, texts, glue }: CompileRequest): Promise<CompileReply> {
  try {
    if (bytes instanceof Uint8Array) return { outcome: "compiled", modules: [await compileOne(bytes, limits, texts)] };
    const modules: CompiledBytes[] = [];
    const shares = shareLimits(bytes, limits);
    for (const [index, part] of bytes.entries()) modules.push(await compileOne(part.bytes, shares[index] ?? limits));
    return { outcome: "compiled", modules, glueCode: glue && codeOf(glue) };
  } catch (error) {
    if (!(error instanceof SandboxError)) throw error;
    return { outcome: "refused", message: error.message, offset: error.offset };
  }
}

async function compileOne(
  bytes: Uint8Array<ArrayBuffer>,
  limits: SandboxLimits,
  texts?: readonly string[],
): Promise<CompiledBytes> {
  const { bytes: rewritten, codeMap } = rewrite(bytes, limits);
  const module = await WebAssembly.compile(rewritten).catch((error: unknown) => explain(bytes, error));
  const found = texts && { texts: textsInData(bytes, texts) };
  return { module, rewrittenBytes: rewritten.length, codeMap, ...found };
}

/** Of this process only: another may run with other flags, and would refuse it. Undefined when the engine has none to give. */
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

parentPort?.on("message", async (request: CompileRequest) => {
  const { bytes } = request;
  const byteLength =
    bytes instanceof Uint8Array ? bytes.length : bytes.reduce((sum, part) => sum + part.bytes.length, 0);
  parentPort?.postMessage(await compile(request));
  uncollected += byteLength;
  if (uncollected < uncollectedBytes) return;
  uncollected = 0;
  setTimeout(collect, collectAfterMs);
});
