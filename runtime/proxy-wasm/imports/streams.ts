import type { ConnectionSide } from "../../plugin/connection-filter.ts";
import type { Direction, LocalReply } from "../../plugin/contract.ts";
import { Status, StreamType } from "../abi.ts";
import { toFields } from "../fields.ts";
import type { HostFunctions } from "../link.ts";
import type { Vm } from "../vm.ts";

const longestDetails = 256;
const unsetGrpcStatus = -1;
/** What is above it is no status (https://www.rfc-editor.org/rfc/rfc9110#section-15), and clients make of it what they like. */
const highestStatus = 599;

/** What ends or goes on: contexts, streams, and replies in place of what lies behind. */
export function streamFunctions(vm: Vm): HostFunctions {
  const { memory, meter } = vm;

  return {
    proxy_set_effective_context(id: number): Status {
      meter.hostcall();
      const context = vm.contexts.get(id);
      if (context?.created !== true) return Status.BAD_ARGUMENT;
      vm.setEffective(context);
      return Status.OK;
    },

    proxy_done(): Status {
      meter.hostcall();
      const context = vm.stream ?? vm.connection;
      if (context === undefined) return vm.root.complete() ? Status.OK : Status.NOT_FOUND;
      if (!context.root.undone.has(context)) return Status.NOT_FOUND;
      context.root.undone.delete(context);
      vm.defer(() => context.complete());
      return Status.OK;
    },

    proxy_continue_stream(type: number): Status {
      meter.hostcall();
      const direction = directionOf(type);
      const side = sideOf(type);
      if (direction !== undefined && vm.stream !== undefined) vm.stream.resume(direction);
      else if (side !== undefined && vm.connection !== undefined) vm.connection.resume(side);
      else return Status.BAD_ARGUMENT;
      return Status.OK;
    },

    proxy_close_stream(type: number): Status {
      meter.hostcall();
      const side = sideOf(type);
      if (directionOf(type) !== undefined && vm.stream !== undefined) vm.stream.reset();
      else if (side !== undefined && vm.connection !== undefined) vm.connection.close(side);
      else return Status.BAD_ARGUMENT;
      return Status.OK;
    },

    proxy_send_local_response(
      statusCode: number,
      details: number,
      detailsSize: number,
      body: number,
      bodySize: number,
      headers: number,
      headersSize: number,
      grpcStatus: number,
    ): Status {
      meter.hostcall();
      const why = memory.latin1(details, detailsSize);
      const bytes = memory.copy(body, bodySize);
      if (why === undefined || bytes === undefined || !memory.holds(headers, headersSize))
        return Status.INVALID_MEMORY_ACCESS;
      const fields = toFields(memory.pairs(headers, headersSize) ?? []);
      if (vm.stream === undefined || fields === undefined || statusCode < 200 || statusCode > 999)
        return Status.BAD_ARGUMENT;
      const given: LocalReply = {
        status: statusCode,
        details: why.slice(0, longestDetails),
        headers: fields,
        body: bytes,
        ...(grpcStatus === unsetGrpcStatus ? {} : { grpcStatus: grpcStatus >>> 0 }),
      };
      vm.stream.respond(statusCode > highestStatus ? inPlaceOf(given, vm) : given);
      return Status.OK;
    },
  };
}

/** What was meant is not known: nothing of the reply is shown, and the request goes no further. */
function inPlaceOf(reply: LocalReply, vm: Vm): LocalReply {
  const sentence = `plugin '${vm.program.name}' answered with the status ${reply.status}, and 200 to 599 can be sent`;
  vm.services.log("warn", `${sentence} (the client got 500)`);
  return {
    ...reply,
    status: 500,
    headers: [["content-type", "text/plain; charset=utf-8"]],
    body: Buffer.from(`${sentence}\n`),
  };
}

function directionOf(type: number): Direction | undefined {
  if (type === StreamType.HTTP_REQUEST) return "request";
  return type === StreamType.HTTP_RESPONSE ? "response" : undefined;
}

function sideOf(type: number): ConnectionSide | undefined {
  if (type === StreamType.DOWNSTREAM) return "downstream";
  return type === StreamType.UPSTREAM ? "upstream" : undefined;
}
