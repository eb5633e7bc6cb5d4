import { messageOf } from "../../../components/thrown.ts";
import type { GrpcReply } from "../../plugin/outside-calls.ts";
import { GrpcCode, Status } from "../abi.ts";
import { depthHeader } from "../context.ts";
import { noResult } from "../foreign/foreign-function.ts";
import { standardFunctions } from "../foreign/standard-functions.ts";
import type { HostFunctions } from "../link.ts";
import { maxCallDepth, type Vm } from "../vm.ts";

/** `/package.Service/Method` */
const methodName = /^\/([^/]+)\/([^/]+)$/;

/**
 * `proxy_call_foreign_function`: the full name of a gRPC method is that method of the runtime, with its request message
 * and its response message, for which only a guest that suspends can wait; other names are the standard functions.
 */
export function foreignFunctions(vm: Vm): HostFunctions {
  return { proxy_call_foreign_function: vm.suspends ? new WebAssembly.Suspending(waiting(vm)) : plain(vm) };
}

function plain(vm: Vm): (...parameters: Parameters<WaitingFunction>) => Status {
  const { memory, meter } = vm;
  return (name, nameSize, argument, argumentSize, returnData, returnSize) => {
    meter.hostcall();
    const named = memory.utf8(name, nameSize);
    if (named === undefined || !memory.holds(argument, argumentSize)) return Status.INVALID_MEMORY_ACCESS;
    if (!vm.services.hasMethod(named)) return callStandard(vm, named, argument, argumentSize, returnData, returnSize);
    vm.status = {
      code: GrpcCode.UNIMPLEMENTED,
      message: `${named} is answered later, and this plugin does not wait: set 'suspends: true' in its manifest, or use proxy_grpc_call`,
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
  const { memory, meter } = vm;
  return async (name, nameSize, argument, argumentSize, returnData, returnSize) => {
    meter.hostcall();
    const method = memory.utf8(name, nameSize);
    if (method === undefined || !memory.holds(argument, argumentSize)) return Status.INVALID_MEMORY_ACCESS;
    const [, serviceName, shortName] = methodName.exec(method) ?? [];
    if (serviceName === undefined || shortName === undefined || !vm.services.hasMethod(method))
      return callStandard(vm, method, argument, argumentSize, returnData, returnSize);
    const message = memory.copy(argument, argumentSize);
    if (message === undefined) return Status.INVALID_MEMORY_ACCESS;
    if (vm.depth >= maxCallDepth) return tooDeep(vm);
    const metadata = [[depthHeader, String(vm.depth + 1)]] as const;
    const request = { service: serviceName, method: shortName, metadata, message };
    const { caller } = vm;
    const reply = await vm.suspend((signal) =>
      answerOf(Promise.try(() => vm.services.grpcCall("outrigger", request, signal, undefined, caller))),
    );
    vm.status = { code: reply.code, message: reply.details };
    if (reply.code !== GrpcCode.OK) return statusOf(reply.code);
    return memory.giveIfWanted(reply.message ?? noResult, returnData, returnSize);
  };
}

function callStandard(
  vm: Vm,
  name: string,
  argument: number,
  argumentSize: number,
  returnData: number,
  returnSize: number,
): Status {
  const run = standardFunctions.get(name);
  if (run === undefined) return unknownFunction(vm, name);
  const bytes = vm.memory.borrow(argument, argumentSize);
  if (bytes === undefined) return Status.INVALID_MEMORY_ACCESS;
  const result = run(vm, bytes);
  if (result instanceof Uint8Array) return vm.memory.giveIfWanted(result, returnData, returnSize);
  vm.status = { code: codes.get(result.status) ?? GrpcCode.INTERNAL, message: `${name}: ${result.message}` };
  return result.status;
}

/** What the failures of standard functions are in gRPC. */
const codes: ReadonlyMap<Status, number> = new Map([
  [Status.BAD_ARGUMENT, GrpcCode.INVALID_ARGUMENT],
  [Status.SERIALIZATION_FAILURE, GrpcCode.INVALID_ARGUMENT],
  [Status.NOT_FOUND, GrpcCode.NOT_FOUND],
]);

/** The reply, whatever happens to the call. */
function answerOf(call: Promise<GrpcReply>): Promise<GrpcReply> {
  return call.catch((error: unknown) => ({
    code: GrpcCode.UNAVAILABLE,
    details: messageOf(error),
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
