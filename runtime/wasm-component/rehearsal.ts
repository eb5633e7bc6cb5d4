import type { PluginProgram } from "../plugin/contract.ts";
import { fuelPerMillisecond } from "../plugin/sandbox/fuel.ts";
import type { SandboxedComponent } from "../plugin/sandbox/sandboxed-component.ts";
import { SyntheticRequest } from "../plugin/synthetic-request.ts";
import type { ComponentProgram } from "./component-program.ts";
import { emptyApi } from "./empty-api.ts";
import { ComponentGuest } from "./guest.ts";
import { ComponentInstance } from "./instance.ts";
import { exportedAmong, kindOf } from "./interfaces.ts";

/** Longest time of a call: a guest that waits for longer is let go. */
const longestMs = 500;
/** Of a call. */
const budgetMs = 100;

/**
 * Starts a component once and gives it a request that nobody made, with building blocks that hold nothing. V8 compiles a function
 * when it is first called, for every thread that has the module: what a first call needs so is there when it comes, and the event
 * loop is spared 10 to 20 ms. Whatever the guest makes of it is ignored. Resolves to the bytes of the memory that it took.
 */
export async function rehearse(component: SandboxedComponent): Promise<number> {
  const [first] = exportedAmong(component.exports);
  if (first === undefined) return 0;
  const kind = kindOf(first.called);
  try {
    const guest = await ComponentGuest.start(programOf(component, kind), { api: emptyApi, log: () => undefined });
    const instance = new ComponentInstance(guest, { lost: () => undefined, freed: undefined });
    await new SyntheticRequest("resumption").run(instance, kind, AbortSignal.timeout(longestMs));
    const bytes = instance.memory?.buffer.byteLength ?? 0;
    await instance[Symbol.asyncDispose]();
    return bytes;
  } catch {
    // It would fail in the sidecar as well, and is told there.
    return component.limits.memoryBytes;
  }
}

const programOf = (module: SandboxedComponent, kind: PluginProgram["kind"]): ComponentProgram => ({
  name: "rehearsal",
  version: "",
  kind,
  module,
  configuration: new Uint8Array(0),
  vmConfiguration: new Uint8Array(0),
  environment: {},
  vmId: "",
  vmKey: undefined,
  rootId: "",
  suspends: true,
  stubsUnknownImports: true,
  logsHostcalls: false,
  showsBodyOfHeldHeaders: false,
  restrictions: [],
  fuelPerCall: budgetMs * fuelPerMillisecond,
  deadlineMs: longestMs,
});
