/**
 * A process that uses a Kafka as a subscriber and a publisher, and closes the component once the broker was made to hang: it says on
 * standard output what it has done, and ends by itself when nothing is left to do.
 */
import { once } from "node:events";
import { kafkaPubSub } from "../../components/pubsub/kafka.ts";
import { bytesOf, callWith } from "../conformance/backend.ts";
import { openContext } from "./open-context.ts";

/** What it is told, as JSON in its one parameter. */
export interface LeaverTask {
  readonly settings: unknown;
  readonly topic: string;
}

const { settings, topic }: LeaverTask = JSON.parse(process.argv[2] ?? "");
const pubsub = await kafkaPubSub.open(kafkaPubSub.config.parse(settings), openContext("events"));
let received = 0;
await pubsub.subscribe({ topic, group: "group", metadata: {} }, async () => {
  received++;
});
const publish = (signal?: AbortSignal): Promise<void> =>
  pubsub.publish({ topic, data: bytesOf("text"), contentType: "text/plain", metadata: {} }, callWith(signal));
await publish();
while (received === 0) await new Promise((resolve) => setTimeout(resolve, 5));
process.stdout.write("used\n");
await once(process.stdin, "data");
process.stdin.destroy();
await publish(AbortSignal.timeout(500)).catch(() => process.stdout.write("not answered\n"));
await pubsub[Symbol.asyncDispose]();
process.stdout.write("closed\n");
process.once("exit", () => process.stdout.write("ended\n"));
