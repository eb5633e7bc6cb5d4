import type { PluginToolchain } from "./plugin/prepare.ts";
import type { SandboxCompiler } from "./plugin/sandbox/compiler.ts";

/** What plugins are compiled and run by. It loads with the first of them: a sidecar without plugins has none of it in memory. */
export class PluginHost implements AsyncDisposable {
  #loading: Promise<PluginToolchain> | undefined;
  #compiler: SandboxCompiler | undefined;

  /** The same at every call. */
  load(): Promise<PluginToolchain> {
    this.#loading ??= this.#load();
    return this.#loading;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#loading;
    await this.#compiler?.[Symbol.asyncDispose]();
  }

  async #load(): Promise<PluginToolchain> {
    const [{ SandboxCompiler }, { proxyWasmEngine, soughtTexts }] = await Promise.all([
      import("./plugin/sandbox/compiler.ts"),
      import("./proxy-wasm/engine.ts"),
    ]);
    this.#compiler = new SandboxCompiler({ texts: soughtTexts });
    return { engines: [proxyWasmEngine()], compiler: this.#compiler };
  }
}
