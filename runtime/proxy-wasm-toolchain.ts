import { late } from "./late.ts";
import type { PluginEngine } from "./plugin/contract.ts";
import type { ModuleCompiler } from "./plugin/prepare.ts";
import { turn } from "./turn.ts";

/** What Proxy-Wasm modules are compiled and run by. The engine loads with the first of them: components do without it. */
export class ProxyWasmToolchain {
  /** Knows a module once one was compiled. */
  readonly engine: PluginEngine;
  readonly #modules: ModuleCompiler;
  #engine: PluginEngine | undefined;

  constructor(modules: ModuleCompiler) {
    this.#modules = modules;
    this.engine = {
      name: "proxy-wasm",
      isExclusive: false,
      detect: (compiled) => this.#engine?.detect(compiled),
      start: async (...given) => (await this.#load()).start(...given),
    };
  }

  readonly compile: ModuleCompiler["compile"] = async (...given) => {
    await this.#load();
    return this.#modules.compile(...given);
  };

  readonly #load = late(async () => {
    const { proxyWasmEngine } = await import("./proxy-wasm/engine.ts");
    this.#engine = proxyWasmEngine();
    await turn();
    return this.#engine;
  });
}
