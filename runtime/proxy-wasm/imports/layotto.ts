import { messageOf } from "../../../components/thrown.ts";
import { GrpcCode, Status } from "../abi.ts";
import { depthHeader } from "../context.ts";
import type { HostFunctions } from "../link.ts";
import { maxCallDepth, type Vm } from "../vm.ts";

/**
 * What Layotto's modules import besides: a value of a state store, empty when there is none, and a call of a service, which
 * gets its own id as the header `id`. The guest waits for both, which only
 * one that suspends can. Every failure is INTERNAL_FAILURE, of which `proxy_get_status` tells more.
 */
export function layottoFunctions(vm: Vm): HostFunctions {
  const { memory, meter } = vm;

  const getState = async (
    store: number,
    storeSize: number,
    key: number,
    keySize: number,
    returnData: number,
    returnSize: number,
  ): Promise<Status> => {
    meter.hostcall();
    const [storeName, keyName] = [memory.utf8(store, storeSize), memory.utf8(key, keySize)];
    if (storeName === undefined || keyName === undefined) return Status.INVALID_MEMORY_ACCESS;
    return answered(vm, (signal) => vm.services.getState(storeName, keyName, next(vm), signal), returnData, returnSize);
  };

  const invokeService = async (
    id: number,
    idSize: number,
    method: number,
    methodSize: number,
    parameter: number,
    parameterSize: number,
    returnData: number,
    returnSize: number,
  ): Promise<Status> => {
    meter.hostcall();
    const [target, name] = [memory.utf8(id, idSize), memory.utf8(method, methodSize)];
    const bytes = memory.copy(parameter, parameterSize);
    if (target === undefined || name === undefined || bytes === undefined) return Status.INVALID_MEMORY_ACCESS;
    const { caller } = vm;
    return answered(
      vm,
      (signal) => vm.services.invokeService(target, name, bytes, [...next(vm), ["id", target]], signal, caller),
      returnData,
      returnSize,
    );
  };

  return {
    proxy_get_state: vm.suspends ? new WebAssembly.Suspending(getState) : () => cannotWait(vm, "proxy_get_state"),
    proxy_invoke_service: vm.suspends
      ? new WebAssembly.Suspending(invokeService)
      : () => cannotWait(vm, "proxy_invoke_service"),
  };
}

/** Metadata that says how deep the next plugin is called. */
const next = (vm: Vm): readonly (readonly [name: string, value: string])[] => [[depthHeader, String(vm.depth + 1)]];

/** Holds the guest until the answer is there, and gives it to it. */
async function answered(
  vm: Vm,
  ask: (signal: AbortSignal) => Promise<Uint8Array>,
  returnData: number,
  returnSize: number,
): Promise<Status> {
  if (vm.depth >= maxCallDepth) {
    const message = `plugins called each other more than ${maxCallDepth} deep`;
    vm.status = { code: GrpcCode.RESOURCE_EXHAUSTED, message };
    return Status.INTERNAL_FAILURE;
  }
  const answer = await vm.suspend((signal) => ask(signal).catch((error: unknown) => messageOf(error)));
  if (typeof answer === "string") {
    vm.status = { code: GrpcCode.UNAVAILABLE, message: answer };
    return Status.INTERNAL_FAILURE;
  }
  return vm.memory.give(answer, returnData, returnSize);
}

function cannotWait(vm: Vm, name: string): Status {
  vm.meter.hostcall();
  const message = `${name} is answered later, and this plugin does not wait: set 'suspends: true' in its manifest`;
  vm.status = { code: GrpcCode.UNIMPLEMENTED, message };
  return Status.UNIMPLEMENTED;
}
