import { join } from "node:path";
import { ComponentToolchain } from "./component-toolchain.ts";
import { late } from "./late.ts";
import type { PluginToolchain } from "./plugin/prepare.ts";
import { isComponentBinary } from "./plugin/sandbox/sandboxed-component.ts";
import { turn } from "./turn.ts";

/**
 * What plugins are compiled and run by. It loads with the first of them, in parts between which traffic has its turn: a sidecar
 * without plugins has none of it in memory.
 */
export class PluginHost implements AsyncDisposable {
  readonly #directory: string | undefined;
  readonly #opened = new AsyncDisposableStack();
  #loading: Promise<PluginToolchain> | undefined;

  /** What takes long to make of a plugin is kept in the data directory; without one it is made at every start. */
  constructor(directory: string | undefined) {
    this.#directory = directory;
  }

  /** The same at every call; loads anew when it failed. */
  readonly load = late(() => {
    this.#loading = this.#load();
    return this.#loading;
  });

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.allSettled([this.#loading]);
    await this.#opened.disposeAsync();
  }

  async #load(): Promise<PluginToolchain> {
    const { SandboxCompiler } = await import("./plugin/sandbox/compiler.ts");
    const { soughtTexts } = await import("./proxy-wasm/sought-texts.ts");
    await turn();
    const modules = this.#opened.use(new SandboxCompiler({ texts: soughtTexts }));
    // It comes up while this thread loads what it needs itself.
    modules.wake();
    await turn();
    const { ProxyWasmToolchain } = await import("./proxy-wasm-toolchain.ts");
    await turn();
    const kept = this.#directory === undefined ? undefined : join(this.#directory, "components");
    const components = this.#opened.use(new ComponentToolchain(modules, kept));
    const proxyWasm = new ProxyWasmToolchain(modules);
    return {
      engines: [proxyWasm.engine, components.engine],
      compiler: {
        compile: (bytes, limits, digest) =>
          (isComponentBinary(bytes) ? components : proxyWasm).compile(bytes, limits, digest),
      },
    };
  }
}
