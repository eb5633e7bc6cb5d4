import { Status } from "../abi.ts";
import type { HostFunctions } from "../link.ts";
import type { Vm } from "../vm.ts";

/** Fuel for keeping a value, for each byte that is kept, and for refusing one that does not fit. */
const keepCost = 1_500;
const byteCost = 1;
const refusalCost = 20_000;

/** Data shared by the guests of one VM id, with compare-and-set. */
export function sharedDataFunctions(vm: Vm): HostFunctions {
  const { memory, meter } = vm;

  return {
    proxy_get_shared_data(
      key: number,
      keySize: number,
      returnData: number,
      returnSize: number,
      returnCas: number,
    ): Status {
      meter.hostcall();
      const name = memory.latin1(key, keySize);
      if (name === undefined || !memory.holds(returnCas, 4)) return Status.INVALID_MEMORY_ACCESS;
      const found = vm.services.sharedData.get(name);
      if (found === undefined) return Status.NOT_FOUND;
      const given = memory.give(found.value, returnData, returnSize);
      if (given === Status.OK) memory.writeU32(returnCas, found.cas);
      return given;
    },

    proxy_set_shared_data(key: number, keySize: number, data: number, size: number, cas: number): Status {
      meter.hostcall();
      const name = memory.latin1(key, keySize);
      const value = memory.copy(data, size);
      if (name === undefined || value === undefined) return Status.INVALID_MEMORY_ACCESS;
      meter.work(keepCost + (name.length + value.length) * byteCost);
      try {
        return vm.services.sharedData.set(name, value, cas >>> 0) ? Status.OK : Status.CAS_MISMATCH;
      } catch (full) {
        if (!(full instanceof RangeError)) throw full;
        meter.work(refusalCost);
        return Status.INTERNAL_FAILURE;
      }
    },
  };
}
