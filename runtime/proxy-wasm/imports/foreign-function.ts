import type { GrpcReply } from "../../plugin/contract.ts";
import { GrpcCode, Status } from "../abi.ts";
import { depthHeader } from "../context.ts";
import type { HostFunctions } from "../link.ts";
import { maxCallDepth, type Vm } from "../vm.ts";

/** `/package.Service/Method` */
const methodName = /^\/([^/]+)\/([^/]+)$/;

/**
 * `proxy_call_foreign_function`: the full name of a gRPC method is that method of the runtime, with its request message
 * and its response message. Only a guest that suspends can wait for it.
 */
export function foreignFunctions(vm: Vm): HostFunctions {
  return { proxy_call_foreign_function: vm.suspends ? new WebAssembly.Suspending(waiting(vm)) : plain(vm) };
}

function plain(vm: Vm): (name: number, nameSize: number) => Status {
  return (name, nameSize) => {
    vm.meter.hostcall();
    const method = vm.memory.utf8(name, nameSize);
    if (method === undefined) return Status.INVALID_MEMORY_ACCESS;
    if (!vm.services.hasMethod(method)) return unknownFunction(vm, method);
    vm.status = {
      code: GrpcCode.UNIMPLEMENTED,
      message: `${method} is answered later, and this plugin does not wait: set 'suspends: true' in its manifest, or use proxy_grpc_call`,
    };
    return Status.UNIMPLEMENTED;
  };
}

type WaitingFunction = (
  name: number,
  nameSize: number,
  argument: number,
  argumentSize: number,
  returnData: number,
  returnSize: number,
) => Promise<Status>;

function waiting(vm: Vm): WaitingFunction {
  const { memory, meter, services } = vm;
  return async (name, nameSize, argument, argumentSize, returnData, returnSize) => {
    meter.hostcall();
    const method = memory.utf8(name, nameSize);
    const message = memory.copy(argument, argumentSize);
    if (method === undefined || message === undefined) return Status.INVALID_MEMORY_ACCESS;
    const [, serviceName, shortName] = methodName.exec(method) ?? [];
    if (serviceName === undefined || shortName === undefined || !services.hasMethod(method))
      return unknownFunction(vm, method);
    if (vm.depth >= maxCallDepth) return tooDeep(vm);
    const metadata = [[depthHeader, String(vm.depth + 1)]] as const;
    const request = { service: serviceName, method: shortName, metadata, message };
    const reply = await vm.suspend((signal) =>
      answerOf(Promise.try(() => services.grpcCall("outrigger", request, signal))),
    );
    vm.status = { code: reply.code, message: reply.details };
    if (reply.code !== GrpcCode.OK) return statusOf(reply.code);
    if (returnData === 0 && returnSize === 0) return Status.OK;
    return memory.give(reply.message ?? new Uint8Array(0), returnData, returnSize);
  };
}

/** The reply, whatever happens to the call. */
function answerOf(call: Promise<GrpcReply>): Promise<GrpcReply> {
  return call.catch((error: unknown) => ({
    code: GrpcCode.UNAVAILABLE,
    details: error instanceof Error ? error.message : String(error),
    initialMetadata: [],
    trailingMetadata: [],
  }));
}

function unknownFunction(vm: Vm, name: string): Status {
  vm.status = { code: GrpcCode.UNIMPLEMENTED, message: `there is no foreign function '${name}'` };
  return Status.NOT_FOUND;
}

function tooDeep(vm: Vm): Status {
  const message = `plugins called each other more than ${maxCallDepth} deep`;
  vm.status = { code: GrpcCode.RESOURCE_EXHAUSTED, message };
  return Status.INTERNAL_FAILURE;
}

function statusOf(code: number): Status {
  switch (code) {
    case GrpcCode.INVALID_ARGUMENT:
    case GrpcCode.OUT_OF_RANGE:
      return Status.BAD_ARGUMENT;
    case GrpcCode.NOT_FOUND:
      return Status.NOT_FOUND;
    case GrpcCode.ABORTED:
      return Status.CAS_MISMATCH;
    case GrpcCode.UNIMPLEMENTED:
      return Status.UNIMPLEMENTED;
    default:
      return Status.INTERNAL_FAILURE;
  }
}
