import { setImmediate as turn } from "node:timers/promises";
import type { PluginEngine } from "./plugin/contract.ts";
import type { ModuleCompiler } from "./plugin/prepare.ts";

/** What Proxy-Wasm modules are compiled and run by. The engine loads with the first of them: components do without it. */
export class ProxyWasmToolchain {
  /** Knows a module once one was compiled. */
  readonly engine: PluginEngine;
  readonly #modules: ModuleCompiler;
  #loading: Promise<PluginEngine> | undefined;
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

  #load(): Promise<PluginEngine> {
    this.#loading ??= this.#start();
    return this.#loading;
  }

  async #start(): Promise<PluginEngine> {
    const { proxyWasmEngine } = await import("./proxy-wasm/engine.ts");
    this.#engine = proxyWasmEngine();
    await turn();
    return this.#engine;
  }
}
