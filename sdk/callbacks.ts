import console from "node:console";
import { Server, ServerCredentials, status } from "@grpc/grpc-js";
import {
  type AppCallbackServer as BindingCallbackServer,
  AppCallbackService as BindingCallbackService,
  BindingEventResponse,
} from "../proto/gen/dapr/proto/runtime/v1/appcallback.ts";
import {
  type AppCallbackServer,
  AppCallbackService,
  type TopicSubscription,
} from "../proto/gen/spec/proto/runtime/v1/appcallback.ts";
import {
  TopicEventResponse_TopicEventResponseStatus as Status,
  type TopicEventRequest,
} from "../proto/gen/spec/proto/runtime/v1/runtime.ts";
import { type TopicEvent, topicEventOf } from "./topic-event.ts";
import { Value } from "./value.ts";

/** What becomes of an event. One whose handler throws is retried. */
export type EventOutcome = "success" | "retry" | "drop";
export type EventHandler = (event: TopicEvent) => Promise<EventOutcome>;

/** A handler with metadata for its subscription. */
export interface TopicHandler {
  readonly handle: EventHandler;
  readonly metadata?: Readonly<Record<string, string>>;
}

/** What came in through an input binding. */
export interface BindingEvent {
  readonly binding: string;
  readonly data: Value;
  readonly metadata: Readonly<Record<string, string>>;
}

/** Resolves when the event is done; one whose handler throws comes again, where its source can bring it again. */
export type BindingHandler = (event: BindingEvent) => Promise<void>;

export interface CallbackOptions {
  /** Where the runtime's `app.grpc` points; 0 takes a free port. */
  readonly port: number;
  /** Default 127.0.0.1. */
  readonly host?: string;
  /** By pub/sub component and topic: `events/orders`. */
  readonly topics?: Readonly<Record<string, EventHandler | TopicHandler>>;
  /** By the name of the input binding. */
  readonly bindings?: Readonly<Record<string, BindingHandler>>;
  /** Told what a handler threw; default console.error. */
  readonly onError?: (error: unknown, event: TopicEvent | BindingEvent) => void;
}

/** The application's side of the callbacks while it listens; disposing waits for the events in flight. */
export interface CallbackServer extends AsyncDisposable {
  /** `host:port` as bound. */
  readonly address: string;
}

const statuses = { success: Status.SUCCESS, retry: Status.RETRY, drop: Status.DROP } as const;

/** Serves topics and input bindings to the runtime. Rejects when it cannot listen; throws for a topic that names no component. */
export async function serveCallbacks(options: CallbackOptions): Promise<CallbackServer> {
  const { host = "127.0.0.1", topics = {}, bindings, onError = reportError } = options;
  const handlers = new Map(Object.entries(topics).map(([name, handler]) => [name, topicHandler(handler)]));
  const subscriptions = [...handlers].map(([name, { metadata }]) => subscriptionOf(name, metadata));
  const deliver = async (message: TopicEventRequest): Promise<EventOutcome> => {
    const event = topicEventOf(message);
    const handler = handlers.get(`${event.pubsub}/${event.topic}`);
    try {
      if (handler === undefined) throw new Error(`no handler for ${event.pubsub}/${event.topic}`);
      return await handler.handle(event);
    } catch (error) {
      onError(error, event);
      return "retry";
    }
  };
  const service: AppCallbackServer = {
    listTopicSubscriptions: (_, respond) => respond(null, { subscriptions }),
    onTopicEvent: ({ request }, respond) => {
      void deliver(request).then((outcome) => respond(null, { status: statuses[outcome] }));
    },
  };
  const server = new Server();
  server.addService(AppCallbackService, service);
  if (bindings !== undefined) server.addService(BindingCallbackService, bindingCallbacks(bindings, onError));
  const port = await bind(server, `${host.includes(":") ? `[${host}]` : host}:${options.port}`);
  return {
    address: `${host}:${port}`,
    [Symbol.asyncDispose]: () => new Promise((resolve) => server.tryShutdown(() => resolve())),
  };
}

/** Input bindings are delivered by the callbacks of Dapr: Layotto has none for them. */
function bindingCallbacks(
  bindings: Readonly<Record<string, BindingHandler>>,
  onError: (error: unknown, event: BindingEvent) => void,
): BindingCallbackServer {
  const handlers = new Map(Object.entries(bindings));
  return {
    listInputBindings: (_, respond) => respond(null, { bindings: [...handlers.keys()] }),
    onBindingEvent: ({ request: { name, data, metadata } }, respond) => {
      const event = { binding: name, data: new Value(data), metadata };
      const handled = async (): Promise<void> => {
        const handle = handlers.get(name);
        if (handle === undefined) throw new Error(`no handler for the binding ${name}`);
        await handle(event);
      };
      handled().then(
        () => respond(null, BindingEventResponse.create()),
        (error: unknown) => {
          onError(error, event);
          respond({ code: status.UNKNOWN, details: "the handler of the application failed" });
        },
      );
    },
  };
}

function topicHandler(handler: EventHandler | TopicHandler): TopicHandler {
  return typeof handler === "function" ? { handle: handler } : handler;
}

function subscriptionOf(name: string, metadata: TopicHandler["metadata"]): TopicSubscription {
  const slash = name.indexOf("/");
  if (slash < 1 || slash === name.length - 1) {
    throw new RangeError(`'${name}' names no topic; expected component/topic, such as events/orders`);
  }
  return { pubsubName: name.slice(0, slash), topic: name.slice(slash + 1), metadata: { ...metadata } };
}

function bind(server: Server, address: string): Promise<number> {
  return new Promise((resolve, reject) => {
    server.bindAsync(address, ServerCredentials.createInsecure(), (error, port) => {
      if (error === null) resolve(port);
      else reject(error);
    });
  });
}

function reportError(error: unknown, event: TopicEvent | BindingEvent): void {
  const what = "binding" in event ? `binding ${event.binding}` : `${event.pubsub}/${event.topic}`;
  const which = "binding" in event ? "an event" : `event ${event.id}`;
  console.error(`the handler of ${what} failed on ${which}; it will be retried:`, error);
}
