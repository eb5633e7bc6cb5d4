/** Reaches the runtime, waiting for it when the application starts first. */
import { OutriggerClient } from "@outrigger/sdk";

await using client = new OutriggerClient();
await client.ready();
console.log(await client.hello({ name: "example" }));
