import type { BodyBuffer } from "../../plugin/contract.ts";
import { BufferType, Status } from "../abi.ts";
import type { HostFunctions } from "../link.ts";
import type { Vm } from "../vm.ts";

/** Fuel for each byte of a body that a change may move. */
const moveCost = 1 / 2;
const nothing = new Uint8Array(0);
/** Bytes of the id that a guest may give itself. */
const longestId = 128;

/** Buffers: bodies of the stream and data of the connection, which may be changed, and answers and configurations, which may be read. */
export function bufferFunctions(vm: Vm): HostFunctions {
  const { memory, meter } = vm;

  return {
    proxy_get_buffer_bytes(
      buffer: number,
      start: number,
      maxSize: number,
      returnData: number,
      returnSize: number,
    ): Status {
      meter.hostcall();
      const from = start >>> 0;
      const length = maxSize >>> 0;
      if (from + length > 0xffff_ffff || buffer >>> 0 > BufferType.FOREIGN_FUNCTION_ARGUMENTS)
        return Status.BAD_ARGUMENT;
      const body = bodyOf(vm, buffer);
      const bytes =
        body === undefined ? fixedBytes(vm, buffer)?.subarray(from, from + length) : body.read(from, length);
      return bytes === undefined ? Status.NOT_FOUND : memory.give(bytes, returnData, returnSize);
    },

    proxy_get_buffer_status(buffer: number, returnSize: number, returnUnused: number): Status {
      meter.hostcall();
      if (buffer >>> 0 > BufferType.FOREIGN_FUNCTION_ARGUMENTS) return Status.BAD_ARGUMENT;
      const size = bodyOf(vm, buffer)?.length ?? fixedBytes(vm, buffer)?.byteLength;
      if (size === undefined) return Status.NOT_FOUND;
      const written = memory.writeU32(returnSize, size) && memory.writeU32(returnUnused, 0);
      return written ? Status.OK : Status.INVALID_MEMORY_ACCESS;
    },

    proxy_set_buffer_bytes(buffer: number, start: number, size: number, data: number, dataSize: number): Status {
      meter.hostcall();
      if (!memory.holds(data, dataSize)) return Status.INVALID_MEMORY_ACCESS;
      if (buffer >>> 0 > BufferType.FOREIGN_FUNCTION_ARGUMENTS) return Status.BAD_ARGUMENT;
      if (buffer === BufferType.FOREIGN_FUNCTION_ARGUMENTS && isAskedForId(vm)) {
        vm.reportedId = memory.utf8(data, Math.min(dataSize >>> 0, longestId)) ?? "";
        return Status.OK;
      }
      const body = bodyOf(vm, buffer);
      if (body === undefined) return fixedBytes(vm, buffer) === undefined ? Status.NOT_FOUND : Status.BAD_ARGUMENT;
      const bytes = memory.borrow(data, dataSize) ?? nothing;
      meter.work(body.length * moveCost);
      body.splice(Math.min(start >>> 0, body.length), size >>> 0, bytes);
      return Status.OK;
    },
  };
}

const isAskedForId = ({ running, callbacks }: Vm): boolean => running !== undefined && running === callbacks.getId;

function bodyOf(vm: Vm, buffer: number): BodyBuffer | undefined {
  if (buffer === BufferType.HTTP_REQUEST_BODY) return vm.stream?.host?.body("request");
  if (buffer === BufferType.HTTP_RESPONSE_BODY) return vm.stream?.host?.body("response");
  if (buffer === BufferType.DOWNSTREAM_DATA) return vm.connection?.host?.data("downstream");
  if (buffer === BufferType.UPSTREAM_DATA) return vm.connection?.host?.data("upstream");
  return undefined;
}

function fixedBytes({ reply, program }: Vm, buffer: number): Uint8Array | undefined {
  switch (buffer) {
    case BufferType.HTTP_CALL_RESPONSE_BODY:
      return reply?.protocol === "http" ? reply.message?.body : undefined;
    case BufferType.GRPC_CALL_MESSAGE:
      return reply?.protocol === "grpc" ? reply.message.message : undefined;
    case BufferType.VM_CONFIGURATION:
      return program.vmConfiguration;
    case BufferType.PLUGIN_CONFIGURATION:
      return program.configuration;
    default:
      return undefined;
  }
}
