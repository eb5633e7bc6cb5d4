import { setFlagsFromString } from "node:v8";
import { compileFunction } from "node:vm";
import type { FunctionText, InstantiateComponent } from "../plugin/sandbox/sandboxed-component.ts";

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

/** What the compiling thread makes code of, so that this one only reads it. */
export const glueFunction = (glue: string): FunctionText => ({ text: glue, parameters: Object.keys(outside) });

/**
 * Runs the glue of a component, once for all of its instances. It is let go with what it returns. Without its code, or with that
 * of another version or other flags of the engine, it is compiled here.
 */
export function evaluateGlue(glue: string, digest: string, code?: Uint8Array): InstantiateComponent {
  const { text, parameters } = glueFunction(glue);
  const options = { filename: `component-${digest.slice(-12)}.js`, ...(code && { cachedData: code }) };
  const evaluate = compileFunction(text, parameters, options);
  const instantiate: unknown = evaluate(...Object.values(outside));
  if (typeof instantiate !== "function") throw new TypeError("the code generated for the component gives no function");
  return instantiate as InstantiateComponent;
}
