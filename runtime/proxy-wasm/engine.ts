import type { PluginEngine } from "../plugin/contract.ts";
import { isComponent } from "../plugin/sandbox/sandboxed-component.ts";
import { StartTurns } from "../plugin/start-turns.ts";
import { abiVersions, spokenVersion, supportedVersions } from "./abi.ts";
import { pluginError } from "./fault.ts";
import { ProxyWasmInstance } from "./instance.ts";
import { isModuleProgram } from "./module-program.ts";
import type { RootContext, RootOptions } from "./root-context.ts";
import { SharedVms } from "./shared-vms.ts";
import { startGuest } from "./start.ts";
import { StartRecord } from "./start-record.ts";

/** Runs Proxy-Wasm modules of ABI 0.1.0, 0.2.0 and 0.2.1. Programs that one engine starts may share VMs, as their `vmKey` says. */
export function proxyWasmEngine(): PluginEngine {
  const shared = new Map<string, SharedVms>();
  const record = new StartRecord();
  const turns = new StartTurns();

  const start = async (options: RootOptions): Promise<RootContext> => {
    const { vmKey, suspends } = options.program;
    if (vmKey === undefined || suspends) {
      await turns.next();
      return startGuest(options);
    }
    const vms = shared.get(vmKey) ?? new SharedVms(record, turns, () => shared.delete(vmKey));
    shared.set(vmKey, vms);
    return vms.start(options);
  };

  return {
    name: "proxy-wasm",
    isExclusive: false,

    detect(compiled) {
      if (isComponent(compiled)) return undefined;
      const { module } = compiled;
      const version = spokenVersion(module) ?? abiVersions(module)[0];
      return version === undefined ? undefined : `proxy-wasm ${version}`;
    },

    async start(program, services, lost) {
      if (!isModuleProgram(program)) throw new TypeError("not a module");
      if (spokenVersion(program.module.module) === undefined) {
        const versions = abiVersions(program.module.module);
        const spoken = versions.length === 0 ? "no version of Proxy-Wasm" : `Proxy-Wasm ${versions.join(", ")} only`;
        const rest = `speaks ${spoken}; this host speaks ${supportedVersions.join(", ")}`;
        throw pluginError(program, "refused", rest);
      }
      const root = await start({ program, services });
      // An answer that came while it started may have ended it.
      if (root.closed !== undefined) throw root.closed;
      root.lost = lost;
      return new ProxyWasmInstance(root);
    },
  };
}
