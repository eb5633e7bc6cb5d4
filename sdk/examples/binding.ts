/** Reaches what lies outside through a binding: here a folder, whose operations are create, delete, get and list. */
import { OutriggerClient, OutriggerError } from "@outrigger/sdk";

await using client = new OutriggerClient();
const binding = "reports";
const metadata = { fileName: "example/may.txt" };

await client.binding.invoke({ binding, operation: "create", data: "all is well", metadata });
const report = await client.binding.invoke({ binding, operation: "get", metadata });
console.log(`the report says: ${report.data.text()}`);

const listed = await client.binding.invoke({ binding, operation: "list", metadata: { fileName: "example" } });
console.log(`there are ${listed.data.text()}`);
await client.binding.invoke({ binding, operation: "delete", metadata });

try {
  await client.binding.invoke({ binding, operation: "burn", metadata });
} catch (error) {
  if (error instanceof OutriggerError) console.log(`${error.code}: ${error.message}`);
}
