import { Status } from "../abi.ts";
import type { HostFunctions } from "../link.ts";
import type { Vm } from "../vm.ts";

/** The time, and ticks. */
export function clockFunctions(vm: Vm): HostFunctions {
  const { memory, meter } = vm;

  return {
    proxy_get_current_time_nanoseconds(returnTime: number): Status {
      meter.harmlessHostcall();
      return memory.writeU64(returnTime, vm.clock.now()) ? Status.OK : Status.INVALID_MEMORY_ACCESS;
    },

    proxy_set_tick_period_milliseconds(periodMs: number): Status {
      meter.hostcall();
      vm.root.ticker.setPeriod(periodMs >>> 0);
      return Status.OK;
    },
  };
}
