import type { TopicEventRequest } from "../proto/gen/spec/proto/runtime/v1/runtime.ts";
import { Value } from "./value.ts";

/** An event of a topic, with the attributes of CloudEvents 1.0. */
export interface TopicEvent {
  readonly id: string;
  readonly source: string;
  readonly type: string;
  readonly specVersion: string;
  readonly pubsub: string;
  readonly topic: string;
  readonly contentType: string;
  readonly data: Value;
  readonly metadata: Readonly<Record<string, string>>;
}

/** The event of a message of the wire. */
export function topicEventOf(message: TopicEventRequest): TopicEvent {
  const { id, source, type, specVersion, topic, metadata } = message;
  return {
    id,
    source,
    type,
    specVersion,
    pubsub: message.pubsubName,
    topic,
    contentType: message.dataContentType,
    data: new Value(message.data),
    metadata,
  };
}
