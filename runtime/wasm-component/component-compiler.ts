import { extname } from "node:path";
import { cachedDataVersionTag } from "node:v8";
import type { Finish } from "../plugin/sandbox/compile-worker.ts";
import { type SandboxCompiler, sha256 } from "../plugin/sandbox/compiler.ts";
import { SandboxError } from "../plugin/sandbox/sandbox-error.ts";
import type { SandboxedComponent } from "../plugin/sandbox/sandboxed-component.ts";
import { rewriterVersion, type SandboxLimits } from "../plugin/sandbox/sandboxed-module.ts";
import { turn } from "../turn.ts";
import { evaluateGlue, glueParameters } from "./evaluate-glue.ts";
import type { Finished, FinishTask } from "./finish-component.ts";
import { decodeReady, type ReadyComponent, readyVersion } from "./ready-component.ts";
import { TranspileCache } from "./transpile-cache.ts";
import { type AsyncInterfaces, decodeTranspiled, transpiledVersion, transpilerVersion } from "./transpiled.ts";
import { Transpiler, type TranspilerOptions } from "./transpiler.ts";

export interface ComponentCompilerOptions extends TranspilerOptions {
  /** Rewrites and compiles the core modules. */
  readonly modules: SandboxCompiler;
  /** What waits, and what is entered: it may be suspended. */
  readonly interfaces: AsyncInterfaces;
  /** Where transpiled components are kept for the next start; nowhere by default. */
  readonly directory?: string | undefined;
  /** How much of them; default 512 MiB. */
  readonly maxKeptBytes?: number;
  /** Larger components are refused; default 64 MiB. */
  readonly maxBytes?: number;
  /** How many compiled components are kept for the next deploy of the same bytes; default 16. */
  readonly cachedComponents?: number;
}

/** What the compiling thread does at last is here. */
export const finishModule = new URL(`./finish-component${extname(import.meta.url)}`, import.meta.url).href;

const toFinish = (task: FinishTask): Finish => ({ module: finishModule, task });

/** Makes components ready to be started, away from the event loop. The same bytes with the same limits are compiled once. */
export class ComponentCompiler implements AsyncDisposable {
  readonly #modules: SandboxCompiler;
  readonly #interfaces: AsyncInterfaces;
  readonly #maxBytes: number;
  readonly #cachedComponents: number;
  readonly #kept: TranspileCache | undefined;
  readonly #transpiler: Transpiler;
  /** In the order of their last use. */
  readonly #compiled = new Map<string, Promise<SandboxedComponent>>();

  constructor(options: ComponentCompilerOptions) {
    const { directory, maxKeptBytes = 512 * 1024 ** 2 } = options;
    this.#modules = options.modules;
    this.#interfaces = options.interfaces;
    this.#maxBytes = options.maxBytes ?? 64 * 1024 ** 2;
    this.#cachedComponents = options.cachedComponents ?? 16;
    this.#kept = directory === undefined ? undefined : new TranspileCache(directory, maxKeptBytes);
    this.#transpiler = new Transpiler(options);
  }

  /** Is spared taking the digest where that is known. Rejects with SandboxError when the component is refused, not valid, or takes too long. */
  async compile(bytes: Uint8Array<ArrayBuffer>, limits: SandboxLimits, known?: string): Promise<SandboxedComponent> {
    if (bytes.length > this.#maxBytes)
      throw new SandboxError(`the component has ${bytes.length} bytes, and the limit is ${this.#maxBytes}`);
    const digest = known ?? (await sha256(bytes));
    const key = [digest, limits.memoryBytes, limits.tableEntries, limits.startFuel].join(" ");
    const compiled = this.#compiled.get(key) ?? this.#compile(bytes, digest, { ...limits });
    this.#remember(key, compiled);
    return await compiled;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#transpiler[Symbol.asyncDispose]();
  }

  async #compile(bytes: Uint8Array<ArrayBuffer>, digest: string, limits: SandboxLimits): Promise<SandboxedComponent> {
    const { memoryBytes, tableEntries, startFuel } = limits;
    const engine = [process.version, cachedDataVersionTag(), ...glueParameters];
    const way = [rewriterVersion, readyVersion, ...engine];
    const key = await this.#keyOf(digest, [memoryBytes, tableEntries, startFuel, ...way]);
    const known = await this.#kept?.get(key);
    const { names, modules, glue, glueCode, imports, exports } =
      known === undefined
        ? await this.#rewrite(bytes, digest, limits, key)
        : await this.#recompile(decodeReady(known), digest, limits);
    await turn();
    const { instantiate } = evaluateGlue(glue, digest, glueCode);
    await turn();
    return {
      cores: new Map(names.flatMap((name, index) => (modules[index] ? [[name, modules[index]]] : []))),
      instantiate,
      imports,
      exports,
      digest,
      limits,
      originalBytes: bytes.length,
      rewrittenBytes: modules.reduce((sum, { rewrittenBytes }) => sum + rewrittenBytes, 0),
    };
  }

  async #recompile({ cores, ...ready }: ReadyComponent, digest: string, limits: SandboxLimits) {
    const names = cores.map(({ name }) => name);
    const parts = cores.map(({ name: _name, ...part }) => part);
    const modules = await this.#modules.recompileParts(
      parts,
      limits,
      digest,
      toFinish({ digest, limits, names, ...ready }),
    );
    return { ...ready, names, modules };
  }

  async #rewrite(bytes: Uint8Array<ArrayBuffer>, digest: string, limits: SandboxLimits, key: string) {
    const { cores, ...linked } = decodeTranspiled(await this.#transpiled(bytes, digest));
    const names = cores.map(({ name }) => name);
    const keep = this.#kept && { directory: this.#kept.directory, maxBytes: this.#kept.maxBytes, key };
    const finish = toFinish({ digest, limits, names, ...linked, keep });
    const { modules, made } = await this.#modules.compileParts(cores, limits, digest, finish);
    return { names, ...linked, modules, ...(made as Finished) };
  }

  async #transpiled(bytes: Uint8Array<ArrayBuffer>, digest: string): Promise<Uint8Array<ArrayBuffer>> {
    const key = await this.#keyOf(digest);
    const known = await this.#kept?.get(key);
    if (known !== undefined) return known;
    const transpiled = await this.#transpiler.transpile(bytes, this.#interfaces);
    // Without what could not be kept the next start takes a second longer, and nothing else.
    await this.#kept?.put(key, [transpiled]).catch(() => undefined);
    return transpiled;
  }

  async #keyOf(digest: string, more: readonly (string | number)[] = []): Promise<string> {
    const parts = [digest, transpilerVersion, transpiledVersion, this.#interfaces, ...more];
    return (await sha256(new TextEncoder().encode(JSON.stringify(parts)))).replace("sha256:", "");
  }

  #remember(key: string, compiled: Promise<SandboxedComponent>): void {
    this.#compiled.delete(key);
    this.#compiled.set(key, compiled);
    compiled.catch(() => {
      if (this.#compiled.get(key) === compiled) this.#compiled.delete(key);
    });
    for (const oldest of this.#compiled.keys()) {
      if (this.#compiled.size <= this.#cachedComponents) break;
      this.#compiled.delete(oldest);
    }
  }
}
