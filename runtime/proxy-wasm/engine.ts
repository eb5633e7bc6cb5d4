import type { PluginEngine } from "../plugin/contract.ts";
import { abiVersions, supportedVersions } from "./abi.ts";
import { pluginError } from "./fault.ts";
import { ProxyWasmInstance } from "./instance.ts";

/** Runs Proxy-Wasm modules of ABI 0.2.0 and 0.2.1. */
export const proxyWasmEngine: PluginEngine = {
  name: "proxy-wasm",

  detect(module) {
    const versions = abiVersions(module);
    const version = versions.find((one) => supportedVersions.includes(one)) ?? versions[0];
    return version === undefined ? undefined : `proxy-wasm ${version}`;
  },

  async start(program, services, lost) {
    const versions = abiVersions(program.module.module);
    if (!versions.some((version) => supportedVersions.includes(version))) {
      const spoken = versions.length === 0 ? "no version of Proxy-Wasm" : `Proxy-Wasm ${versions.join(", ")} only`;
      const rest = `speaks ${spoken}; this host speaks ${supportedVersions.join(" and ")}`;
      throw pluginError(program, "refused", rest);
    }
    return ProxyWasmInstance.start(program, services, lost);
  },
};
