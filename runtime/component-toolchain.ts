import { late } from "./late.ts";
import type { PluginEngine } from "./plugin/contract.ts";
import type { ModuleCompiler } from "./plugin/prepare.ts";
import type { SandboxCompiler } from "./plugin/sandbox/compiler.ts";
import { turn } from "./turn.ts";
import type { ComponentCompiler } from "./wasm-component/component-compiler.ts";

/** What components are compiled and run by. It loads with the first of them, in parts between which traffic has its turn. */
export class ComponentToolchain implements AsyncDisposable {
  /** Knows a component once one was compiled. */
  readonly engine: PluginEngine;
  readonly #modules: SandboxCompiler;
  readonly #directory: string | undefined;
  #engine: PluginEngine | undefined;
  #loading: Promise<{ readonly engine: PluginEngine; readonly compiler: ComponentCompiler }> | undefined;

  /** Transpiled components are kept in the directory for the next start; nowhere without one. */
  constructor(modules: SandboxCompiler, directory: string | undefined) {
    this.#modules = modules;
    this.#directory = directory;
    this.engine = {
      name: "wasm-component",
      isExclusive: true,
      detect: (compiled) => this.#engine?.detect(compiled),
      takesWholeRequests: (compiled) => this.#engine?.takesWholeRequests?.(compiled) ?? false,
      start: async (...given) => (await this.#load()).engine.start(...given),
    };
  }

  /** The same component is the same whatever manifest is packed into it: with another one it is transpiled by nobody again. */
  readonly compile: ModuleCompiler["compile"] = async (bytes, limits, digest) => {
    const [{ compiler }, { withoutManifest }] = await Promise.all([
      this.#load(),
      import("./plugin/packed-manifest.ts"),
    ]);
    const component = withoutManifest(bytes);
    await turn();
    if (component === bytes) return compiler.compile(bytes, limits, digest);
    return { ...(await compiler.compile(component, limits)), digest, originalBytes: bytes.length };
  };

  async [Symbol.asyncDispose](): Promise<void> {
    const [loaded] = await Promise.allSettled([this.#loading]);
    if (loaded.status === "fulfilled") await loaded.value?.compiler[Symbol.asyncDispose]();
  }

  readonly #load = late(() => {
    this.#loading = this.#start();
    return this.#loading;
  });

  async #start(): Promise<{ readonly engine: PluginEngine; readonly compiler: ComponentCompiler }> {
    const { ComponentCompiler, finishModule } = await import("./wasm-component/component-compiler.ts");
    this.#modules.load(finishModule);
    await turn();
    // Parts of what comes next, which in one go would take 10 ms.
    await import("./wasm-component/wasi/index.ts");
    await turn();
    await import("./wasm-component/http/index.ts");
    await turn();
    await import("./wasm-component/standard/index.ts");
    await turn();
    const { asyncInterfaces } = await import("./wasm-component/interfaces.ts");
    await turn();
    const { wasmComponentEngine } = await import("./wasm-component/engine.ts");
    await turn();
    const engine = wasmComponentEngine();
    const options = { modules: this.#modules, interfaces: asyncInterfaces, directory: this.#directory };
    this.#engine = engine;
    return { engine, compiler: new ComponentCompiler(options) };
  }
}
