import type { HeaderMap, StreamMap } from "../../plugin/contract.ts";
import { MapType, Status } from "../abi.ts";
import { answerFields, isField, type ReadableFields, toFields } from "../fields.ts";
import type { HostFunctions } from "../link.ts";
import { pairsSize } from "../pairs.ts";
import type { Vm } from "../vm.ts";

/** The maps of a stream, in the order of their numbers from HTTP_REQUEST_HEADERS on. */
const streamMaps: readonly StreamMap[] = [
  "request-headers",
  "request-trailers",
  "response-headers",
  "response-trailers",
];
/** Maps that a guest made longer than this cost fuel for each field to look through. */
const manyFields = 64;
const fieldCost = 10;
const lastMap = MapType.HTTP_CALL_RESPONSE_TRAILERS;

/** Header maps: of the stream, which may be changed, and of answers, which may be read while they are delivered. */
export function headerFunctions(vm: Vm): HostFunctions {
  const { memory, meter } = vm;

  const writable = (map: number): HeaderMap | undefined => {
    const name = streamMaps[map];
    const fields = name === undefined ? undefined : vm.stream?.host?.headers(name);
    if (fields !== undefined && fields.size > manyFields) meter.work(fields.size * fieldCost);
    return fields;
  };

  return {
    proxy_get_header_map_size(map: number, returnSize: number): Status {
      meter.hostcall();
      const fields = writable(map) ?? answer(vm, map);
      if (fields === undefined) return Status.BAD_ARGUMENT;
      return memory.writeU32(returnSize, pairsSize(fields.entries())) ? Status.OK : Status.INVALID_MEMORY_ACCESS;
    },

    proxy_get_header_map_pairs(map: number, returnData: number, returnSize: number): Status {
      meter.hostcall();
      if (map >>> 0 > lastMap) return Status.BAD_ARGUMENT;
      const fields = writable(map) ?? answer(vm, map);
      return memory.givePairs(fields?.entries() ?? [], returnData, returnSize);
    },

    proxy_set_header_map_pairs(map: number, data: number, size: number): Status {
      meter.hostcall();
      if (!memory.holds(data, size)) return Status.INVALID_MEMORY_ACCESS;
      const target = writable(map);
      const pairs = memory.pairs(data, size);
      const fields = pairs === undefined ? undefined : toFields(pairs);
      if (target === undefined || fields === undefined) return Status.BAD_ARGUMENT;
      target.replaceAll(fields);
      return Status.OK;
    },

    proxy_get_header_map_value(
      map: number,
      key: number,
      keySize: number,
      returnData: number,
      returnSize: number,
    ): Status {
      meter.hostcall();
      const name = memory.latin1(key, keySize);
      if (name === undefined) return Status.INVALID_MEMORY_ACCESS;
      const fields = writable(map) ?? answer(vm, map);
      if (fields === undefined) return Status.BAD_ARGUMENT;
      const value = fields.get(name.toLowerCase());
      if (value === undefined && !vm.isLegacy) return Status.NOT_FOUND;
      return memory.giveLatin1(value ?? "", returnData, returnSize);
    },

    proxy_add_header_map_value(map: number, key: number, keySize: number, data: number, size: number): Status {
      meter.hostcall();
      const name = memory.latin1(key, keySize)?.toLowerCase();
      const value = memory.latin1(data, size);
      if (name === undefined || value === undefined) return Status.INVALID_MEMORY_ACCESS;
      const target = writable(map);
      if (target === undefined || !isField(name, value)) return Status.BAD_ARGUMENT;
      target.add(name, value);
      return Status.OK;
    },

    proxy_replace_header_map_value(map: number, key: number, keySize: number, data: number, size: number): Status {
      meter.hostcall();
      const name = memory.latin1(key, keySize)?.toLowerCase();
      const value = memory.latin1(data, size);
      if (name === undefined || value === undefined) return Status.INVALID_MEMORY_ACCESS;
      const target = writable(map);
      if (target === undefined || !isField(name, value)) return Status.BAD_ARGUMENT;
      target.set(name, value);
      return Status.OK;
    },

    proxy_remove_header_map_value(map: number, key: number, keySize: number): Status {
      meter.hostcall();
      const name = memory.latin1(key, keySize);
      if (name === undefined) return Status.INVALID_MEMORY_ACCESS;
      const target = writable(map);
      if (target === undefined) return Status.BAD_ARGUMENT;
      target.remove(name.toLowerCase());
      return Status.OK;
    },
  };
}

/** A map of the answer that is being delivered. */
function answer({ reply }: Vm, map: number): ReadableFields | undefined {
  if (reply?.message === undefined) return undefined;
  if (reply.protocol === "http") {
    if (map === MapType.HTTP_CALL_RESPONSE_HEADERS) return answerFields(reply.message.headers);
    if (map === MapType.HTTP_CALL_RESPONSE_TRAILERS) return answerFields(reply.message.trailers);
  } else {
    if (map === MapType.GRPC_CALL_INITIAL_METADATA) return answerFields(reply.message.initialMetadata);
    if (map === MapType.GRPC_CALL_TRAILING_METADATA) return answerFields(reply.message.trailingMetadata);
  }
  return undefined;
}
