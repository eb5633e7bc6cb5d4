import { createHash } from "node:crypto";
import { setImmediate as turn } from "node:timers/promises";
import { cachedDataVersionTag } from "node:v8";
import { type SandboxCompiler, sha256 } from "../plugin/sandbox/compiler.ts";
import { SandboxError } from "../plugin/sandbox/sandbox-error.ts";
import type { SandboxedComponent } from "../plugin/sandbox/sandboxed-component.ts";
import { rewriterVersion, type SandboxLimits } from "../plugin/sandbox/sandboxed-module.ts";
import { evaluateGlue, glueFunction } from "./evaluate-glue.ts";
import { decodeReady, encodeReady, type ReadyComponent, readyVersion } from "./ready-component.ts";
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

/** Takes a fraction of a millisecond. */
const hashedAtOnce = 256 * 1024;

/** Makes components ready to be started, away from the event loop. The same bytes with the same limits are compiled once. */
export class ComponentCompiler implements AsyncDisposable {
  readonly #modules: SandboxCompiler;
  readonly #interfaces: AsyncInterfaces;
  readonly #maxBytes: number;
  readonly #cachedComponents: number;
  readonly #kept: TranspileCache | undefined;
  readonly #transpiler: Transpiler;
  /** What is being written. */
  readonly #keeping = new Set<Promise<void>>();
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
    await Promise.all(this.#keeping);
  }

  async #compile(bytes: Uint8Array<ArrayBuffer>, digest: string, limits: SandboxLimits): Promise<SandboxedComponent> {
    const { memoryBytes, tableEntries, startFuel } = limits;
    const engine = [process.version, cachedDataVersionTag(), ...glueFunction("").parameters];
    const way = [rewriterVersion, readyVersion, ...engine];
    const key = await this.#keyOf(digest, [memoryBytes, tableEntries, startFuel, ...way]);
    const known = await this.#kept?.get(key);
    const { names, modules, glue, glueCode, imports, exports } =
      known === undefined
        ? await this.#rewrite(bytes, digest, limits, key)
        : await this.#recompile(decodeReady(known), digest, limits);
    await turn();
    const instantiate = evaluateGlue(glue, digest, glueCode);
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

  async #recompile(ready: ReadyComponent, digest: string, limits: SandboxLimits) {
    const modules = await this.#modules.recompileParts(ready.cores, limits, digest);
    return { ...ready, modules, names: ready.cores.map(({ name }) => name) };
  }

  async #rewrite(bytes: Uint8Array<ArrayBuffer>, digest: string, limits: SandboxLimits, key: string) {
    const { glue, cores, imports, exports } = decodeTranspiled(await this.#transpiled(bytes, digest));
    const names = cores.map(({ name }) => name);
    const sends = this.#kept === undefined ? "nothing" : "rewritten bytes";
    const compiled = await this.#modules.compileParts(cores, limits, digest, glueFunction(glue), sends);
    const { modules, glueCode, rewritten } = compiled;
    if (glueCode !== undefined && rewritten.length > 0) {
      const parts = rewritten.map((part, index) => ({ ...part, name: names[index] ?? "" }));
      this.#keep(key, { glue, glueCode, cores: parts, imports, exports });
    }
    return { modules, names, glue, glueCode, imports, exports };
  }

  /** Nobody waits for it: without it the next start takes a tenth of a second longer. */
  #keep(key: string, ready: ReadyComponent): void {
    const keeping = this.#write(key, encodeReady(ready)).catch(() => undefined);
    this.#keeping.add(keeping);
    void keeping.then(() => {
      this.#keeping.delete(keeping);
      // Megabytes that the next collection, which may be far, would find.
      for (const { bytes } of ready.cores) bytes.buffer.transfer(0);
    });
  }

  async #write(key: string, pieces: Uint8Array[]): Promise<void> {
    const hash = createHash("sha256");
    for (const piece of pieces)
      for (let at = 0; at < piece.length; at += hashedAtOnce) {
        hash.update(piece.subarray(at, at + hashedAtOnce));
        await turn();
      }
    await this.#kept?.put(key, [...pieces, hash.digest()]);
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
