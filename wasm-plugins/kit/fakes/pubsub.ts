import type * as PubSub from "outrigger:runtime/pubsub@0.1.0";
import { runtime } from "./runtime.ts";

export const publish: typeof PubSub.publish = (pubsub, message) => {
  runtime.enter();
  runtime.published.push({ pubsub, ...message });
};
