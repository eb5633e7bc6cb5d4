import type { z } from "zod";
import type { CallContext, ComponentDefinition } from "../component.ts";

export interface PublishMessage {
  readonly topic: string;
  /** The event as it goes over the wire: the runtime has wrapped it (CloudEvents) unless the publisher asked for raw. */
  readonly data: Uint8Array;
  readonly contentType: string;
  readonly metadata: Readonly<Record<string, string>>;
}

export interface ReceivedMessage {
  /** The broker's id of the message, the same at every redelivery. */
  readonly id: string;
  readonly topic: string;
  readonly data: Uint8Array;
  readonly contentType: string;
  readonly metadata: Readonly<Record<string, string>>;
}

export interface SubscribeTopic {
  readonly topic: string;
  /** Subscribers of one group share a topic's messages; each group gets all of them. */
  readonly group: string;
  readonly metadata: Readonly<Record<string, string>>;
}

/** Settled with success the message is acknowledged; a rejection asks for redelivery. The signal aborts when the subscription ends. */
export type Deliver = (message: ReceivedMessage, signal: AbortSignal) => Promise<void>;

/** Topics with at-least-once delivery, in publish order within a topic as far as the broker keeps one. */
export interface PubSub extends AsyncDisposable {
  /** Throws INVALID_ARGUMENT when no topic can have that name; absent where each can. */
  checkTopic?(topic: string): void;
  /** Resolves once the broker has the message. */
  publish(message: PublishMessage, call: CallContext): Promise<void>;
  /** Resolves once messages published from now on will be delivered; disposing ends it and delivers nothing more. */
  subscribe(request: SubscribeTopic, deliver: Deliver): Promise<AsyncDisposable>;
}

/**
 * `ordered`: first deliveries to the only subscriber of a group come in publish order. `durable`: what was published once a
 * group had subscribed is delivered to it, also when it, the component or the broker was away meanwhile; a message that was
 * not acknowledged when its subscriber died is delivered to another. `redelivery`: what a subscriber rejects comes again.
 * `shared`: all who have it open with the same settings, in any process, have the same topics and groups.
 */
export type PubSubCapability = "ordered" | "durable" | "redelivery" | "shared";

export const definePubSub = <Schema extends z.ZodObject>(
  definition: ComponentDefinition<PubSub, Schema, PubSubCapability>,
): ComponentDefinition<PubSub, Schema, PubSubCapability> => definition;
