import { setFlagsFromString } from "node:v8";
import { compileFunction } from "node:vm";
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

/** Runs the glue of a component, once for all of its instances. It is let go with what it returns. */
export function evaluateGlue(glue: string, digest: string): InstantiateComponent {
  const evaluate = compileFunction(glue, Object.keys(outside), { filename: `component-${digest.slice(-12)}.js` });
  const instantiate: unknown = evaluate(...Object.values(outside));
  if (typeof instantiate !== "function") throw new TypeError("the code generated for the component gives no function");
  return instantiate as InstantiateComponent;
}
