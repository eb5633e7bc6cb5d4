import { Status } from "../abi.ts";
import { depthHeader } from "../context.ts";
import { toFields } from "../fields.ts";
import type { HostFunctions } from "../link.ts";
import { callCost, maxCallDepth, type Vm } from "../vm.ts";

const required = [":method", ":path", ":authority"];

/** `proxy_http_call`: a request to an upstream, or to the runtime under the name `outrigger`. */
export function httpCallFunctions(vm: Vm): HostFunctions {
  const { memory, meter } = vm;

  return {
    proxy_http_call(
      upstream: number,
      upstreamSize: number,
      headers: number,
      headersSize: number,
      body: number,
      bodySize: number,
      trailers: number,
      trailersSize: number,
      timeoutMs: number,
      returnToken: number,
    ): Status {
      meter.hostcall();
      const name = memory.utf8(upstream, upstreamSize);
      const bytes = memory.copy(body, bodySize);
      const outside = !memory.holds(headers, headersSize) || !memory.holds(trailers, trailersSize);
      if (name === undefined || bytes === undefined || outside || !memory.writeU32(returnToken, 0))
        return Status.INVALID_MEMORY_ACCESS;
      const fields = toFields(memory.pairs(headers, headersSize) ?? []);
      const trailing = toFields(memory.pairs(trailers, trailersSize) ?? []);
      if (fields === undefined || trailing === undefined || timeoutMs < 0 || !vm.services.hasUpstream(name))
        return Status.BAD_ARGUMENT;
      if (!required.every((pseudo) => fields.some(([key, value]) => key === pseudo && value !== "")))
        return Status.BAD_ARGUMENT;
      if (name === "outrigger") {
        if (vm.depth >= maxCallDepth) return Status.INTERNAL_FAILURE;
        fields.push([depthHeader, String(vm.depth + 1)]);
      }
      meter.work(callCost);
      const token = vm.root.calls.http(name, { headers: fields, body: bytes, trailers: trailing }, timeoutMs);
      if (token === undefined) return Status.INTERNAL_FAILURE;
      memory.writeU32(returnToken, token);
      return Status.OK;
    },
  };
}
