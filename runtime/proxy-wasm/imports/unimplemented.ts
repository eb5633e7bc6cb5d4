import { Status } from "../abi.ts";
import type { HostFunctions } from "../link.ts";
import type { Vm } from "../vm.ts";

const names = [
  // Of ABI 0.1.0 only.
  "proxy_clear_route_cache",
];

/** Hostcalls that exist, so that plugins which only may need them start, and that answer UNIMPLEMENTED. */
export function unimplementedFunctions(vm: Vm): HostFunctions {
  const answer = (): Status => {
    vm.meter.hostcall();
    return Status.UNIMPLEMENTED;
  };
  return Object.fromEntries(names.map((name) => [name, answer]));
}
