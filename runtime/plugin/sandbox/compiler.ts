import { extname } from "node:path";
import { Worker } from "node:worker_threads";
import { messageOf } from "../../../components/thrown.ts";
import type {
  CompileReply,
  CompileRequest,
  Finish,
  LoadRequest,
  RecompileRequest,
  RewrittenPart,
} from "./compile-worker.ts";
import { maxModuleBytes } from "./module-limit.ts";
import type { PartBytes } from "./part-limits.ts";
import { SandboxError } from "./sandbox-error.ts";
import type { SandboxedModule, SandboxLimits } from "./sandboxed-module.ts";

export interface CompilerOptions {
  /** Larger modules are refused; default 64 MiB. */
  readonly maxBytes?: number;
  /** A module that takes longer to rewrite and compile is refused; default 30 seconds. */
  readonly timeoutMs?: number;
  /** How many compiled modules are kept for the next deploy of the same bytes; default 16. */
  readonly cachedModules?: number;
  /** The thread ends when it had nothing to do for so long; default 10 seconds. */
  readonly idleMs?: number;
  /** What to look for among the data of each module, where the sidecar's own thread would be held up; default nothing. */
  readonly texts?: readonly string[];
}

/** The core modules of a component, and what the finisher made. */
export interface CompiledParts {
  readonly modules: readonly SandboxedModule[];
  readonly made: unknown;
}

interface Job {
  readonly request: CompileRequest | RecompileRequest;
  resolve(reply: CompileReply): void;
  reject(error: Error): void;
}

const workerUrl = new URL(`./compile-worker${extname(import.meta.url)}`, import.meta.url);

/**
 * Rewrites and compiles modules in a thread of its own, one after the other. The thread starts with the first module and
 * never keeps the process alive. The same bytes with the same limits are compiled once.
 */
export class SandboxCompiler implements AsyncDisposable {
  readonly #maxBytes: number;
  readonly #timeoutMs: number;
  readonly #cachedModules: number;
  readonly #idleMs: number;
  readonly #texts: readonly string[] | undefined;
  /** In the order of their last use. */
  readonly #cache = new Map<string, Promise<SandboxedModule>>();
  readonly #queue: Job[] = [];
  #current: Job | undefined;
  #worker: Worker | undefined;
  #timer: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(options: CompilerOptions = {}) {
    this.#maxBytes = options.maxBytes ?? maxModuleBytes;
    this.#timeoutMs = options.timeoutMs ?? 30_000;
    this.#cachedModules = options.cachedModules ?? 16;
    this.#idleMs = options.idleMs ?? 10_000;
    this.#texts = options.texts;
  }

  /** Starts the thread before there is a module for it. */
  wake(): void {
    if (this.#closed) return;
    try {
      this.#worker ??= this.#startWorker();
    } catch {
      // The module that comes is told.
    }
    this.#next();
  }

  /** Loads a module that a Finish names while the thread has nothing else to do. */
  load(module: string): void {
    this.wake();
    this.#worker?.postMessage({ load: module } satisfies LoadRequest);
  }

  /** Is spared taking the digest where that is known. Rejects with SandboxError when the module is refused, not valid, or takes too long. */
  async compile(bytes: Uint8Array, limits: SandboxLimits, known?: string): Promise<SandboxedModule> {
    if (bytes.length > this.#maxBytes)
      throw new SandboxError(`the module has ${bytes.length} bytes, and the limit is ${this.#maxBytes}`);
    const digest = known ?? (await sha256(new Uint8Array(bytes)));
    const key = [digest, limits.memoryBytes, limits.tableEntries, limits.startFuel].join(" ");
    const compiled = this.#cache.get(key) ?? this.#compile(new Uint8Array(bytes), digest, { ...limits });
    this.#remember(key, compiled);
    return await compiled;
  }

  /**
   * Rewrites and compiles the core modules of one component, which have the limits together; `digest` names the component. Their
   * bytes are handed over for good.
   */
  async compileParts(
    parts: readonly PartBytes[],
    limits: SandboxLimits,
    digest: string,
    finish?: Finish,
  ): Promise<CompiledParts> {
    const request = { bytes: parts, limits: { ...limits, partOf: "component" }, finish } as const;
    const { modules, made } = await this.#compiled(request);
    return { modules: modules.map((one) => ({ ...one, digest, limits })), made };
  }

  /** Compiles what was rewritten of the same component for the same limits before. The bytes are handed over for good. */
  async recompileParts(
    rewritten: readonly RewrittenPart[],
    limits: SandboxLimits,
    digest: string,
    finish: Finish,
  ): Promise<readonly SandboxedModule[]> {
    const { modules } = await this.#compiled({ rewritten, finish });
    return modules.map((one) => ({ ...one, digest, limits }));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    const waiting = this.#queue.splice(0);
    const current = this.#current;
    this.#current = undefined;
    await this.#endWorker();
    for (const job of current === undefined ? waiting : [current, ...waiting])
      job.reject(new SandboxError("the compiler was shut down"));
  }

  async #compile(bytes: Uint8Array<ArrayBuffer>, digest: string, limits: SandboxLimits): Promise<SandboxedModule> {
    const [compiled] = (await this.#compiled({ bytes, limits, texts: this.#texts })).modules;
    if (compiled === undefined) throw new SandboxError("the compiler gave nothing for the module");
    return { ...compiled, digest, limits };
  }

  async #compiled(request: Job["request"]): Promise<Extract<CompileReply, { outcome: "compiled" }>> {
    const reply = await this.#ask(request);
    if (reply.outcome === "refused") throw new SandboxError(reply.message, reply.offset);
    return reply;
  }

  #remember(key: string, compiled: Promise<SandboxedModule>): void {
    this.#cache.delete(key);
    this.#cache.set(key, compiled);
    compiled.catch(() => {
      if (this.#cache.get(key) === compiled) this.#cache.delete(key);
    });
    for (const oldest of this.#cache.keys()) {
      if (this.#cache.size <= this.#cachedModules) break;
      this.#cache.delete(oldest);
    }
  }

  #ask(request: Job["request"]): Promise<CompileReply> {
    if (this.#closed) return Promise.reject(new SandboxError("the compiler was shut down"));
    return new Promise((resolve, reject) => {
      this.#queue.push({ request, resolve, reject });
      this.#next();
    });
  }

  #next(): void {
    if (this.#current !== undefined) return;
    this.#current = this.#queue.shift();
    clearTimeout(this.#timer);
    if (this.#current === undefined) {
      this.#timer = setTimeout(() => void this.#endWorker(), this.#idleMs).unref();
      return;
    }
    const { request } = this.#current;
    try {
      this.#worker ??= this.#startWorker();
      this.#worker.postMessage(request, buffersOf(request));
    } catch (cause) {
      // As where the system gives no more threads.
      this.#lose(new SandboxError(`the module could not be given to a thread that compiles it: ${messageOf(cause)}`));
      return;
    }
    this.#timer = setTimeout(
      () => this.#lose(new SandboxError(`the module took longer than ${this.#timeoutMs} ms to compile`)),
      this.#timeoutMs,
    );
  }

  #startWorker(): Worker {
    const worker = new Worker(workerUrl, { execArgv: [] });
    worker.on("message", (reply: CompileReply) => {
      if (worker === this.#worker) this.#finish((job) => job.resolve(reply));
    });
    worker.on("error", (cause: Error) => {
      if (worker === this.#worker) this.#lose(new SandboxError(`the module could not be compiled: ${cause.message}`));
    });
    worker.on("exit", () => {
      if (worker === this.#worker) this.#lose(new SandboxError("the module could not be compiled: its thread ended"));
    });
    worker.unref();
    return worker;
  }

  /** Gives up the thread, and with it the module that it works on. */
  #lose(error: SandboxError): void {
    void this.#endWorker();
    this.#finish((job) => job.reject(error));
  }

  #finish(settle: (job: Job) => void): void {
    const job = this.#current;
    this.#current = undefined;
    if (job !== undefined) settle(job);
    if (!this.#closed) this.#next();
  }

  async #endWorker(): Promise<void> {
    clearTimeout(this.#timer);
    const worker = this.#worker;
    this.#worker = undefined;
    await worker?.terminate();
  }
}

function buffersOf(request: Job["request"]): ArrayBuffer[] {
  if ("rewritten" in request) return [...new Set(request.rewritten.map(({ bytes }) => bytes.buffer))];
  const { bytes } = request;
  if (bytes instanceof Uint8Array) return [bytes.buffer];
  return [...new Set(bytes.map((part) => part.bytes.buffer))];
}

/** `sha256:` and hex, computed away from the event loop. */
export async function sha256(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", bytes);
  return `sha256:${Buffer.from(digest).toString("hex")}`;
}
