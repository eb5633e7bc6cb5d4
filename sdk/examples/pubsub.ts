/** Subscribes to a topic and publishes to it. */
import { json, OutriggerClient } from "@outrigger/sdk";

await using client = new OutriggerClient();
const topic = { pubsub: "events", topic: "example-orders" };

const events = await client.pubsub.subscribe({ ...topic, deadLetterTopic: "example-orders-failed" });
await client.pubsub.publish({ ...topic, data: json({ order: 7 }) });

for await (const event of events) {
  console.log(`${event.topic} says ${event.data.text()} as ${event.contentType}`);
  await event.ack(); // or event.retry(), or event.drop()
  break; // leaving the loop ends the subscription
}
