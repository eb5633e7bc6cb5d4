import type { BindingEvent } from "../../components/binding/binding.ts";
import type { TopicEvent } from "../api/cloud-event.ts";
import type { TopicSubscription } from "../api/pubsub.ts";
import type { EventOutcome } from "../api/pubsub-delivery.ts";

/** A way in which applications are called back over gRPC. Which ones an application speaks is found by asking it. */
export interface CallbackProtocol {
  readonly name: string;
  readonly topics?: TopicCallbacks;
  readonly bindings?: BindingCallbacks;
}

export interface TopicCallbacks {
  /** The topics that the application wants; undefined when it does not speak the protocol. Rejects while it is not there. */
  subscriptions(signal: AbortSignal): Promise<readonly TopicSubscription[] | undefined>;
  /** What the application says of the event; rejects when it cannot be asked or does not answer in time. */
  deliver(event: TopicEvent, signal: AbortSignal): Promise<EventOutcome>;
}

export interface BindingCallbacks {
  /** The input bindings that the application wants; undefined when it does not speak the protocol. Rejects while it is not there. */
  names(signal: AbortSignal): Promise<readonly string[] | undefined>;
  /** Resolves when the application has done with the event; rejects when it has not. */
  deliver(binding: string, event: BindingEvent, signal: AbortSignal): Promise<void>;
}
