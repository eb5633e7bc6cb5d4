/** Follows configuration while it changes. */
import { OutriggerClient } from "@outrigger/sdk";

await using client = new OutriggerClient();
const store = "settings";

const changes = await client.config.subscribe({ store, keys: ["example-color"] });
await client.config.save({ store, items: [{ key: "example-color", content: "green" }] });
const [item] = await client.config.get({ store, keys: ["example-color"] });
console.log(`the color is ${item?.content}`);
await client.config.delete({ store, keys: ["example-color"] });

for await (const { key, content, deleted } of changes) {
  console.log(deleted ? `${key} was deleted` : `${key} became ${content}`);
  if (deleted) break;
}
