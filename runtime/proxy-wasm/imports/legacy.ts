import type { Direction } from "../../plugin/contract.ts";
import { Status } from "../abi.ts";
import type { HostFunctions } from "../link.ts";
import type { Vm } from "../vm.ts";

/** What ABI 0.1.0 has and later versions do by other means. */
export function legacyFunctions(vm: Vm): HostFunctions {
  const { memory, meter } = vm;

  const resume = (direction: Direction): Status => {
    meter.hostcall();
    if (vm.stream === undefined) return Status.BAD_ARGUMENT;
    vm.stream.resume(direction);
    return Status.OK;
  };

  return {
    /** In `proxy_on_vm_start` the configuration of the VM, else that of the plugin. */
    proxy_get_configuration(returnData: number, returnSize: number): Status {
      meter.hostcall();
      const isVmStart = vm.running === vm.callbacks.vmStart && vm.running !== undefined;
      const { vmConfiguration, configuration } = vm.program;
      return memory.give(isVmStart ? vmConfiguration : configuration, returnData, returnSize);
    },

    proxy_clear_route_cache(): Status {
      meter.hostcall();
      vm.stream?.host?.clearRoute();
      return Status.OK;
    },

    proxy_continue_request: () => resume("request"),
    proxy_continue_response: () => resume("response"),
  };
}
