import { setFlagsFromString } from "node:v8";
import vm from "node:vm";
import type { InstantiateComponent } from "../plugin/sandbox/sandboxed-component.ts";

// The engine would keep the code of every version that was ever deployed: 300 KB of each.
setFlagsFromString("--no-compilation-cache");

const silent = (): void => undefined;

/** What the glue sees in place of globals that it has no business with. It would write to the sidecar's own output otherwise. */
const outside: Readonly<Record<string, unknown>> = {
  globalThis: Object.freeze({ WebAssembly }),
  console: Object.freeze({ debug: silent, error: silent, info: silent, log: silent, warn: silent }),
  process: undefined,
  fetch: undefined,
  require: undefined,
};

/** By what the glue calls them. */
export const glueParameters: readonly string[] = Object.keys(outside);

/** What code is made of: one function, whose body is the glue. */
export const glueScript = (glue: string): string => `(function (${glueParameters.join(", ")}) {\n${glue}\n})`;

export interface EvaluatedGlue {
  readonly instantiate: InstantiateComponent;
  /** Code of all functions that ran so far, for a thread that has the same engine with the same flags. */
  readonly takeCode: () => Uint8Array<ArrayBuffer>;
}

/**
 * Runs the glue of a component, once for all of its instances. It is let go with what it returns. Without its code, or with that
 * of another version or other flags of the engine, it is compiled here.
 */
export function evaluateGlue(glue: string, digest: string, code?: Uint8Array): EvaluatedGlue {
  // Of what ends its function early no code was ever made.
  if (code === undefined) vm.compileFunction(glue, glueParameters);
  const options = { filename: `component-${digest.slice(-12)}.js`, lineOffset: -1, ...(code && { cachedData: code }) };
  const script = new vm.Script(glueScript(glue), options);
  const evaluate: (...outside: unknown[]) => unknown = script.runInThisContext();
  const instantiate = evaluate(...Object.values(outside));
  if (typeof instantiate !== "function") throw new TypeError("the code generated for the component gives no function");
  return {
    instantiate: instantiate as InstantiateComponent,
    takeCode: () => new Uint8Array(script.createCachedData()),
  };
}
