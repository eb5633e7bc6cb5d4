import { RuntimeError } from "../../../components/error.ts";
import {
  type RuntimeService,
  TopicEventResponse_TopicEventResponseStatus as Status,
  type SubscribeTopicEventsRequest,
  type SubscribeTopicEventsRequestInitial,
  type TopicEventRequest,
} from "../../../proto/gen/spec/proto/runtime/v1/runtime.ts";
import type { HandlersOf } from "../../grpc/service.ts";
import type { TopicEvent } from "../cloud-event.ts";
import type { EventOutcome, PubSubBlock } from "../pubsub.ts";
import { unlessAborted } from "../unless-aborted.ts";

/**
 * The pub/sub methods of Layotto's service. A stream of SubscribeTopicEvents begins with the topic; every event on it is
 * answered by its id. Events that are not answered when the stream ends go to another subscriber, or wait for the next.
 */
export function pubsubMethods(block: PubSubBlock) {
  return {
    async publishEvent({ pubsubName, topic, data, dataContentType, metadata }, call) {
      await block.publish({ pubsub: pubsubName, topic, data, contentType: dataContentType, metadata }, call);
      return {};
    },
    async subscribeTopicEvents({ call, requests, write }) {
      const unanswered: { readonly id: string; readonly answer: (outcome: EventOutcome) => void }[] = [];
      const incoming = requests[Symbol.asyncIterator]();
      const { pubsubName, topic, metadata, deadLetterTopic } = initialOf((await incoming.next()).value);
      const subscription = {
        pubsub: pubsubName,
        topic,
        metadata,
        ...(deadLetterTopic === undefined || deadLetterTopic === "" ? {} : { deadLetterTopic }),
      };
      // Events wait until the client knows that it is subscribed.
      const announced = Promise.withResolvers<void>();
      await using _subscribed = await block.subscribe(subscription, async (event, signal) => {
        await unlessAborted(unlessAborted(announced.promise, signal), call.signal);
        const outcome = Promise.withResolvers<EventOutcome>();
        const sent = { id: event.id, answer: outcome.resolve };
        unanswered.push(sent);
        try {
          await write({ subscribeTopicEventsResponseType: { $case: "eventMessage", value: eventMessage(event) } });
          return await unlessAborted(unlessAborted(outcome.promise, signal), call.signal);
        } finally {
          forget(unanswered, sent);
        }
      });
      await write({ subscribeTopicEventsResponseType: { $case: "initialResponse", value: {} } });
      announced.resolve();
      for (let next = await incoming.next(); next.done !== true; next = await incoming.next()) {
        const { id, status } = processedOf(next.value);
        // Publishers choose the ids, so two events may have the same.
        const sent = unanswered.find((one) => one.id === id);
        if (sent === undefined) continue;
        forget(unanswered, sent);
        sent.answer(outcomeOf(status?.status ?? Status.SUCCESS));
      }
    },
  } satisfies HandlersOf<RuntimeService>;
}

function forget<T>(list: T[], one: T): void {
  const at = list.indexOf(one);
  if (at >= 0) list.splice(at, 1);
}

function initialOf(request: SubscribeTopicEventsRequest | undefined): SubscribeTopicEventsRequestInitial {
  const type = request?.subscribeTopicEventsRequestType;
  if (type?.$case === "initialRequest") return type.value;
  throw new RuntimeError(
    "INVALID_ARGUMENT",
    "SUBSCRIPTION_MISSING",
    "the first request of the stream must be initial_request",
  );
}

function processedOf(request: SubscribeTopicEventsRequest) {
  const type = request.subscribeTopicEventsRequestType;
  if (type?.$case === "eventProcessed") return type.value;
  throw new RuntimeError(
    "INVALID_ARGUMENT",
    "ACKNOWLEDGEMENT_MISSING",
    "after the first, each request of the stream must be event_processed",
  );
}

/** An event as the proto has it. */
export function eventMessage(event: TopicEvent): TopicEventRequest {
  const { id, source, type, specVersion, dataContentType, data, topic, pubsubName, metadata } = event;
  return { id, source, type, specVersion, dataContentType, data, topic, pubsubName, metadata: { ...metadata } };
}

/** What an application says of an event; a status that is not known asks for another try. */
export function outcomeOf(status: Status): EventOutcome {
  if (status === Status.SUCCESS) return "success";
  return status === Status.DROP ? "drop" : "retry";
}
