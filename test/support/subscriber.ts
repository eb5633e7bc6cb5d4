/** A process that subscribes to a topic and takes no message: it says on standard output what comes, until it is killed. */
import { catalog } from "../../components/catalog.ts";
import { openContext } from "./open-context.ts";

/** What it is told, as JSON in its one parameter. */
export interface SubscriberTask {
  readonly type: string;
  readonly settings: unknown;
  readonly directory: string;
  readonly topic: string;
  readonly group: string;
}

const { type, settings, directory, topic, group }: SubscriberTask = JSON.parse(process.argv[2] ?? "");
const load = catalog.pubsub[type];
if (load === undefined) throw new Error(`no pub/sub backend is of type '${type}'`);
const definition = await load();
const context = openContext("conformance", { dataDirectory: directory });
const pubsub = await definition.open(definition.config.parse(settings), context);
await pubsub.subscribe({ topic, group, metadata: {} }, async ({ data }) => {
  process.stdout.write(`received ${new TextDecoder().decode(data)}\n`);
  await new Promise<never>(() => undefined);
});
process.stdout.write("subscribed\n");
