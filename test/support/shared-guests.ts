import type { PluginInstance, PluginProgram } from "../../runtime/plugin/contract.ts";
import type { PluginError } from "../../runtime/plugin/plugin-error.ts";
import { proxyWasmEngine } from "../../runtime/proxy-wasm/engine.ts";
import { type GuestText, guestText, type PlaceText } from "./proxy-wasm-guest.ts";
import { programOf, type StartOptions, TestServices } from "./proxy-wasm-host.ts";
import { sandboxed } from "./sandboxed.ts";
import { assemble } from "./wat.ts";

/** A guest that runs beside others, with services of its own. */
export interface SharedGuest {
  readonly instance: PluginInstance;
  readonly program: PluginProgram;
  readonly services: TestServices;
  readonly lost: PluginError[];
  /** Starts the same program once more. */
  again(): Promise<SharedGuest>;
}

/** Plugins of one module in one engine, which all have the same key unless it is said otherwise. */
export interface SharedGuests extends AsyncDisposable {
  start(name: string, options?: StartOptions): Promise<SharedGuest>;
}

export async function openShared(build: (text: PlaceText) => GuestText): Promise<SharedGuests> {
  const module = await sandboxed(await assemble("guest", guestText(build)));
  const engine = proxyWasmEngine();
  const started = new AsyncDisposableStack();

  const run = async (program: PluginProgram, services: TestServices): Promise<SharedGuest> => {
    const lost: PluginError[] = [];
    const instance = await engine.start(program, services, (error) => lost.push(error));
    started.use(instance);
    return { instance, program, services, lost, again: () => run(program, services) };
  };

  return {
    start: (name, options = {}) => {
      const program = { ...programOf(module, { vmKey: "key", configuration: name, ...options }), name };
      return run(program, options.services ?? new TestServices());
    },
    [Symbol.asyncDispose]: () => started.disposeAsync(),
  };
}
