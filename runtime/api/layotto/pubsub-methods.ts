import { RuntimeError } from "../../../components/error.ts";
import {
  type RuntimeService,
  TopicEventResponse_TopicEventResponseStatus as Status,
  type SubscribeTopicEventsRequest,
  type SubscribeTopicEventsRequestInitial,
  type SubscribeTopicEventsResponse,
  type TopicEventRequest,
} from "../../../proto/gen/spec/proto/runtime/v1/runtime.ts";
import type { HandlersOf } from "../../grpc/service.ts";
import type { TopicEvent } from "../cloud-event.ts";
import type { PubSubBlock } from "../pubsub.ts";
import type { EventHandler, EventOutcome } from "../pubsub-delivery.ts";
import { unlessAborted } from "../unless-aborted.ts";
import { UnansweredEvents } from "./unanswered-events.ts";

/** Longest wait for the answer to an event on a stream; then it is delivered again. */
const answerMs = 5 * 60_000;

/**
 * The pub/sub methods of Layotto's service. A stream of SubscribeTopicEvents begins with the topic; every event on it is
 * answered by its id. Events that are not answered when the stream ends go to another subscriber, or wait for the next.
 */
export function pubsubMethods(block: PubSubBlock, answerTimeoutMs = answerMs) {
  return {
    async publishEvent({ pubsubName, topic, data, dataContentType, metadata }, call) {
      await block.publish({ pubsub: pubsubName, topic, data, contentType: dataContentType, metadata }, call);
      return {};
    },
    async subscribeTopicEvents({ call, requests, write, draining }) {
      const incoming = requests[Symbol.asyncIterator]();
      const { pubsubName, topic, metadata, deadLetterTopic = "" } = initialOf((await incoming.next()).value);
      const unanswered = new UnansweredEvents(answerTimeoutMs);
      const ended = new AbortController();
      const over = AbortSignal.any([call.signal, ended.signal]);
      // Events wait until the client knows that it is subscribed.
      const announced = Promise.withResolvers<void>();
      const deliver: EventHandler = async (event) => {
        await unlessAborted(announced.promise, over);
        using sent = unanswered.expect(event.id);
        try {
          const writing = write(eventResponse(event)).then(() => sent.outcome);
          return await unlessAborted(Promise.race([writing, sent.outcome]), over);
        } catch (error) {
          if (!(error instanceof RuntimeError) || error.reason !== "MESSAGE_TOO_LARGE") throw error;
          call.log.warn({ err: error, topic, id: event.id }, "an event is too large to be delivered");
          return "drop";
        }
      };
      await using _subscribed = await block.subscribe(
        { pubsub: pubsubName, topic, metadata, deadLetterTopic },
        deliver,
      );
      await write({ subscribeTopicEventsResponseType: { $case: "initialResponse", value: {} } });
      announced.resolve();
      // Answers are taken while the subscription ends, too: what the client works on is not delivered twice.
      const answering = takeAnswers(incoming, unanswered).finally(() => ended.abort(streamEnded()));
      await unlessAborted(answering, draining);
    },
  } satisfies HandlersOf<RuntimeService>;
}

/** Resolves when the client half-closes. */
async function takeAnswers(
  incoming: AsyncIterator<SubscribeTopicEventsRequest>,
  unanswered: UnansweredEvents,
): Promise<void> {
  for (let next = await incoming.next(); next.done !== true; next = await incoming.next()) {
    const { id, status } = processedOf(next.value);
    unanswered.answer(id, outcomeOf(status?.status ?? Status.SUCCESS));
  }
}

const streamEnded = (): RuntimeError =>
  new RuntimeError("CANCELLED", "STREAM_ENDED", "the subscriber ended its stream before it answered the event");

function eventResponse(event: TopicEvent): SubscribeTopicEventsResponse {
  return { subscribeTopicEventsResponseType: { $case: "eventMessage", value: eventMessage(event) } };
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
