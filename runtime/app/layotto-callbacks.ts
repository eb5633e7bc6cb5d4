import { AppCallbackService } from "../../proto/gen/spec/proto/runtime/v1/appcallback.ts";
import type { TopicEvent } from "../api/cloud-event.ts";
import { eventMessage, outcomeOf } from "../api/layotto/pubsub-methods.ts";
import type { EventOutcome } from "../api/pubsub-delivery.ts";
import type { GrpcChannel } from "../grpc/client-channel.ts";
import type { Pairs } from "../grpc/metadata-fields.ts";
import type { Log } from "../telemetry/log.ts";
import type { CallbackProtocol } from "./callback-protocol.ts";
import { ifSpoken, isUnimplemented, listTimeoutMs, unaryCall } from "./unary-call.ts";

export interface LayottoCallbacksOptions {
  readonly channel: GrpcChannel;
  readonly maxMessageBytes: number;
  readonly eventTimeoutMs: number;
  readonly log: Log;
}

const traceparent = /^[\da-f]{2}-[\da-f]{32}-[\da-f]{16}-[\da-f]{2}$/;

/** `spec.proto.runtime.v1.AppCallback`, as the application serves it. */
export function layottoCallbacks(options: LayottoCallbacksOptions): CallbackProtocol {
  const { channel, eventTimeoutMs: timeoutMs, log } = options;
  return {
    name: "layotto",
    topics: {
      async subscriptions(signal) {
        const call = { timeoutMs: listTimeoutMs, signal };
        const listed = await ifSpoken(unaryCall(channel, AppCallbackService.listTopicSubscriptions, {}, call));
        return listed?.subscriptions.map(({ pubsubName: pubsub, topic, metadata }) => ({ pubsub, topic, metadata }));
      },
      async deliver(event, signal) {
        const request = eventMessage(event);
        const bytes = AppCallbackService.onTopicEvent.requestSerialize(request).length;
        if (bytes > options.maxMessageBytes) return dropped(log, event, `an event of ${bytes} bytes is too large`);
        try {
          const call = { metadata: traceOf(event), timeoutMs, signal };
          return outcomeOf((await unaryCall(channel, AppCallbackService.onTopicEvent, request, call)).status);
        } catch (error) {
          if (isUnimplemented(error)) return dropped(log, event, "the application does not implement OnTopicEvent");
          throw error;
        }
      },
    },
  };
}

function dropped(log: Log, { pubsubName: pubsub, topic, id }: TopicEvent, why: string): EventOutcome {
  log.warn({ pubsub, topic, id, why }, "an event cannot be delivered to the application");
  return "drop";
}

/** Lets the application go on with the trace of the publisher. */
function traceOf({ metadata: attributes }: TopicEvent): Pairs {
  const trace = attributes.traceparent ?? "";
  return traceparent.test(trace) ? [["traceparent", trace]] : [];
}
