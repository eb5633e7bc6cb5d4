import type { PluginEngine } from "../plugin/contract.ts";
import { abiVersions, spokenVersion, supportedVersions } from "./abi.ts";
import { pluginError } from "./fault.ts";
import { ProxyWasmInstance } from "./instance.ts";

/** Runs Proxy-Wasm modules of ABI 0.1.0, 0.2.0 and 0.2.1. */
export const proxyWasmEngine: PluginEngine = {
  name: "proxy-wasm",

  detect(module) {
    const version = spokenVersion(module) ?? abiVersions(module)[0];
    return version === undefined ? undefined : `proxy-wasm ${version}`;
  },

  async start(program, services, lost) {
    if (spokenVersion(program.module.module) === undefined) {
      const versions = abiVersions(program.module.module);
      const spoken = versions.length === 0 ? "no version of Proxy-Wasm" : `Proxy-Wasm ${versions.join(", ")} only`;
      const rest = `speaks ${spoken}; this host speaks ${supportedVersions.join(", ")}`;
      throw pluginError(program, "refused", rest);
    }
    return ProxyWasmInstance.start(program, services, lost);
  },
};
