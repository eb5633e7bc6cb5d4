import { PublishEventRequest } from "../gen/spec/proto/runtime/v1/runtime";
import { Json } from "../json";
import { Status } from "../status";
import { encodeText } from "../text";
import { tellRuntime } from "./call";

/** Events for whoever subscribed to their topic. */
export namespace pubsub {
  /** Publishes bytes; OK once the component took them. */
  export function publish(component: string, topic: string, data: Uint8Array, contentType: string = ""): Status {
    const request = new PublishEventRequest();
    request.pubsubName = component;
    request.topic = topic;
    request.data = data;
    request.dataContentType = contentType;
    return tellRuntime("PublishEvent", request);
  }

  /** Publishes JSON. */
  export function publishJson(component: string, topic: string, data: Json): Status {
    return publish(component, topic, encodeText(data.toString()), "application/json");
  }
}
