import { Status } from "./abi.ts";
import { withHostcallLog } from "./hostcall-log.ts";
import { bufferFunctions } from "./imports/buffers.ts";
import { clockFunctions } from "./imports/clock.ts";
import { foreignFunctions } from "./imports/foreign-function.ts";
import { grpcCallFunctions } from "./imports/grpc-call.ts";
import { headerFunctions } from "./imports/headers.ts";
import { httpCallFunctions } from "./imports/http-call.ts";
import { layottoFunctions } from "./imports/layotto.ts";
import { legacyFunctions } from "./imports/legacy.ts";
import { loggingFunctions, writeLog } from "./imports/logging.ts";
import { metricFunctions } from "./imports/metrics.ts";
import { propertyFunctions } from "./imports/properties.ts";
import { sharedDataFunctions } from "./imports/shared-data.ts";
import { sharedQueueFunctions } from "./imports/shared-queue.ts";
import { streamFunctions } from "./imports/streams.ts";
import { toolchainFunctions } from "./imports/toolchain.ts";
import { restricted } from "./restriction.ts";
import type { Vm } from "./vm.ts";
import { wasiFunctions } from "./wasi.ts";

/** Functions that a guest may import, by name; parameters are i32 as numbers and i64 as bigints. */
export type HostFunctions = Readonly<Record<string, ((...parameters: never[]) => unknown) | WebAssembly.Suspending>>;

/** Everything that a guest may import, by module and name. */
export type HostImports = Readonly<Record<"env" | "wasi_snapshot_preview1" | "wasi_unstable", HostFunctions>>;

/**
 * What a guest is given to import, with stubs for what its module imports besides, if it may. Throws PluginError when the
 * functions that it is held to are not all known.
 */
export function hostImports(vm: Vm): HostImports {
  const { logsHostcalls, stubsUnknownImports, module } = vm.program;
  const wasi = wasiFunctions(vm);
  const known = envFunctions(vm);
  const env = logsHostcalls ? withHostcallLog(vm, known) : known;
  return restricted(vm, {
    env: stubsUnknownImports ? { ...stubs(vm, module.module, known), ...env } : env,
    wasi_snapshot_preview1: wasi,
    wasi_unstable: wasi,
  });
}

function envFunctions(vm: Vm): HostFunctions {
  return {
    ...headerFunctions(vm),
    ...bufferFunctions(vm),
    ...streamFunctions(vm),
    ...propertyFunctions(vm),
    ...httpCallFunctions(vm),
    ...grpcCallFunctions(vm),
    ...sharedDataFunctions(vm),
    ...sharedQueueFunctions(vm),
    ...metricFunctions(vm),
    ...loggingFunctions(vm),
    ...clockFunctions(vm),
    ...foreignFunctions(vm),
    ...legacyFunctions(vm),
    ...layottoFunctions(vm),
    ...toolchainFunctions(vm),
  };
}

/** Functions that answer UNIMPLEMENTED for those that the module imports from `env` and that are not known; each says so once. */
function stubs(vm: Vm, module: WebAssembly.Module, known: HostFunctions): HostFunctions {
  const wanted = WebAssembly.Module.imports(module).filter(
    ({ module, kind }) => module === "env" && kind === "function",
  );
  return Object.fromEntries(
    wanted
      .filter(({ name }) => !Object.hasOwn(known, name))
      .map(({ name }) => {
        let isTold = false;
        const stub = (): Status => {
          vm.meter.hostcall();
          if (!isTold) writeLog(vm, "warn", () => `this host has no function env.${name}; it answers UNIMPLEMENTED`);
          isTold = true;
          return Status.UNIMPLEMENTED;
        };
        return [name, stub] as const;
      }),
  );
}

/** What a module imports and the host does not have, as `module.name`. */
export function missingImports(
  module: WebAssembly.Module,
  imports: Readonly<Record<string, HostFunctions>>,
): readonly string[] {
  return WebAssembly.Module.imports(module)
    .filter((wanted) => wanted.kind !== "function" || !Object.hasOwn(imports[wanted.module] ?? {}, wanted.name))
    .map((wanted) => `${wanted.module}.${wanted.name}`);
}
