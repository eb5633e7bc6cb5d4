import { Status } from "../abi.ts";
import { depthHeader } from "../context.ts";
import { toFields } from "../fields.ts";
import { grpcServiceTarget } from "../grpc-service.ts";
import type { HostFunctions } from "../link.ts";
import { callCost, maxCallDepth, type Vm } from "../vm.ts";

/** Fuel for handing a message to the peer, beyond its bytes. */
const sendCost = 2_000;

/** gRPC calls and streams to an upstream, or to the runtime under the name `outrigger`, and the status of the last one. */
export function grpcCallFunctions(vm: Vm): HostFunctions {
  const { memory, meter } = vm;

  return {
    proxy_grpc_call(
      upstream: number,
      upstreamSize: number,
      service: number,
      serviceSize: number,
      method: number,
      methodSize: number,
      metadata: number,
      metadataSize: number,
      message: number,
      messageSize: number,
      timeoutMs: number,
      returnToken: number,
    ): Status {
      meter.hostcall();
      const target = memory.copy(upstream, upstreamSize);
      const serviceName = memory.utf8(service, serviceSize);
      const methodName = memory.utf8(method, methodSize);
      const bytes = memory.copy(message, messageSize);
      if (target === undefined || serviceName === undefined || methodName === undefined || bytes === undefined)
        return Status.INVALID_MEMORY_ACCESS;
      if (!memory.holds(metadata, metadataSize) || !memory.writeU32(returnToken, 0))
        return Status.INVALID_MEMORY_ACCESS;
      const fields = toFields(memory.pairs(metadata, metadataSize) ?? []);
      if (fields === undefined || timeoutMs < 0) return Status.BAD_ARGUMENT;
      const name = upstreamOf(target);
      if (name === undefined) return Status.PARSE_FAILURE;
      if (name === "outrigger") {
        if (vm.depth >= maxCallDepth) return Status.INTERNAL_FAILURE;
        fields.push([depthHeader, String(vm.depth + 1)]);
      }
      meter.work(callCost);
      const request = { service: serviceName, method: methodName, metadata: fields, message: bytes };
      const token = vm.root.calls.grpc(name, request, timeoutMs);
      if (token === undefined) return Status.INTERNAL_FAILURE;
      memory.writeU32(returnToken, token);
      return Status.OK;
    },

    proxy_grpc_stream(
      upstream: number,
      upstreamSize: number,
      service: number,
      serviceSize: number,
      method: number,
      methodSize: number,
      metadata: number,
      metadataSize: number,
      returnToken: number,
    ): Status {
      meter.hostcall();
      const target = memory.copy(upstream, upstreamSize);
      const serviceName = memory.utf8(service, serviceSize);
      const methodName = memory.utf8(method, methodSize);
      if (target === undefined || serviceName === undefined || methodName === undefined)
        return Status.INVALID_MEMORY_ACCESS;
      if (!memory.holds(metadata, metadataSize) || !memory.writeU32(returnToken, 0))
        return Status.INVALID_MEMORY_ACCESS;
      const fields = toFields(memory.pairs(metadata, metadataSize) ?? []);
      if (fields === undefined) return Status.BAD_ARGUMENT;
      const name = upstreamOf(target);
      if (name === undefined) return Status.PARSE_FAILURE;
      meter.work(callCost);
      const token = vm.root.streams.open(name, { service: serviceName, method: methodName, metadata: fields });
      if (token === undefined) return Status.INTERNAL_FAILURE;
      memory.writeU32(returnToken, token);
      return Status.OK;
    },

    proxy_grpc_send(token: number, message: number, messageSize: number, endStream: number): Status {
      meter.hostcall();
      const bytes = memory.copy(message, messageSize);
      if (bytes === undefined) return Status.INVALID_MEMORY_ACCESS;
      meter.work(sendCost);
      return isUnary(token) ? Status.BAD_ARGUMENT : vm.root.streams.send(token >>> 0, bytes, endStream !== 0);
    },

    proxy_grpc_cancel(token: number): Status {
      meter.hostcall();
      const calls = isUnary(token) ? vm.root.calls : vm.root.streams;
      return calls.cancel(token >>> 0) ? Status.OK : Status.NOT_FOUND;
    },

    proxy_grpc_close(token: number): Status {
      meter.hostcall();
      const closed = isUnary(token) ? vm.root.calls.cancel(token >>> 0) : vm.root.streams.close(token >>> 0);
      return closed ? Status.OK : Status.NOT_FOUND;
    },

    proxy_get_status(returnCode: number, returnMessage: number, returnMessageSize: number): Status {
      meter.hostcall();
      const { code, message } = vm.status;
      if (!memory.holds(returnCode, 4)) return Status.INVALID_MEMORY_ACCESS;
      const given = memory.give(Buffer.from(message, "utf8"), returnMessage, returnMessageSize);
      if (given === Status.OK) memory.writeU32(returnCode, code);
      return given;
    },
  };

  /** The name that the argument means, when there is such an upstream. */
  function upstreamOf(target: Uint8Array): string | undefined {
    const plain = Buffer.from(target).toString("utf8");
    if (vm.services.hasUpstream(plain)) return plain;
    const named = grpcServiceTarget(target);
    return named !== undefined && vm.services.hasUpstream(named) ? named : undefined;
  }
}

/** Calls have odd tokens, streams even ones. */
const isUnary = (token: number): boolean => token % 2 !== 0;
