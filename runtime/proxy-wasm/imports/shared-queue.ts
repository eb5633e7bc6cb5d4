import { Status } from "../abi.ts";
import type { HostFunctions } from "../link.ts";
import type { Vm } from "../vm.ts";

/** Fuel for being told of a queue, and for making one. */
const registerCost = 1_500;
/** Fuel for refusing an item or a queue for which there is no room. */
const refusalCost = 20_000;

/** Queues between guests, of one VM id or of several. */
export function sharedQueueFunctions(vm: Vm): HostFunctions {
  const { memory, meter } = vm;

  /** INTERNAL_FAILURE where there is no room. */
  const unlessFull = (work: () => Status): Status => {
    try {
      return work();
    } catch (full) {
      if (!(full instanceof RangeError)) throw full;
      meter.work(refusalCost);
      return Status.INTERNAL_FAILURE;
    }
  };

  return {
    proxy_register_shared_queue(name: number, nameSize: number, returnToken: number): Status {
      meter.hostcall();
      const queue = memory.latin1(name, nameSize);
      if (queue === undefined || !memory.holds(returnToken, 4)) return Status.INVALID_MEMORY_ACCESS;
      meter.work(registerCost);
      return unlessFull(() => {
        memory.writeU32(returnToken, vm.root.queues.register(queue));
        return Status.OK;
      });
    },

    proxy_resolve_shared_queue(
      vmId: number,
      vmIdSize: number,
      name: number,
      nameSize: number,
      returnToken: number,
    ): Status {
      meter.hostcall();
      const owner = memory.utf8(vmId, vmIdSize);
      const queue = memory.latin1(name, nameSize);
      if (owner === undefined || queue === undefined || !memory.holds(returnToken, 4))
        return Status.INVALID_MEMORY_ACCESS;
      const token = vm.services.sharedQueues.resolve(owner, queue);
      if (token === undefined) return Status.NOT_FOUND;
      memory.writeU32(returnToken, token);
      return Status.OK;
    },

    proxy_enqueue_shared_queue(token: number, data: number, size: number): Status {
      meter.hostcall();
      const bytes = memory.borrow(data, size);
      if (bytes === undefined) return Status.INVALID_MEMORY_ACCESS;
      return unlessFull(() => (vm.services.sharedQueues.enqueue(token >>> 0, bytes) ? Status.OK : Status.NOT_FOUND));
    },

    proxy_dequeue_shared_queue(token: number, returnData: number, returnSize: number): Status {
      meter.hostcall();
      if (!memory.holds(returnData, 4) || !memory.holds(returnSize, 4)) return Status.INVALID_MEMORY_ACCESS;
      const bytes = vm.services.sharedQueues.dequeue(token >>> 0);
      if (bytes === undefined) return Status.NOT_FOUND;
      return bytes === "empty" ? Status.EMPTY : memory.give(bytes, returnData, returnSize);
    },
  };
}
