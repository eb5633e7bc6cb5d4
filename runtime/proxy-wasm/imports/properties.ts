import type { PropertyValue } from "../../plugin/contract.ts";
import { Status } from "../abi.ts";
import type { HostFunctions } from "../link.ts";
import { encodePairs } from "../pairs.ts";
import type { Vm } from "../vm.ts";

const longestPath = 1024;
/** Fuel for finding or keeping a property, and for each pair of one that is a map. */
const propertyCost = 1_000;
const pairCost = 400;

/** Properties: of the plugin, of the stream, of the process. */
export function propertyFunctions(vm: Vm): HostFunctions {
  const { memory, meter } = vm;

  /** The segments of a path; undefined when it lies outside the memory. */
  const pathAt = (data: number, size: number): readonly string[] | undefined => {
    const path = size >>> 0 > longestPath && memory.holds(data, size) ? "" : memory.utf8(data, size);
    return (path?.endsWith("\0") ? path.slice(0, -1) : path)?.split("\0");
  };

  return {
    proxy_get_property(path: number, pathSize: number, returnData: number, returnSize: number): Status {
      meter.hostcall();
      const segments = pathAt(path, pathSize);
      if (segments === undefined) return Status.INVALID_MEMORY_ACCESS;
      meter.work(propertyCost);
      const value = propertyOf(vm, segments);
      if (Array.isArray(value)) meter.work(value.length * pairCost);
      return value === undefined ? Status.NOT_FOUND : memory.give(encode(segments, value), returnData, returnSize);
    },

    proxy_set_property(path: number, pathSize: number, data: number, size: number): Status {
      meter.hostcall();
      const segments = pathAt(path, pathSize);
      const value = memory.copy(data, size);
      if (segments === undefined || value === undefined) return Status.INVALID_MEMORY_ACCESS;
      const host = (vm.stream ?? vm.connection)?.host;
      if (host === undefined) return Status.NOT_FOUND;
      meter.work(propertyCost);
      if (vm.root.declared.isReadOnly(segments) && host.property(stateOf(segments)) !== undefined)
        return Status.BAD_ARGUMENT;
      return host.setProperty(segments, value) === false ? Status.INTERNAL_FAILURE : Status.OK;
    },
  };
}

/** A property as the running callback's context has it; undefined when there is none. */
export function propertyOf(vm: Vm, path: readonly string[]): PropertyValue | undefined {
  const { program, services } = vm;
  const context = vm.stream ?? vm.connection;
  const [first] = path;
  if (path.length === 1) {
    if (first === "plugin_name") return program.name;
    if (first === "plugin_root_id") return program.rootId;
    if (first === "plugin_vm_id") return program.vmId;
  }
  return context?.host?.property(path) ?? services.property(path);
}

/** Envoy's name for what a plugin set. */
const stateOf = ([first = "", ...rest]: readonly string[]): readonly string[] => [
  "filter_state",
  `wasm.${first}`,
  ...rest,
];

/** As Envoy serializes values: integers and times in 8 bytes, strings as they are; those out of a message are byte strings. */
function encode([first]: readonly string[], value: PropertyValue): Uint8Array {
  if (typeof value === "string")
    return Buffer.from(value, first === "request" || first === "response" ? "latin1" : "utf8");
  if (value instanceof Uint8Array) return value;
  if (typeof value === "boolean") return Uint8Array.of(value ? 1 : 0);
  if (typeof value === "object") return encodePairs(value);
  const bytes = Buffer.alloc(8);
  if (typeof value === "bigint") bytes.writeBigInt64LE(BigInt.asIntN(64, value));
  else bytes.writeDoubleLE(value);
  return bytes;
}
