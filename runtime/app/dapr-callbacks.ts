import { AppCallbackService } from "../../proto/gen/dapr/proto/runtime/v1/appcallback.ts";
import type { GrpcChannel } from "../grpc/client-channel.ts";
import type { Log } from "../telemetry/log.ts";
import type { CallbackProtocol } from "./callback-protocol.ts";
import { ifSpoken, listTimeoutMs, unaryCall } from "./unary-call.ts";

export interface DaprCallbacksOptions {
  readonly channel: GrpcChannel;
  readonly eventTimeoutMs: number;
  readonly log: Log;
}

/** The input bindings of `dapr.proto.runtime.v1.AppCallback`, as the application serves it. */
export function daprCallbacks({ channel, eventTimeoutMs: timeoutMs, log }: DaprCallbacksOptions): CallbackProtocol {
  return {
    name: "dapr",
    bindings: {
      async names(signal) {
        const call = { timeoutMs: listTimeoutMs, signal };
        const listed = await ifSpoken(unaryCall(channel, AppCallbackService.listInputBindings, {}, call));
        return listed?.bindings;
      },
      async deliver(name, { data, metadata }, signal) {
        const request = { name, data, metadata: { ...metadata } };
        const wish = await unaryCall(channel, AppCallbackService.onBindingEvent, request, { timeoutMs, signal });
        if (wish.to.length === 0 && wish.storeName === "") return;
        const fields = { binding: name, to: wish.to, store: wish.storeName };
        log.warn(fields, "the application answered an event with more work, which it has to ask the API for");
      },
    },
  };
}
