import { metricTypes, Status } from "../abi.ts";
import type { HostFunctions } from "../link.ts";
import type { Vm } from "../vm.ts";

/** Fuel for looking a metric up, and for refusing one. */
const defineCost = 2_000;
const refusalCost = 20_000;

/** Metrics of the plugin. */
export function metricFunctions(vm: Vm): HostFunctions {
  const { memory, meter } = vm;
  const pay = (fuel: number): void => meter.work(fuel);

  return {
    proxy_define_metric(type: number, name: number, nameSize: number, returnId: number): Status {
      meter.hostcall();
      const text = memory.utf8(name, nameSize);
      if (text === undefined || !memory.holds(returnId, 4)) return Status.INVALID_MEMORY_ACCESS;
      const metricType = metricTypes[type];
      if (metricType === undefined) return Status.BAD_ARGUMENT;
      meter.work(defineCost);
      try {
        memory.writeU32(returnId, vm.services.metrics.define(metricType, text, pay));
        return Status.OK;
      } catch (refused) {
        if (!(refused instanceof RangeError)) throw refused;
        meter.work(refusalCost);
        return Status.BAD_ARGUMENT;
      }
    },

    /** A counter adds, a gauge is set, a histogram takes a sample. */
    proxy_record_metric(id: number, value: bigint): Status {
      meter.hostcall();
      const type = vm.services.metrics.typeOf(id >>> 0);
      if (type === undefined) return Status.NOT_FOUND;
      const amount = Number(BigInt.asUintN(64, value));
      if (type === "counter") vm.services.metrics.increment(id >>> 0, amount);
      else vm.services.metrics.record(id >>> 0, amount);
      return Status.OK;
    },

    proxy_increment_metric(id: number, delta: bigint): Status {
      meter.hostcall();
      const type = vm.services.metrics.typeOf(id >>> 0);
      if (type === undefined) return Status.NOT_FOUND;
      if (type === "histogram" || (type === "counter" && delta <= 0n)) return Status.BAD_ARGUMENT;
      vm.services.metrics.increment(id >>> 0, Number(delta));
      return Status.OK;
    },

    proxy_get_metric(id: number, returnValue: number): Status {
      meter.hostcall();
      const type = vm.services.metrics.typeOf(id >>> 0);
      if (type === undefined) return Status.NOT_FOUND;
      if (type === "histogram") return Status.BAD_ARGUMENT;
      const value = BigInt(Math.trunc(vm.services.metrics.get(id >>> 0)));
      return memory.writeU64(returnValue, value) ? Status.OK : Status.INVALID_MEMORY_ACCESS;
    },
  };
}
